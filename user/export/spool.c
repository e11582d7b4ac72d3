// SPDX-License-Identifier: Apache-2.0
#include "export/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "export/spool_inner.h"

#define SEGMENT_SHARE 16 /* of the whole size: what is lost at once when it is full */
#define SEGMENT_MIN (64 * 1024)
#define SEGMENT_MAX (64 * 1024 * 1024)
#define SEGMENTS_MAX 4096
#define NUMBER_FIRST (1ULL << 32) /* with room below, for what is to be read first */
#define NAMES_TRIED 16		  /* when there is a file of that name that is not ours */

static uint64_t key_of(const char *target)
{
	return hash_bytes(HASH_BEGIN, target, strlen(target));
}

/* ---- segments: made, opened, lost ---------------------------------------------------------------- */

static struct segment *segment_new(uint64_t number)
{
	struct segment *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	list_init(&g->link);
	g->number = number;
	g->fd = -1;
	return g;
}

static void segment_free(struct segment *g)
{
	close_fd(&g->fd);
	free(g);
}

static void segment_rest(struct segment *g)
{
	if (g->taken)
		return;
	close_fd(&g->fd);
	g->fd = -1;
}

int spool_segment_reopen(const struct spool *s, struct segment *g)
{
	uint64_t size;

	return g->fd >= 0 ? 0 : spool_dir_file(s->c.dir, s->key, g->number, false, &g->fd, &size);
}

void spool_count_lost(const struct spool *s, uint64_t open, uint64_t shared, int drop)
{
	stats[drop] += open;
	stats[s->c.undelivered] += open + shared;
	stat_add(spans_in_spool, -open);
}

void spool_count_open(const struct spool_taken *t, uint64_t *open, uint64_t *shared)
{
	for (uint32_t i = 0; i < t->n; i++) {
		*open += t->marks[i] == MARK_OPEN;
		*shared += t->marks[i] == MARK_SHARED;
	}
}

/* The file goes; what it still holds is counted as `drop`. Records in flight keep the segment. */
static void segment_remove(struct spool *s, struct segment *g, int drop)
{
	uint64_t open = 0, shared = 0;

	list_for_each(i, &s->taken) {
		struct spool_taken *t = list_entry(i, struct spool_taken, link);

		if (t->segment == g)
			spool_count_open(t, &open, &shared);
	}
	open = MIN(open, g->open);
	shared = MIN(shared, g->shared);
	spool_count_lost(s, g->open - open, g->shared - shared, drop);
	g->open = open;
	g->shared = shared;
	g->gone = true;
	s->size -= g->size;
	if (s->front == g)
		s->front = NULL;
	list_del(&g->link);
	spool_dir_remove(s->c.dir, s->key, g->number);
	if (!g->taken)
		segment_free(g);
}

void spool_segment_reap(struct spool *s, struct segment *g)
{
	if (g->taken)
		return;
	if (g->gone)
		segment_free(g);
	else if (g->at >= g->size)
		segment_remove(s, g, STAT_drop_spool_damaged);
}

/* ---- writing ------------------------------------------------------------------------------------- */

static uint64_t segment_limit(const struct spool *s)
{
	uint64_t share = s->c.size / SEGMENT_SHARE;

	share = MAX(share, (uint64_t)SEGMENT_MIN);
	return MIN(share, (uint64_t)SEGMENT_MAX);
}

static int segment_create(struct spool *s, bool first, struct segment **out)
{
	struct segment *oldest = list_empty(&s->segments) ? NULL : segment_of(s->segments.next);
	struct segment *newest = oldest ? segment_of(s->segments.prev) : NULL;
	uint64_t number = !oldest ? NUMBER_FIRST : first ? oldest->number - 1 : newest->number + 1, size;
	struct segment *g = segment_new(number);
	int r = g ? -EEXIST : -ENOMEM;

	for (int i = 0; r == -EEXIST && i < NAMES_TRIED; i++) {
		r = spool_dir_file(s->c.dir, s->key, g->number, true, &g->fd, &size);
		if (r == -EEXIST)
			g->number = first && oldest ? g->number - 1 : g->number + 1;
	}
	if (r) {
		if (g)
			segment_free(g);
		return r;
	}
	list_push(first ? s->segments.next : &s->segments, &g->link);
	*out = g;
	return 0;
}

/* The segment that a record goes to. */
static int segment_for(struct spool *s, bool first, struct segment **out)
{
	struct segment *last = list_empty(&s->segments) ? NULL : segment_of(s->segments.prev);
	struct segment *g = first ? s->front : last;
	int r;

	if (g && g->size < segment_limit(s) && (first ? !g->at : g != s->front)) {
		*out = g;
		return spool_segment_reopen(s, g);
	}
	if (g)
		segment_rest(g); /* opened again when it is read */
	r = segment_create(s, first, out);
	if (!r && first)
		s->front = *out;
	return r;
}

/* Never the one that is being written: there is nothing older then. */
static bool lose_oldest(struct spool *s, const struct segment *keep)
{
	struct segment *g = segment_of(s->segments.next);

	if (g == keep)
		return false;
	segment_remove(s, g, STAT_drop_spool_full);
	return true;
}

static void count_put(struct segment *g, const uint8_t *marks, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		g->open += marks[i] == MARK_OPEN;
		g->shared += marks[i] != MARK_OPEN;
		stats[STAT_spans_in_spool] += marks[i] == MARK_OPEN;
		stats[STAT_spans_spooled] += marks[i] == MARK_OPEN;
	}
}

int spool_put(struct spool *s, const uint8_t *marks, uint32_t n, struct slice text, bool first)
{
	uint64_t before;
	struct segment *g;
	int r;

	if (text.n > SEGMENT_RECORD_MAX || n > SEGMENT_SPANS_MAX || text.n > s->c.size / 4)
		return -EMSGSIZE;
	r = segment_for(s, first, &g);
	if (r)
		return r;
	before = g->size;
	r = segment_append(g, marks, n, text);
	if (r) {
		spool_segment_reap(s, g); /* an empty one */
		return r;
	}
	s->size += g->size - before;
	count_put(g, marks, n);
	while (s->size > s->c.size && lose_oldest(s, g))
		;
	return 0;
}

/* ---- opening ------------------------------------------------------------------------------------- */

static int adopt(struct spool *s, uint64_t number)
{
	struct segment *g = segment_new(number);
	int r = g ? spool_dir_file(s->c.dir, s->key, number, false, &g->fd, &g->size) : -ENOMEM;

	if (!r)
		r = segment_count(g);
	if (r) {
		if (g)
			segment_free(g);
		stats[STAT_spool_ignored] += r != -ENOMEM;
		return r == -ENOMEM ? r : 0;
	}
	segment_rest(g);
	list_push(&s->segments, &g->link);
	s->size += g->size;
	stat_add(spans_in_spool, g->open);
	stat_add(spans_recovered, g->open);
	return 0;
}

static int adopt_all(struct spool *s)
{
	_free_ uint64_t *numbers = calloc(SEGMENTS_MAX, sizeof(*numbers));
	int n = numbers ? spool_dir_list(s->c.dir, s->key, numbers, SEGMENTS_MAX) : -ENOMEM, r = n < 0 ? n : 0;

	for (int i = 0; i < n && !r; i++)
		r = adopt(s, numbers[i]);
	while (!r && s->size > s->c.size && !list_empty(&s->segments))
		lose_oldest(s, NULL);
	return r;
}

static void free_spool(struct spool **s)
{
	spool_close(*s);
}

int spool_open(struct spool **out, const struct spool_config *c)
{
	_cleanup_(free_spool) struct spool *s = calloc(1, sizeof(*s));
	uint64_t before = stats[STAT_spans_in_spool];
	int r;

	if (!s)
		return -ENOMEM;
	s->c = *c;
	s->key = key_of(c->target);
	list_init(&s->segments);
	list_init(&s->taken);
	r = adopt_all(s);
	if (r)
		return log_ret(r, "--spool-dir: cannot read %s: %s", spool_dir_path(c->dir), strerror(-r));
	if (stats[STAT_spans_in_spool] > before)
		log_info("%llu spans of an earlier run are sent to %s from %s",
			 (unsigned long long)(stats[STAT_spans_in_spool] - before), c->target, spool_dir_path(c->dir));
	*out = TAKE_PTR(s);
	return 0;
}

void spool_close(struct spool *s)
{
	struct list *i;

	if (!s)
		return;
	while ((i = list_pop(&s->segments)))
		segment_free(segment_of(i));
	free(s);
}
