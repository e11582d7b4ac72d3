// SPDX-License-Identifier: Apache-2.0
#include "trace/owner.h"

#include <stdlib.h>

#include "base/stats.h"

#define CLOSE_WALK 64 /* open exchanges of the process looked at in the close check of one that ends */

struct process {
	uint32_t pid;
	uint32_t n_owners, n_loops;
	bool loops; /* all its contexts */
	bool exited;
	struct list owners; /* struct owner.sibling */
	struct list open;   /* own.open: inbound exchanges */
};

struct owner {
	uint32_t pid;
	bool loop;
	uint32_t n_active; /* of `owned`, those at the front; the rest was released */
	uint64_t ctx;
	uint64_t last_from, last_to; /* when it owned the one before */
	struct process *process;
	struct list owned;   /* own.owned; the active ones are of one connection */
	struct list sibling;
	struct list idle;
};

void owners_init(struct owners *o, struct list *ready)
{
	table_init(&o->contexts, OWNERS_MAX);
	table_init(&o->processes, OWNERS_MAX);
	table_init(&o->copies, SIZE_MAX / 2);
	list_init(&o->idle);
	o->ready = ready;
}

/* ---- processes and contexts ------------------------------------------------------------------- */

static struct process *process_get(struct owners *o, uint32_t pid)
{
	struct process *p = table_get(&o->processes, pid);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->pid = pid;
	list_init(&p->owners);
	list_init(&p->open);
	if (table_set(&o->processes, pid, p)) {
		free(p);
		return NULL;
	}
	return p;
}

/* A process without contexts and open exchanges says nothing, unless all its contexts are marked. */
static void process_put(struct owners *o, struct process *p)
{
	if (p->n_owners || !list_empty(&p->open) || (p->loops && !p->exited))
		return;
	table_del(&o->processes, p->pid);
	free(p);
}

static void owner_free(struct owners *o, struct owner *w)
{
	struct process *p = w->process;

	table_del(&o->contexts, table_mix(w->ctx, w->pid));
	list_del(&w->sibling);
	list_del(&w->idle);
	p->n_owners--;
	p->n_loops -= w->loop;
	free(w);
}

/* Room for one more, by forgetting the context that was idle for longest. */
static bool make_room(struct owners *o)
{
	struct owner *w;
	struct process *p;

	if (o->contexts.n < OWNERS_MAX)
		return true;
	if (list_empty(&o->idle))
		return false;
	w = list_entry(o->idle.next, struct owner, idle);
	p = w->process;
	owner_free(o, w);
	process_put(o, p);
	return true;
}

static struct owner *owner_find(const struct owners *o, uint32_t pid, uint64_t ctx)
{
	struct owner *w = table_get(&o->contexts, table_mix(ctx, pid));

	return w && w->pid == pid && w->ctx == ctx ? w : NULL;
}

static struct owner *owner_new(struct owners *o, struct process *p, uint64_t ctx)
{
	uint64_t key = table_mix(ctx, p->pid);
	struct owner *w;

	if (p->loops || p->exited || table_get(&o->contexts, key) || !make_room(o))
		return NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->pid = p->pid;
	w->ctx = ctx;
	if (table_set(&o->contexts, key, w)) {
		free(w);
		return NULL;
	}
	w->process = p;
	p->n_owners++;
	list_init(&w->owned);
	list_init(&w->idle);
	list_push(&p->owners, &w->sibling);
	return w;
}

/* After its last exchange: kept, for the mark or until the room is needed. */
static void owner_rest(struct owners *o, struct owner *w)
{
	if (!list_empty(&w->owned))
		return;
	if (w->process->exited)
		owner_free(o, w);
	else if (!w->loop)
		list_push(&o->idle, &w->idle);
}

/* ---- the marks -------------------------------------------------------------------------------- */

/* What hangs on n by its thread alone has no parent then. */
static void drop_thread_edges(struct owners *o, struct node *n)
{
	list_for_each_safe(at, &n->line.down) {
		struct node *child = list_entry(at, struct node, line.sibling);

		if (node_by_thread(child))
			node_refuse(child, STAT_links_loop, o->ready);
	}
}

static void disown(struct node *n)
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
		disown(n);
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

/* May free w. */
static void mark_loop(struct owners *o, struct owner *w)
{
	if (w->loop)
		return;
	w->loop = true;
	list_del(&w->idle);
	drop_owned(o, w);
	if (++w->process->n_loops >= LOOPS_MAX)
		mark_process(o, w->process);
}

/* ---- inbound exchanges ------------------------------------------------------------------------ */

static struct node *active_of(const struct owner *w)
{
	return w->n_active ? list_entry(w->owned.next, struct node, own.owned) : NULL;
}

/*
 * The end of a close-delimited response cannot be seen on a UNIX socket: when the context that wrote it reads on, it is
 * taken to be done. owner_end() looks whether it was.
 */
static bool may_be_done(const struct owner *w, const struct node *a)
{
	const struct exchange *x = a->x;

	return w->n_active == 1 && x->call.conn.family == FAM_UNIX && x->resp_first.time &&
	       mark_same_ctx(&x->resp_first, &x->req_head);
}

/* True if w may own one more, of this connection. */
static bool check_overlap(struct owners *o, struct owner *w, const struct exchange *x)
{
	struct node *a = active_of(w);

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

static void own(struct owner *w, struct node *n)
{
	list_del(&w->idle);
	n->own.owner = w;
	list_push(w->owned.next, &n->own.owned); /* before the first */
	w->n_active++;
}

static uint64_t copies_key(uint32_t pid, const struct trace_context *ctx)
{
	uint64_t part[3];

	memcpy(part, ctx->trace_id, 16);
	memcpy(part + 2, ctx->span_id, 8);
	return table_mix(table_mix(part[0], part[1]), table_mix(part[2], pid));
}

void owner_begin(struct owners *o, struct node *n)
{
	const struct mark *head = &n->x->req_head;
	struct owner *w = owner_find(o, head->pid, head->ctx);
	struct process *p = w ? w->process : process_get(o, head->pid);

	if (!p)
		return;
	n->own.process = p;
	list_push(&p->open, &n->own.open);
	if (n->ctx.valid) {
		n->own.copies_key = copies_key(p->pid, &n->ctx);
		if (!index_add(&o->copies, n->own.copies_key, &n->own.copies))
			n->own.copies_key = 0;
	}
	if (!w)
		w = owner_new(o, p, head->ctx);
	if (w && !w->loop && check_overlap(o, w, n->x))
		own(w, n);
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
	a = active_of(w);
	if ((a && a->x->req_head.time <= by->time) || (w->last_from <= by->time && by->time <= w->last_to))
		mark_loop(o, w);
}

/* The close check from the other side: while n was open, did its context write another's response that is not done yet? */
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
		if (b->own.owner == w || !by->time || by->time < n->x->req_head.time || b->own.released ||
		    !mark_same_ctx(by, &n->x->req_head))
			continue;
		mark_loop(o, w);
		return;
	}
}

static void check_response(struct owners *o, struct node *n)
{
	const struct exchange *x = n->x;
	const struct mark *by = &x->resp_first;

	if (by->time && !mark_same_ctx(by, &x->req_head))
		check_writer(o, n, by);
	if (n->own.owner && n->own.released && x->resp_last.time > n->own.released)
		mark_loop(o, n->own.owner); /* it was not done */
	check_written(o, n);
}

void owner_forget(struct owners *o, struct node *n)
{
	struct owner *w = n->own.owner;
	struct process *p = n->own.process;

	if (n->own.copies_key) {
		index_del(&o->copies, n->own.copies_key, &n->own.copies);
		n->own.copies_key = 0;
	}
	n->own.process = NULL;
	list_del(&n->own.open);
	disown(n);
	if (w)
		owner_rest(o, w);
	if (p)
		process_put(o, p);
}

void owner_end(struct owners *o, struct node *n, uint64_t now)
{
	check_response(o, n);
	if (n->own.owner && !n->own.released) {
		n->own.owner->last_from = n->x->req_head.time;
		n->own.owner->last_to = now;
	}
	owner_forget(o, n);
}

void owner_exit(struct owners *o, uint32_t pid)
{
	struct process *p = table_get(&o->processes, pid);

	if (!p)
		return;
	p->exited = true;
	list_for_each_safe(at, &p->owners) {
		struct owner *w = list_entry(at, struct owner, sibling);

		if (list_empty(&w->owned))
			owner_free(o, w);
	}
	process_put(o, p);
}

/* ---- outgoing requests ------------------------------------------------------------------------ */

/* How many open inbound exchanges of the process came with this context: 0, 1 (*out), 2 for more. */
static int find_copied(const struct owners *o, const struct node *client, struct node **out)
{
	uint32_t pid = client->x->req_first.pid;
	struct list *first = table_get(&o->copies, copies_key(pid, &client->ctx)), *at = first;
	int found = 0, walked = 0;

	if (!first)
		return 0;
	do {
		struct node *n = list_entry(at, struct node, own.copies);

		if (n->x->req_head.pid == pid && context_equal(&n->ctx, &client->ctx)) {
			*out = n;
			found++;
		}
		at = at->next;
		walked++;
	} while (at != first && found < 2 && walked < INDEX_WALK);
	return at == first ? found : 2;
}

/* The one exchange that the thread works for. Counts why there is none, if there might have been. */
static struct node *find_owned(const struct owners *o, const struct node *client)
{
	const struct mark *first = &client->x->req_first;
	const struct owner *w = owner_find(o, first->pid, first->ctx);
	const struct process *p = w ? w->process : table_get(&o->processes, first->pid);
	struct node *a;

	if (p && (p->loops || (w && w->loop)) && !list_empty(&p->open))
		stat_inc(links_loop);
	if (!w || !w->n_active)
		return NULL;
	a = active_of(w);
	if (w->n_active == 1 && first->time >= a->x->req_head.time)
		return a;
	stat_inc(links_ambiguous);
	return NULL;
}

void owner_adopt(struct owners *o, struct node *client, bool thread)
{
	struct node *up = NULL;
	int copied;

	if (!client->ctx.valid) {
		up = thread ? find_owned(o, client) : NULL;
		if (up)
			node_link(client, up, EDGE_THREAD);
		return;
	}
	copied = find_copied(o, client, &up);
	if (copied == 1)
		node_link(client, up, EDGE_COPIED);
	if (copied < 2)
		return;
	up = thread ? find_owned(o, client) : NULL;
	if (up && context_equal(&up->ctx, &client->ctx))
		node_link(client, up, EDGE_COPIED_OWNED);
}

void owners_fini(struct owners *o)
{
	struct process *p;
	size_t at = 0;

	while ((p = table_next(&o->processes, &at, NULL))) {
		list_for_each_safe(w, &p->owners)
			free(list_entry(w, struct owner, sibling));
		free(p);
	}
	table_fini(&o->processes);
	table_fini(&o->contexts);
	table_fini(&o->copies);
}
