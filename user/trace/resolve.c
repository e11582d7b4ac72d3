// SPDX-License-Identifier: Apache-2.0
#include "trace/resolve.h"

#include <endian.h>

#include "base/stats.h"

const char *link_name(enum link_kind k)
{
	switch (k) {
	case LINK_HEADER:
		return "header";
	case LINK_THREAD:
		return "thread";
	case LINK_CONNECTION:
		return "connection";
	default:
		return NULL;
	}
}

/* Eight random bytes, never all zero, in the same order on every machine. */
static void put_random(uint8_t *to, struct rng *rng)
{
	uint64_t v;

	do
		v = rng_next(rng);
	while (!v);
	v = htole64(v);
	memcpy(to, &v, sizeof(v));
}

static enum link_kind link_of(const struct node *n)
{
	switch ((enum edge)n->line.edge) {
	case EDGE_THREAD:
		return LINK_THREAD;
	case EDGE_COPIED:
	case EDGE_COPIED_OWNED:
		return LINK_HEADER;
	case EDGE_CONNECTION:
		return LINK_CONNECTION;
	default:
		return LINK_NONE;
	}
}

/* A send is seen when it returns: the other end may have read the request before that. */
static uint64_t find_start(const struct node *n)
{
	uint64_t start = n->x->req_first.time;

	list_for_each(at, &n->line.down) {
		const struct node *child = list_entry(at, struct node, line.sibling);

		if (child->line.edge == EDGE_CONNECTION && child->x->req_first.time < start)
			start = child->x->req_first.time;
	}
	return start;
}

/* Above was one of whom no span will tell, and nothing was above that. */
static bool is_orphan(const struct heir *h)
{
	static const uint8_t none[sizeof(h->parent_id)];

	return !memcmp(h->parent_id, none, sizeof(none));
}

static bool place_below(const struct node *n, struct placement *p)
{
	const struct heir *h = &n->heir;

	if (!h->given || (is_orphan(h) && n->ctx.valid))
		return false;
	if (h->parent_start > p->start) { /* what begins before it is no child */
		stats[STAT_links_ambiguous] += !n->ctx.valid;
		return false;
	}
	memcpy(p->trace_id, h->trace_id, sizeof(p->trace_id));
	memcpy(p->parent_id, h->parent_id, sizeof(p->parent_id));
	p->parent_remote = h->parent_remote;
	p->link = (uint8_t)(is_orphan(h) ? LINK_NONE : link_of(n));
	p->origin = h->has_origin ? &h->origin : NULL;
	return true;
}

static bool place_remote(const struct node *n, struct placement *p)
{
	if (!n->ctx.valid)
		return false;
	memcpy(p->trace_id, n->ctx.trace_id, sizeof(p->trace_id));
	memcpy(p->parent_id, n->ctx.span_id, sizeof(p->parent_id));
	p->parent_remote = true;
	p->link = LINK_HEADER;
	p->origin = &n->ctx;
	return true;
}

static void count_link(const struct placement *p)
{
	stats[STAT_links_header] += p->link == LINK_HEADER;
	stats[STAT_links_thread] += p->link == LINK_THREAD;
	stats[STAT_links_connection] += p->link == LINK_CONNECTION;
}

void node_bequeath(const struct placement *p, struct node *child, struct list *ready)
{
	struct heir *h = &child->heir;

	h->given = true;
	memcpy(h->trace_id, p->trace_id, sizeof(h->trace_id));
	memcpy(h->parent_id, p->hidden ? p->parent_id : p->span_id, sizeof(h->parent_id));
	h->parent_remote = p->hidden && p->parent_remote;
	h->parent_start = p->start;
	h->has_origin = p->origin != NULL;
	if (p->origin) { /* the parent's arena may be gone when the child is placed */
		h->origin = *p->origin;
		h->origin.tracestate = arena_copy(&child->x->arena, p->origin->tracestate);
	}
	child->line.up = NULL;
	list_del(&child->line.sibling);
	node_wake(child, ready);
}

void node_resolve(struct node *n, struct rng *rng, struct placement *p)
{
	*p = (struct placement){.start = find_start(n)};
	put_random(p->span_id, rng);
	if (!place_below(n, p) && !place_remote(n, p)) {
		put_random(p->trace_id, rng);
		put_random(p->trace_id + 8, rng);
		p->origin = n->ctx.sampled == SAMPLED_UNKNOWN ? NULL : &n->ctx;
	}
	count_link(p);
}
