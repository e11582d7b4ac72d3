// SPDX-License-Identifier: Apache-2.0
#include "export/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "export/outlet.h"
#include "export/post.h"

/* A new exporter: one file and one row. */
static const struct exporter_ops *const rows[] = { &exporter_console, &exporter_file, &exporter_access_log, &exporter_otlp, &exporter_zipkin };

#define N_ROWS ARRAY_SIZE(rows)

struct export {
	CURLM *multi;
	struct spool_dir *spools;
	uint32_t n;
	struct outlet outlets[];
};

void export_push(struct export *e, struct span *s, uint64_t now)
{
	s->acked = false;
	s->drop = -1;
	s->spooled = false;
	s->parcel = NULL;
	s->refs = 1; /* ours keeps it while it is handed around */
	for (uint32_t i = 0; i < e->n; i++) {
		struct outlet *o = &e->outlets[i];

		if ((s->unsampled && !o->ops->every) || (o->ops->takes && !o->ops->takes(o->x, s)))
			continue;
		s->refs++;
		outlet_add(o, s, now);
	}
	outlet_unref(s);
}

void export_tick(struct export *e, uint64_t now)
{
	for (uint32_t i = 0; i < e->n; i++)
		outlet_tick(&e->outlets[i], now);
}

void export_settle(struct export *e, uint64_t now)
{
	for (uint32_t i = 0; i < e->n; i++)
		outlet_settle(&e->outlets[i], now);
}

void export_turn(struct export *e, uint64_t now)
{
	if (e->multi)
		posts_reap(e->multi, now);
	for (uint32_t i = 0; i < e->n; i++)
		outlet_turn(&e->outlets[i], now);
}

void export_flush(struct export *e, uint64_t now)
{
	for (uint32_t i = 0; i < e->n; i++)
		outlet_flush(&e->outlets[i], now);
}

void export_reopen(struct export *e)
{
	for (uint32_t i = 0; i < e->n; i++)
		if (e->outlets[i].ops->reopen)
			e->outlets[i].ops->reopen(e->outlets[i].x);
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
		if (outlet_crowded(&e->outlets[i]))
			return true;
	return false;
}

void export_free(struct export *e)
{
	if (!e)
		return;
	for (uint32_t i = 0; i < e->n; i++)
		outlet_close(&e->outlets[i]);
	spool_dir_close(e->spools);
	free(e);
}

static void free_export(struct export **e)
{
	export_free(*e);
}

static const char *target_of(const struct outlet *o)
{
	return o->ops->target ? o->ops->target(o->x) : NULL;
}

bool export_state(const struct export *e, uint32_t i, struct export_state *out)
{
	const struct outlet *o = &e->outlets[i];

	if (i >= e->n)
		return false;
	*out = (struct export_state){ .name = o->ops->name, .target = target_of(o), .queued = o->held,
				      .down = o->ops->down && o->ops->down(o->x) };
	return true;
}

/* Two outlets to one place have two spools. */
static int twins_before(const struct export *e, uint32_t i)
{
	int n = 0;

	for (uint32_t k = 0; k < i; k++)
		n += e->outlets[k].ops == e->outlets[i].ops && !strcmp(target_of(&e->outlets[k]), target_of(&e->outlets[i]));
	return n;
}

static int open_spool(struct export *e, uint32_t i, uint64_t size, const char *version)
{
	struct outlet *o = &e->outlets[i];
	char target[512];
	int twins;

	if (!target_of(o))
		return 0;
	twins = twins_before(e, i);
	snprintf(target, sizeof(target), twins ? "%s %s#%d" : "%s %s", o->ops->name, target_of(o), twins + 1);
	if (o->limits.queue > 1)
		o->limits.batch = MIN(o->limits.batch, o->limits.queue / 2);
	return backlog_new(&o->backlog,
			   &(struct spool_config){ .dir = e->spools, .target = target, .size = size,
						   .undelivered = o->ops->undelivered },
			   version);
}

/* The size is for all of them together. */
static int open_spools(struct export *e, const struct export_config *c)
{
	uint32_t n = 0;
	int r;

	for (uint32_t i = 0; i < e->n; i++)
		n += target_of(&e->outlets[i]) != NULL;
	if (!c->spool_dir)
		return 0;
	if (!n) {
		log_warn("--spool-dir: not used, there is no end point that it could keep spans for");
		return 0;
	}
	r = spool_dir_open(&e->spools, c->spool_dir);
	for (uint32_t i = 0; i < e->n && !r; i++)
		r = open_spool(e, i, c->spool_size / n, c->version);
	if (!r)
		spool_dir_strangers(e->spools);
	return r;
}

static struct outlet_limits limits_of(const struct export_config *c)
{
	uint32_t queue = MAX(c->queue_size, 1u), batch = MIN(c->batch_size, queue);

	return (struct outlet_limits){ .queue = queue, .batch = MAX(batch, 1u), .age = c->batch_age };
}

static int open_outlets(struct export *e, const struct exporter_ops *ops, const struct export_config *c)
{
	for (uint32_t i = 0; i < ops->count(c); i++) {
		struct outlet *o = &e->outlets[e->n];
		int r;

		*o = (struct outlet){ .ops = ops, .export = e, .limits = limits_of(c) };
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
	e->multi = multi;
	for (size_t i = 0; i < N_ROWS && !r; i++)
		r = open_outlets(e, rows[i], c);
	if (!r)
		r = open_spools(e, c);
	if (r)
		return r;
	*out = TAKE_PTR(e);
	return 0;
}
