// SPDX-License-Identifier: Apache-2.0
#include "trace/await.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/stats.h"
#include "host/process.h"

struct waiting { /* in the exchange's arena */
	struct list link;
	struct exchange *x;
	struct placement place;
	struct trace_context origin;
};

struct await {
	struct await_config config;
	struct await_sink out;
	struct list waiting; /* oldest first */
	uint32_t n;
};

struct await *await_new(const struct await_config *c, const struct await_sink *out)
{
	struct await *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->config = *c;
	a->out = *out;
	list_init(&a->waiting);
	return a;
}

void await_free(struct await *a)
{
	struct list *at;

	if (!a)
		return;
	while ((at = list_pop(&a->waiting)))
		exchange_free(list_entry(at, struct waiting, link)->x);
	free(a);
}

static bool must_wait(const struct exchange *x)
{
	const struct resource *r = x->resource;

	return r && r->pod == RESOURCE_POD_AWAITED;
}

static void pass(struct await *a, struct exchange *x, const struct placement *p)
{
	const struct resource *r = x->resource;

	if (r && r->pod != RESOURCE_POD_NONE)
		stat_inc(kube_missing);
	a->out.known(a->out.arg, x, p);
}

static void release(struct await *a, struct waiting *w)
{
	struct placement p = w->place;

	list_del(&w->link);
	a->n--;
	pass(a, w->x, &p);
	a->out.settle(a->out.arg, p.trace_id, true);
}

/* The placement's origin is only lent. */
static bool hold(struct await *a, struct exchange *x, const struct placement *p)
{
	struct waiting *w = arena_alloc(&x->arena, sizeof(*w));

	if (!w)
		return false;
	*w = (struct waiting){ .x = x, .place = *p };
	if (p->origin) {
		w->origin = *p->origin;
		w->place.origin = &w->origin;
	}
	list_push(&a->waiting, &w->link);
	a->n++;
	a->out.expect(a->out.arg, p->trace_id, true);
	return true;
}

static bool crowded(const struct await *a)
{
	return a->n >= a->config.max || a->config.pool->used > a->config.pool->limit / 4 * 3;
}

void await_add(struct await *a, struct exchange *x, const struct placement *p)
{
	if (must_wait(x) && crowded(a)) {
		stat_inc(kube_unwaited);
		a->out.crowded(a->out.arg);
		await_turn(a);
	}
	if (!must_wait(x) || !hold(a, x, p))
		pass(a, x, p);
}

void await_turn(struct await *a)
{
	list_for_each_safe(at, &a->waiting) {
		struct waiting *w = list_entry(at, struct waiting, link);

		if (!must_wait(w->x))
			release(a, w);
	}
}

void await_flush(struct await *a)
{
	list_for_each_safe(at, &a->waiting)
		release(a, list_entry(at, struct waiting, link));
}
