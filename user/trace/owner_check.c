// SPDX-License-Identifier: Apache-2.0
/* What shows that a context does not serve one connection at a time. */
#include "trace/owner.h"

#include "base/stats.h"
#include "host/process.h"

#define CLOSE_WALK 64 /* open exchanges of the process looked at when one ends */

/* What hangs on n by its thread alone has no parent then. */
static void drop_thread_edges(struct owners *o, struct node *n)
{
	list_for_each_safe(at, &n->line.down) {
		struct node *child = list_entry(at, struct node, line.sibling);

		if (node_by_thread(child))
			node_refuse(child, STAT_links_loop, o->ready);
	}
}

void owner_disown(struct node *n)
{
	struct owner *w = n->own.owner;

	if (!w)
		return;
	n->own.owner = NULL;
	list_del(&n->own.owned);
	w->n_active -= !n->own.released;
}

static void drop_owned(struct owners *o, struct owner *w)
{
	list_for_each_safe(at, &w->owned) {
		struct node *n = list_entry(at, struct node, own.owned);

		drop_thread_edges(o, n);
		owner_disown(n);
	}
}

static void mark_process(struct owners *o, struct process *p)
{
	p->loops = true;
	list_for_each_safe(at, &p->owners) {
		struct owner *w = list_entry(at, struct owner, sibling);

		drop_owned(o, w);
		owner_free(o, w);
	}
}

/* Of one that was not marked. May free it. */
static void mark_loop(struct owners *o, struct owner *w)
{
	w->loop = true;
	list_del(&w->idle);
	drop_owned(o, w);
	if (++w->process->n_loops >= LOOPS_MAX)
		mark_process(o, w->process);
}

/*
 * The end of a close-delimited response cannot be seen on a UNIX socket: when the context that
 * wrote it reads on, it is taken to be done. owner_end() looks whether it was.
 */
static bool may_be_done(const struct owner *w, const struct node *a)
{
	const struct exchange *x = a->x;

	return w->n_active == 1 && x->call.conn.family == FAM_UNIX && x->resp_first.time &&
	       mark_same_ctx(&x->resp_first, &x->req_head);
}

static bool process_is(const struct exchange *x, uint8_t what)
{
	const struct resource *r = x->resource;

	return r && r->runs & what;
}

/*
 * Who reads a socket that epoll watches waits for others, too, and what it sends between may be a timer's: an event loop,
 * even when one request at a time has not shown it. Known better: nginx calls nobody but for a request; Java's servers
 * watch their sockets in one thread and read in another.
 */
static bool is_loop(const struct exchange *x)
{
	return x->req_head.polled && !process_is(x, RESOURCE_NGINX | RESOURCE_JAVA);
}

bool owner_may_own(const struct exchange *x)
{
	return !call_multiplexed(&x->call) || process_is(x, RESOURCE_NGINX);
}

/* True if w may own one more, of this connection. */
bool owner_check_begin(struct owners *o, struct owner *w, const struct exchange *x)
{
	struct node *a = owner_active(w);

	if (is_loop(x)) {
		mark_loop(o, w);
		return false;
	}
	if (!a || a->x->call.conn.id == x->call.conn.id)
		return true;
	if (!may_be_done(w, a)) {
		mark_loop(o, w);
		return false;
	}
	a->own.released = x->req_head.time ? x->req_head.time : 1;
	w->n_active--;
	list_del(&a->own.owned);
	list_push(&w->owned, &a->own.owned);
	return true;
}

/* The response of b was written in the context `by`: is that in step with what `by` owns? */
static void check_writer(struct owners *o, struct node *b, const struct mark *by)
{
	struct owner *w;
	struct node *a;

	if (b->own.owner)
		mark_loop(o, b->own.owner); /* left */
	w = owner_find(o, by->pid, by->ctx);
	if (!w || w->loop)
		return;
	a = owner_active(w);
	if ((a && a->x->req_head.time <= by->time) ||
	    (w->last_from <= by->time && by->time <= w->last_to))
		mark_loop(o, w);
}

/*
 * The close check from the other side: while n was open, did its context write another's response
 * that is not done yet?
 */
static void check_written(struct owners *o, struct node *n)
{
	struct owner *w = n->own.owner;
	int i = 0;

	if (!w || list_empty(&n->line.down))
		return;
	list_for_each(at, &w->process->open) {
		const struct node *b = list_entry(at, struct node, own.open);
		const struct mark *by = &b->x->resp_first;

		if (++i > CLOSE_WALK)
			return;
		if (b->own.owner == w || !by->time || by->time < n->x->req_head.time ||
		    !mark_same_ctx(by, &n->x->req_head))
			continue;
		mark_loop(o, w);
		return;
	}
}

void owner_check_end(struct owners *o, struct node *n)
{
	const struct exchange *x = n->x;
	const struct mark *by = &x->resp_first;

	if (by->time && !mark_same_ctx(by, &x->req_head))
		check_writer(o, n, by);
	if (n->own.owner && n->own.released && x->resp_last.time > n->own.released)
		mark_loop(o, n->own.owner); /* it was not done */
	check_written(o, n);
}
