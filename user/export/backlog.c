// SPDX-License-Identifier: Apache-2.0
#include "export/backlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "export/otlp_decode.h"

#define TAKEN_MAX (64 * 1024 * 1024)
#define TEXT_KEEP (1024 * 1024)

struct backlog {
	struct spool *spool;
	const char *version;
	struct arena_pool taken; /* spans that came back */
	struct buf text;
	uint32_t parcels;
	uint64_t next_id; /* of a resource */
	bool failing;	  /* said already */
};

/* The spans of a record; lives until the last one ends. */
struct parcel {
	struct backlog *backlog;
	struct spool_taken *record;
	struct arena arena;
	struct span *spans;
	uint32_t held; /* spans, and those who hold it */
	bool again;
};

void backlog_free(struct backlog *b)
{
	if (!b)
		return;
	spool_close(b->spool);
	arena_pool_fini(&b->taken);
	buf_fini(&b->text);
	free(b);
}

static void free_backlog(struct backlog **b)
{
	backlog_free(*b);
}

int backlog_new(struct backlog **out, const struct spool_config *c, const char *version)
{
	_cleanup_(free_backlog) struct backlog *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	b->version = version;
	arena_pool_init(&b->taken, TAKEN_MAX);
	buf_init(&b->text, MIN((uint64_t)SEGMENT_RECORD_MAX, c->size / 4));
	r = spool_open(&b->spool, c);
	if (r)
		return r;
	*out = TAKE_PTR(b);
	return 0;
}

bool backlog_waiting(const struct backlog *b)
{
	return spool_waiting(b->spool);
}

/* ---- to disk ------------------------------------------------------------------------------------- */

static int put_some(struct backlog *b, struct span *const *spans, uint32_t n, bool first)
{
	_free_ uint8_t *marks = malloc(n);
	int r = marks ? 0 : -ENOMEM;

	for (uint32_t i = 0; !r && i < n; i++)
		marks[i] = spans[i]->acked || spans[i]->spooled ? MARK_SHARED : MARK_OPEN;
	buf_reset(&b->text);
	if (!r)
		r = n > SEGMENT_SPANS_MAX ? -EMSGSIZE : otlp_encode(spans, n, b->version, &b->text);
	if (!r)
		r = spool_put(b->spool, marks, n, buf_slice(&b->text), first);
	for (uint32_t i = 0; !r && i < n; i++)
		spans[i]->spooled = true;
	return r;
}

static void say(struct backlog *b, int error)
{
	if (error && !b->failing)
		log_error("the spool cannot be written: %s; spans stay in memory", strerror(-error));
	if (!error && b->failing)
		log_info("the spool is written again");
	stats[STAT_spool_failed] += error != 0;
	b->failing = error != 0;
}

static void swap(struct span **a, struct span **b)
{
	struct span *s = *a;

	*a = *b;
	*b = s;
}

/* Texts that are too long are halved; one span that is too long alone stays, and so does all after the disk has failed. */
uint32_t backlog_put(struct backlog *b, struct span **spans, uint32_t n, bool first)
{
	uint32_t part = n, left = 0;
	int r = 0;

	for (uint32_t i = 0; i < n;) {
		uint32_t k = MIN(part, n - i);

		if (!r || r == -EMSGSIZE)
			r = put_some(b, spans + i, k, first);
		if (!r) {
			i += k;
		} else if (r == -EMSGSIZE && k > 1) {
			part = k / 2;
		} else {
			swap(&spans[left++], &spans[i++]);
		}
	}
	say(b, r == -EMSGSIZE ? 0 : r);
	if (b->text.cap > TEXT_KEEP) {
		size_t max = b->text.max;

		buf_fini(&b->text);
		buf_init(&b->text, max);
	}
	return left;
}

/* ---- from disk ----------------------------------------------------------------------------------- */

static struct parcel *parcel_new(struct backlog *b, struct spool_taken *t)
{
	struct parcel *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->backlog = b;
	p->record = t;
	b->parcels++;
	arena_init(&p->arena, &b->taken);
	return p;
}

static void parcel_free(struct parcel *p)
{
	struct backlog *b = p->backlog;

	spool_release(b->spool, p->record, p->again);
	arena_fini(&p->arena);
	if (!--b->parcels) /* what an outage needed is not kept */
		arena_pool_fini(&b->taken);
	free(p);
}

static struct export_batch *parcel_open(struct parcel *p)
{
	struct spool_taken *t = p->record;
	struct otlp_decoded d;
	int r = otlp_decode(t->text, t->n, &p->arena, &p->backlog->next_id, &d);
	struct export_batch *batch = r ? NULL : export_batch_new(t->left);

	/* without hope, unless it is the others that hold the memory */
	p->again = r ? r == -ENOMEM && p->backlog->parcels > 1 : !batch;
	for (uint32_t i = 0; batch && i < t->n; i++) {
		struct span *s = &d.spans[i];

		if (t->marks[i] == MARK_DONE)
			continue;
		s->parcel = p;
		s->refs = 1;
		s->acked = t->marks[i] == MARK_SHARED;
		batch->spans[batch->n++] = s;
	}
	p->spans = batch ? d.spans : NULL;
	p->held = t->left;
	return batch;
}

struct export_batch *backlog_take(struct backlog *b, uint64_t now)
{
	struct export_batch *batch;
	struct spool_taken *t;
	struct parcel *p;

	if (spool_take(b->spool, now, &t))
		return NULL;
	p = parcel_new(b, t);
	if (!p) {
		spool_release(b->spool, t, true);
		return NULL;
	}
	batch = parcel_open(p);
	if (!batch) {
		stats[STAT_spool_damaged] += !p->again;
		parcel_free(p);
	}
	return batch;
}

struct parcel *parcel_hold(struct span *s)
{
	if (s->parcel)
		s->parcel->held++;
	return s->parcel;
}

void parcel_put(struct parcel *p)
{
	if (!p)
		return;
	spool_sync(p->record);
	if (!--p->held)
		parcel_free(p);
}

void parcel_end(struct span *s)
{
	struct parcel *p = s->parcel;

	if (s->spooled)
		p->again = true;
	else
		spool_done(p->record, (uint32_t)(s - p->spans));
	if (!--p->held)
		parcel_free(p);
}
