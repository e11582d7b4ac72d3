// SPDX-License-Identifier: Apache-2.0
#include "export/outlet.h"

#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/stats.h"

#define REFILL_BATCHES 8 /* from disk at once: enough to keep all requests of an exporter busy */
#define REFILL_TURN 4	 /* of those in one turn of the loop */

void outlet_unref(struct span *s)
{
	if (--s->refs)
		return;
	if (!s->acked && !s->spooled && !s->unsampled)
		stats[s->drop < 0 ? STAT_drop_unsent : s->drop]++;
	if (s->parcel)
		parcel_end(s);
	else
		span_free(s);
}

/* A holder is done with the span. */
static void release(const struct outlet *o, struct span *s, int drop)
{
	if (drop < 0 && !s->acked) {
		s->acked = true;
		stats[STAT_spans_exported] += !s->spooled && !s->unsampled;
	} else if (drop == STAT_drop_unsent && s->parcel) {
		s->spooled = true; /* it still is */
	} else if (drop >= 0) {
		stats[o->ops->undelivered]++;
		s->drop = s->drop < 0 ? drop : s->drop;
	}
	outlet_unref(s);
}

static void unref_all(struct span **spans, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		outlet_unref(spans[i]);
}

/* Spans of one parcel, or of none. */
static void release_run(const struct outlet *o, struct span **spans, uint32_t n, int drop)
{
	struct parcel *p = parcel_hold(spans[0]);
	uint32_t left = n;

	if (drop == STAT_drop_unsent && o->backlog && !p) {
		left = backlog_put(o->backlog, spans, n, true);
		unref_all(spans + left, n - left);
	}
	for (uint32_t i = 0; i < left; i++)
		release(o, spans[i], drop);
	parcel_put(p);
}

void export_done(struct outlet *o, struct span **spans, uint32_t n, int drop)
{
	uint32_t run;

	o->held -= n;
	for (; n; spans += run, n -= run) {
		for (run = 1; run < n && spans[run]->parcel == spans[0]->parcel; run++)
			;
		release_run(o, spans, run, drop);
	}
}

void export_batch_done(struct outlet *o, struct export_batch *b, int drop)
{
	export_done(o, b->spans, b->n, drop);
	free(b);
}

struct export_batch *export_batch_new(uint32_t cap)
{
	struct export_batch *b = malloc(sizeof(*b) + cap * sizeof(*b->spans));

	if (!b)
		return NULL;
	*b = (struct export_batch){ .cap = cap };
	list_init(&b->link);
	return b;
}

struct export_batch *export_batch_split(struct export_batch *b)
{
	uint32_t n = b->n / 2;
	struct export_batch *rest = export_batch_new(n);

	if (!rest)
		return NULL;
	rest->since = b->since;
	rest->n = n;
	b->n -= n;
	memcpy(rest->spans, b->spans + b->n, n * sizeof(*b->spans));
	return rest;
}

/* What the exporter may hold, so that there is room for an open batch. */
static uint32_t room(const struct outlet *o)
{
	return o->limits.queue > o->limits.batch ? o->limits.queue - o->limits.batch : 1;
}

/* True when the batch is done with. */
static bool spool_batch(struct outlet *o, struct export_batch *b, uint64_t now)
{
	uint32_t left;

	if (o->export)
		export_settle(o->export, now);
	left = backlog_put(o->backlog, b->spans, b->n, false);
	unref_all(b->spans + left, b->n - left);
	o->held -= b->n - left;
	b->n = left;
	if (!left) {
		free(b);
		return true;
	}
	if (o->held <= o->limits.queue)
		return false;
	export_batch_done(o, b, STAT_drop_queue);
	return true;
}

static void outlet_send(struct outlet *o, uint64_t now)
{
	struct export_batch *b = TAKE_PTR(o->open);

	if (!b)
		return;
	if (o->backlog && (o->held > room(o) || backlog_waiting(o->backlog)) && spool_batch(o, b, now))
		return;
	b->since = now;
	o->ops->send(o->x, b, now);
}

void outlet_add(struct outlet *o, struct span *s, uint64_t now)
{
	if (!o->backlog && o->held >= o->limits.queue) {
		release(o, s, STAT_drop_queue);
		return;
	}
	if (!o->open) {
		o->open = export_batch_new(o->limits.batch);
		o->opened = now;
	}
	if (!o->open) {
		release(o, s, STAT_drop_memory);
		return;
	}
	o->held++;
	o->open->spans[o->open->n++] = s;
	if (o->open->n == o->open->cap)
		outlet_send(o, now);
}

void outlet_tick(struct outlet *o, uint64_t now)
{
	if (o->open && (o->ops->eager || (now > o->opened && now - o->opened >= o->limits.age)))
		outlet_send(o, now);
}

static void refill(struct outlet *o, uint64_t now)
{
	uint32_t most = MIN(room(o), REFILL_BATCHES * o->limits.batch);

	for (int i = 0; i < REFILL_TURN && o->held < most; i++) {
		struct export_batch *b = backlog_take(o->backlog, now);

		if (!b)
			return;
		o->held += b->n;
		b->since = now;
		o->ops->send(o->x, b, now);
	}
}

void outlet_turn(struct outlet *o, uint64_t now)
{
	if (o->ops->tick)
		o->ops->tick(o->x, now);
	if (o->backlog && !o->ending)
		refill(o, now);
}

void outlet_settle(struct outlet *o, uint64_t now)
{
	if (o->ops->eager)
		outlet_send(o, now);
}

void outlet_flush(struct outlet *o, uint64_t now)
{
	o->ending = true;
	outlet_send(o, now);
	if (o->ops->flush)
		o->ops->flush(o->x, now);
}

bool outlet_crowded(const struct outlet *o)
{
	return o->held > o->limits.queue / 2;
}

void outlet_close(struct outlet *o)
{
	if (o->open)
		export_batch_done(o, TAKE_PTR(o->open), STAT_drop_unsent);
	o->ops->close(o->x);
	backlog_free(o->backlog);
}
