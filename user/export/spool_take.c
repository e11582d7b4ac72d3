// SPDX-License-Identifier: Apache-2.0
/* Reading a spool: records that are taken, marked, given back. */
#include <errno.h>
#include <stdlib.h>

#include "base/scope.h"
#include "base/stats.h"
#include "export/spool_inner.h"

bool spool_waiting(const struct spool *s)
{
	list_for_each(i, &s->segments)
		if (segment_of(i)->at < segment_of(i)->size)
			return true;
	return false;
}

static bool in_flight(const struct spool *s, const struct segment *g, uint64_t offset)
{
	list_for_each(i, &s->taken) {
		const struct spool_taken *t = list_entry(i, struct spool_taken, link);

		if (t->segment == g && t->offset == offset)
			return true;
	}
	return false;
}

static struct spool_taken *taken_new(struct segment *g, const struct segment_record *r)
{
	struct spool_taken *t = malloc(sizeof(*t) + r->n + r->size);

	if (!t)
		return NULL;
	*t = (struct spool_taken){ .segment = g, .offset = r->offset, .n = r->n, .from = UINT32_MAX };
	t->marks = (uint8_t *)(t + 1);
	t->text = slice_of((char *)t->marks + r->n, r->size);
	list_init(&t->link);
	return t;
}

/* Not what was written, or not there any more; all else may be over soon. */
static bool is_damage(int error)
{
	return error == -EBADMSG || error == -ENOENT;
}

/* 0 with *out NULL: nothing to do in this record, or nothing to be done about it. */
static int record_take(struct spool *s, struct segment *g, const struct segment_record *r, struct spool_taken **out)
{
	_free_ struct spool_taken *t = in_flight(s, g, r->offset) ? NULL : taken_new(g, r);
	bool damaged = false;
	int error;

	*out = NULL;
	if (!t)
		return in_flight(s, g, r->offset) ? 0 : -ENOMEM;
	error = segment_marks(g, r, t->marks, &damaged);
	for (uint32_t i = 0; !error && i < r->n; i++)
		t->left += t->marks[i] != MARK_DONE;
	if (!error && t->left)
		error = segment_text(g, r, (char *)t->text.p);
	if (error && !is_damage(error))
		return error;
	if (error || damaged)
		stat_inc(spool_damaged);
	if (error || !t->left)
		return 0;
	g->taken++;
	list_push(&s->taken, &t->link);
	*out = TAKE_PTR(t);
	return 0;
}

/* The next record of this segment. 0 with *out NULL at its end. */
static int segment_take(struct spool *s, struct segment *g, struct spool_taken **out)
{
	struct segment_record record;
	bool damaged = false;
	int r = spool_segment_reopen(s, g);

	*out = NULL;
	while (!r && !*out) {
		r = segment_next(g, &record, &damaged);
		if (r != 0 && r != -ENOENT)
			break;
		stats[STAT_spool_damaged] += damaged;
		if (r) {
			g->at = g->size;
			return 0;
		}
		g->at = record.offset; /* what is damaged before it is counted once */
		r = record_take(s, g, &record, out);
		if (!r)
			g->at = record.end;
	}
	return r;
}

int spool_take(struct spool *s, uint64_t now, struct spool_taken **out)
{
	struct spool_taken *t = NULL;
	int r;

	list_for_each_safe(i, &s->segments) {
		struct segment *g = segment_of(i);

		if (g->at >= g->size) {
			spool_segment_reap(s, g);
			continue;
		}
		if (now < g->later)
			continue;
		r = segment_take(s, g, &t);
		if (r == -ENOMEM)
			return r;
		if (r && !is_damage(r)) {
			stat_inc(spool_unread);
			g->later = now + SPOOL_RETRY;
			continue;
		}
		if (r) {
			stat_inc(spool_damaged);
			g->at = g->size;
		}
		if (t) {
			*out = t;
			return 0;
		}
		spool_segment_reap(s, g);
	}
	return -ENOENT;
}

void spool_done(struct spool_taken *t, uint32_t i)
{
	if (t->marks[i] == MARK_DONE)
		return;
	if (t->marks[i] == MARK_OPEN && t->segment->open) { /* 0: somebody changed marks that were done */
		t->segment->open--;
		stat_add(spans_in_spool, -1);
	} else if (t->marks[i] == MARK_SHARED && t->segment->shared) {
		t->segment->shared--;
	}
	t->marks[i] = MARK_DONE;
	t->left--;
	t->from = MIN(t->from, i);
	t->to = MAX(t->to, i + 1);
}

void spool_sync(struct spool_taken *t)
{
	if (t->from >= t->to)
		return;
	if (!t->segment->gone && segment_mark(t->segment, t->offset, t->marks, t->from, t->to))
		stat_inc(spool_failed);
	t->from = UINT32_MAX;
	t->to = 0;
}

void spool_release(struct spool *s, struct spool_taken *t, bool again)
{
	struct segment *g = t->segment;
	uint64_t open = 0, shared = 0;

	spool_sync(t);
	list_del(&t->link);
	g->taken--;
	if (g->gone) {
		spool_count_open(t, &open, &shared);
		spool_count_lost(s, open, shared, STAT_drop_spool_full);
	} else if (again && t->left) {
		g->at = MIN(g->at, t->offset);
	}
	free(t);
	spool_segment_reap(s, g);
}
