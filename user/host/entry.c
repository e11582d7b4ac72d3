// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "base/scope.h"
#include "base/stats.h"
#include "host/inner.h"
#include "host/resource.h"

static struct resource *make(struct host *h, const struct entry *e, uint64_t id, struct slice facts)
{
	const struct container *c = e->container;
	struct resource *r = resource_new(
		&h->config, id,
		&(struct resource_parts){ .pid = e->pid,
					  .process = facts,
					  .pod = c ? slice_of(c->facts, c->n_facts) : SLICE_NONE,
					  .host = slice_of(h->host_facts, h->n_host_facts) });

	if (r)
		r->pod = pod_state(e);
	return r;
}

int entry_resource(struct host *h, struct entry *e)
{
	if (!e->resource)
		e->resource = make(h, e, h->next_id++, slice_of(e->facts.p, e->facts.n));
	return e->resource ? 0 : -ENOMEM;
}

static void drop_resource(struct entry *e)
{
	if (e->resource && e->resource->pod == RESOURCE_POD_AWAITED)
		e->resource->pod = RESOURCE_POD_MISSING; /* nobody will tell it any more */
	resource_unref(TAKE_PTR(e->resource));
}

void entry_retell(struct host *h, struct entry *e)
{
	struct resource *r;

	if (!e->resource || e->resource->pod != RESOURCE_POD_AWAITED) {
		drop_resource(e);
		return;
	}
	r = make(h, e, e->resource->id, slice_of(e->facts.p, e->facts.n));
	if (r)
		resource_retell(e->resource, r);
	else
		drop_resource(e);
}

/*
 * The facts were read after the process had begun its next program, which we learn only now: they
 * told of that one. Of the program before nothing is known but whose process it was.
 */
static void take_back(struct host *h, struct entry *e)
{
	struct facts_head head = { .version = FACTS_VERSION, .start = e->facts.start };
	struct resource *r = make(h, e, e->resource->id, slice_of((const char *)&head, sizeof(head)));

	if (!r)
		return;
	resource_retell(e->resource, r);
	stat_inc(procs_unread);
}

static void forget_facts(struct host *h, struct telling *t)
{
	h->bytes -= t->n;
	free(t->p);
	*t = (struct telling){ 0 };
}

void entry_clear(struct host *h, struct entry *e)
{
	drop_resource(e);
	pod_leave(h, e);
	forget_facts(h, &e->facts);
	e->look = (struct look){ 0 };
	e->otlp = 0;
}

static bool same_program(const struct telling *t, const struct facts_head *head)
{
	return t->p && head->start && t->start == head->start && t->exec == head->exec;
}

int entry_fill(struct host *h, struct entry *e, struct slice facts)
{
	struct facts_head head = { 0 };
	struct slice items;
	char *copy = malloc(facts.n ? facts.n : 1);

	if (!copy)
		return -ENOMEM;
	if (facts.n)
		memcpy(copy, facts.p, facts.n);
	facts_open(facts, &head, &items);
	if (e->resource && head.exec && head.exec != e->facts.exec && head.exec < e->facts.read)
		take_back(h, e);
	if (!same_program(&e->facts, &head))
		entry_clear(h, e);
	forget_facts(h, &e->facts);
	e->facts = (struct telling){ .p = copy,
				     .n = facts.n,
				     .n_base = facts.n,
				     .start = head.start,
				     .exec = head.exec,
				     .read = head.read,
				     .missed = stats[STAT_missed_proc] };
	h->bytes += facts.n;
	e->ended = false;
	pod_join(h, e);
	entry_retell(h, e);
	return 0;
}
