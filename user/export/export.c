// SPDX-License-Identifier: Apache-2.0
#include "export/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/stats.h"
#include "export/post.h"

/* A new exporter: one file and one row. */
static const struct exporter_ops *const rows[] = { &exporter_console, &exporter_file, &exporter_otlp, &exporter_zipkin };

#define N_ROWS ARRAY_SIZE(rows)

struct outlet {
	const struct exporter_ops *ops;
	struct exporter *x;
	const struct export *e;
	struct export_batch *open;
	uint64_t opened; /* when the first span of the open batch came */
	uint32_t held;	 /* spans of the open batch and of batches sent, not done */
};

struct export {
	uint32_t queue_size, batch_size;
	uint64_t batch_age;
	CURLM *multi;
	uint32_t n;
	struct outlet outlets[];
};

/* One holder less. The last one decides what became of the span. */
static void unref(struct span *s)
{
	if (--s->refs)
		return;
	if (!s->acked)
		stats[s->drop < 0 ? STAT_drop_unsent : s->drop]++;
	span_free(s);
}

/* A holder is done with the span. */
static void release(const struct outlet *o, struct span *s, int drop)
{
	if (drop < 0 && !s->acked) {
		s->acked = true;
		stat_inc(spans_exported);
	} else if (drop >= 0) {
		stats[o->ops->undelivered]++;
		s->drop = s->drop < 0 ? drop : s->drop;
	}
	unref(s);
}

void export_done(struct outlet *o, struct span **spans, uint32_t n, int drop)
{
	o->held -= n;
	for (uint32_t i = 0; i < n; i++)
		release(o, spans[i], drop);
}

void export_batch_done(struct outlet *o, struct export_batch *b, int drop)
{
	export_done(o, b->spans, b->n, drop);
	free(b);
}

static struct export_batch *batch_new(uint32_t cap)
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
	struct export_batch *rest = batch_new(n);

	if (!rest)
		return NULL;
	rest->since = b->since;
	rest->n = n;
	b->n -= n;
	memcpy(rest->spans, b->spans + b->n, n * sizeof(*b->spans));
	return rest;
}

static void outlet_send(struct outlet *o, uint64_t now)
{
	struct export_batch *b = TAKE_PTR(o->open);

	if (!b)
		return;
	b->since = now;
	o->ops->send(o->x, b, now);
}

static void outlet_add(struct outlet *o, struct span *s, uint64_t now)
{
	const struct export *e = o->e;

	if (o->held >= e->queue_size) {
		release(o, s, STAT_drop_queue);
		return;
	}
	if (!o->open) {
		o->open = batch_new(e->batch_size);
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

void export_push(struct export *e, struct span *s, uint64_t now)
{
	s->acked = false;
	s->drop = -1;
	s->refs = 1; /* ours keeps it while it is handed around */
	for (uint32_t i = 0; i < e->n; i++) {
		struct outlet *o = &e->outlets[i];

		if (o->ops->takes && !o->ops->takes(o->x, s))
			continue;
		s->refs++;
		outlet_add(o, s, now);
	}
	unref(s);
}

void export_tick(struct export *e, uint64_t now)
{
	for (uint32_t i = 0; i < e->n; i++) {
		struct outlet *o = &e->outlets[i];

		if (o->open && (o->ops->eager || (now > o->opened && now - o->opened >= e->batch_age)))
			outlet_send(o, now);
	}
}

void export_turn(struct export *e, uint64_t now)
{
	if (e->multi)
		posts_reap(e->multi, now);
	for (uint32_t i = 0; i < e->n; i++) {
		struct outlet *o = &e->outlets[i];

		if (o->ops->tick)
			o->ops->tick(o->x, now);
	}
}

void export_flush(struct export *e, uint64_t now)
{
	for (uint32_t i = 0; i < e->n; i++) {
		struct outlet *o = &e->outlets[i];

		outlet_send(o, now);
		if (o->ops->flush)
			o->ops->flush(o->x, now);
	}
}

bool export_idle(const struct export *e)
{
	for (uint32_t i = 0; i < e->n; i++)
		if (e->outlets[i].held)
			return false;
	return true;
}

bool export_crowded(const struct export *e)
{
	for (uint32_t i = 0; i < e->n; i++)
		if (e->outlets[i].held > e->queue_size / 2)
			return true;
	return false;
}

void export_free(struct export *e)
{
	if (!e)
		return;
	for (uint32_t i = 0; i < e->n; i++) {
		struct outlet *o = &e->outlets[i];

		if (o->open)
			export_batch_done(o, TAKE_PTR(o->open), STAT_drop_unsent);
		o->ops->close(o->x);
	}
	free(e);
}

static void free_export(struct export **e)
{
	export_free(*e);
}

static int open_outlets(struct export *e, const struct exporter_ops *ops, const struct export_config *c)
{
	for (uint32_t i = 0; i < ops->count(c); i++) {
		struct outlet *o = &e->outlets[e->n];
		int r;

		*o = (struct outlet){ .ops = ops, .e = e };
		r = ops->open(&o->x, o, c, &(struct export_place){ e->multi, i });
		if (r)
			return r;
		e->n++;
	}
	return 0;
}

int export_new(struct export **out, const struct export_config *c, CURLM *multi)
{
	_cleanup_(free_export) struct export *e = NULL;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < N_ROWS; i++)
		n += rows[i]->count(c);
	e = calloc(1, sizeof(*e) + n * sizeof(e->outlets[0]));
	if (!e)
		return -ENOMEM;
	e->queue_size = MAX(c->queue_size, 1u);
	e->batch_size = MIN(c->batch_size, e->queue_size);
	e->batch_size = MAX(e->batch_size, 1u);
	e->batch_age = c->batch_age;
	e->multi = multi;
	for (size_t i = 0; i < N_ROWS && !r; i++)
		r = open_outlets(e, rows[i], c);
	if (r)
		return r;
	*out = TAKE_PTR(e);
	return 0;
}
