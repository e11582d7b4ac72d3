// SPDX-License-Identifier: Apache-2.0
#include "trace/cause.h"

#include <stdlib.h>

#include "base/stats.h"
#include "trace/node.h"
#include "trace/owner.h"
#include "trace/peer.h"
#include "trace/resolve.h"

struct cause {
	struct cause_config config;
	struct cause_sink out;
	uint64_t now;
	struct list ready;   /* hold.turn: to be placed before the call returns */
	struct list waiting; /* hold.waiting: all that have ended; oldest first */
	uint32_t n_waiting;
	struct owners owners;
	struct peers peers;
};

struct cause *cause_new(const struct cause_config *config, const struct cause_sink *out)
{
	struct cause *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->config = *config;
	c->out = *out;
	list_init(&c->ready);
	list_init(&c->waiting);
	if (peers_init(&c->peers, &c->ready)) {
		free(c);
		return NULL;
	}
	owners_init(&c->owners, &c->ready);
	return c;
}

void cause_free(struct cause *c)
{
	struct list *at;

	if (!c)
		return;
	while ((at = list_pop(&c->waiting)))
		exchange_free(list_entry(at, struct node, hold.waiting)->x);
	owners_fini(&c->owners);
	peers_fini(&c->peers);
	free(c);
}

static void note_time(struct cause *c, uint64_t t)
{
	if (t > c->now)
		c->now = t;
}

/* ---- telling which traces are not complete ---- */

static void settle_expected(struct cause *c, struct expectation *e)
{
	if (e->told && c->out.settle)
		c->out.settle(c->out.arg, e->trace_id, e->root);
	e->told = false;
}

static void expect(struct cause *c, struct node *n, const uint8_t trace_id[16], bool root)
{
	struct expectation *e = &n->expected;

	if (!c->out.expect || (e->told && !memcmp(e->trace_id, trace_id, sizeof(e->trace_id))))
		return;
	settle_expected(c, e);
	e->told = true;
	e->root = root;
	memcpy(e->trace_id, trace_id, sizeof(e->trace_id));
	c->out.expect(c->out.arg, trace_id, root);
}

/* ---- placing ---- */

static uint16_t hidden(struct cause *c, const struct exchange *x)
{
	return c->out.hidden ? c->out.hidden(c->out.arg, x) : 0;
}

static void bequeath(struct cause *c, struct node *n, const struct placement *p)
{
	list_for_each_safe(at, &n->line.down) {
		struct node *child = list_entry(at, struct node, line.sibling);

		expect(c, child, p->trace_id, false);
		node_bequeath(p, child, &c->ready);
	}
}

static void place(struct cause *c, struct node *n)
{
	struct expectation expected = n->expected;
	struct exchange *x = n->x;
	struct placement p;

	node_resolve(n, c->config.rng, &p);
	p.hidden = hidden(c, x);
	bequeath(c, n, &p);
	peer_forget(&c->peers, n);
	list_del(&n->hold.waiting);
	c->n_waiting--;
	x->node = NULL;
	c->out.placed(c->out.arg, x, &p);
	settle_expected(c, &expected);
}

static void settle(struct cause *c)
{
	struct list *at;

	while ((at = list_pop(&c->ready)))
		place(c, list_entry(at, struct node, hold.turn));
}

/* Places it with what is known. */
static void force(struct cause *c, struct node *n, enum stat_id reason)
{
	peer_give_up(&c->peers, n);
	node_refuse(n, reason, &c->ready);
	node_wake(n, &c->ready);
	settle(c);
}

static void keep_limit(struct cause *c)
{
	while (c->n_waiting > c->config.max_waiting)
		force(c, list_entry(c->waiting.next, struct node, hold.waiting), STAT_links_memory);
}

/* No memory for a node: nothing but its own headers is known. */
static void place_alone(struct cause *c, struct exchange *x)
{
	struct placement p;
	struct node n;

	node_init(&n, x);
	if (c->config.links & LINK_HEADER)
		context_parse(&x->call.req->carrier, &x->arena, &n.ctx);
	node_resolve(&n, c->config.rng, &p);
	p.hidden = hidden(c, x);
	c->out.placed(c->out.arg, x, &p);
}

/* ---- what happens to an exchange ---- */

static void read_context(struct cause *c, struct node *n)
{
	const struct call *call = &n->x->call;
	bool good;

	if (!(c->config.links & LINK_HEADER))
		return;
	good = context_parse(&call->req->carrier, &n->x->arena, &n->ctx);
	if (!good && call->server)
		stat_inc(ctx_invalid);
}

void cause_begin(struct cause *c, struct exchange *x)
{
	struct node *n = arena_alloc(&x->arena, sizeof(*n));

	note_time(c, x->req_head.time);
	x->node = n;
	if (!n)
		return;
	node_init(n, x);
	read_context(c, n);
	if (x->call.server)
		owner_begin(&c->owners, n);
	else
		owner_adopt(&c->owners, n, c->config.links & LINK_THREAD);
	if (c->config.links & LINK_CONNECTION)
		peer_begin(&c->peers, n);
	if (n->ctx.valid)
		expect(c, n, n->ctx.trace_id, !n->line.up);
	settle(c);
}

/*
 * A thread that calls reads the answer itself. Where another one does, the request was handed over,
 * or belongs to a task that moves from thread to thread: who sent it says nothing.
 */
static void check_call(struct cause *c, struct node *n)
{
	const struct mark *read = &n->x->resp_first;

	if (node_by_thread(n) && read->time && !mark_same_ctx(read, &n->x->req_first))
		node_refuse(n, STAT_links_loop, &c->ready);
}

static void hold(struct cause *c, struct node *n)
{
	n->hold.ended = true;
	if (__builtin_add_overflow(c->now, c->config.link_timeout, &n->hold.deadline))
		n->hold.deadline = UINT64_MAX;
	list_push(&c->waiting, &n->hold.waiting);
	c->n_waiting++;
	peer_await(&c->peers, n, c->now);
	node_wake(n, &c->ready);
}

void cause_end(struct cause *c, struct exchange *x)
{
	struct node *n = x->node;

	note_time(c, x->req_last.time);
	note_time(c, x->resp_last.time);
	note_time(c, x->ended);
	if (!n) {
		place_alone(c, x);
		return;
	}
	if (x->call.server)
		owner_end(&c->owners, n, c->now);
	else
		check_call(c, n);
	hold(c, n);
	settle(c);
	keep_limit(c);
}

void cause_abandon(struct cause *c, struct exchange *x)
{
	struct node *n = x->node;

	if (n) {
		owner_forget(&c->owners, n);
		peer_forget(&c->peers, n);
		list_del(&n->line.sibling);
		list_for_each_safe(at, &n->line.down)
			node_refuse(list_entry(at, struct node, line.sibling), STAT_links_abandoned,
				    &c->ready);
		settle_expected(c, &n->expected);
	}
	exchange_free(x);
	settle(c);
}

void cause_exit(struct cause *c, uint32_t pid)
{
	owner_exit(&c->owners, pid);
}

void cause_tick(struct cause *c, uint64_t now)
{
	note_time(c, now);
	peer_expire(&c->peers, c->now);
	settle(c);
	while (!list_empty(&c->waiting)) {
		struct node *n = list_entry(c->waiting.next, struct node, hold.waiting);

		if (n->hold.deadline > c->now)
			break;
		force(c, n, STAT_links_timeout);
	}
}

void cause_flush(struct cause *c)
{
	peer_expire(&c->peers, UINT64_MAX);
	settle(c);
	while (!list_empty(&c->waiting))
		force(c, list_entry(c->waiting.next, struct node, hold.waiting),
		      STAT_links_abandoned);
}
