// SPDX-License-Identifier: Apache-2.0
#include "trace/owner.h"

#include "base/stats.h"

/* ---- inbound exchanges ---- */

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
		w = owner_new(o, p, head->ctx, n->x->resource);
	if (w && !w->loop && owner_may_own(n->x) && owner_check_begin(o, w, n->x))
		own(w, n);
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
	owner_disown(n);
	if (w)
		owner_rest(o, w);
	if (p)
		process_put(o, p);
}

void owner_end(struct owners *o, struct node *n, uint64_t now)
{
	owner_check_end(o, n);
	if (n->own.owner && !n->own.released) {
		n->own.owner->last_from = n->x->req_head.time;
		n->own.owner->last_to = now;
	}
	owner_forget(o, n);
}

/* ---- outgoing requests ---- */

/* How many open inbound exchanges of the process have this context: 0, 1 (*out), 2 for more. */
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

/* The one exchange that the thread works for. Counts why there is none, if one was possible. */
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
	a = owner_active(w);
	if (call_multiplexed(&client->x->call)) {
		stat_inc(links_multiplexed);
		return NULL;
	}
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
