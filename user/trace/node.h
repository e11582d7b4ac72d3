/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to cause: what is kept about an exchange from its begin to its placement, in the exchange's own arena.
 * A parent is wanted by three kinds of edges; `up` is set while the parent is undecided, and `heir` is what it leaves.
 */
#ifndef SPANDREL_TRACE_NODE_H
#define SPANDREL_TRACE_NODE_H

#include "base/list.h"
#include "base/stats.h"
#include "base/table.h"
#include "conn/exchange.h"
#include "trace/cause.h"
#include "trace/context.h"

#define INDEX_WALK 8 /* elements of one key looked at; more are hash collisions or hostile: no candidate */

enum edge {
	EDGE_NONE,
	EDGE_THREAD,		/* what the context owned when the call was made */
	EDGE_COPIED,		/* the only open inbound exchange of the process with this context in its headers */
	EDGE_COPIED_OWNED,	/* one of several, which the thread owned */
	EDGE_CONNECTION,	/* the other end */
};

struct owner; /* owner.c */
struct process;

struct lineage {
	struct node *up;     /* the parent, while undecided */
	struct list down;    /* lineage.sibling of those that wait for us */
	struct list sibling;
	uint8_t edge;	     /* enum edge; stays when the parent was decided */
};

struct heir { /* what a decided parent left */
	bool given, has_origin;
	bool parent_remote;
	uint8_t trace_id[16], parent_id[8];
	uint64_t parent_start;
	struct trace_context origin;
};

struct ownership { /* of an inbound exchange; of others, unused */
	struct owner *owner; /* whose `owned` we are in, NULL if no longer or never */
	struct list owned;
	struct process *process;
	struct list open;   /* all of the process */
	struct list copies; /* same context in the headers */
	uint64_t copies_key;
	uint64_t released;  /* when its context read the next request; 0: not */
};

struct meeting { /* with the other end of the connection */
	struct list ring;
	uint64_t tuple; /* key of the connection; with the request's place it is `key` */
	uint64_t key;
	bool indexed, met, conflict;
};

struct holding { /* between end and placement */
	struct list turn;    /* of those in grace (peer.h), or of those that are ready */
	struct list waiting; /* all that have ended */
	uint64_t deadline, grace_end;
	bool ended, in_grace;
};

struct expectation { /* that the sink was told of (cause_sink.expect) */
	bool told, root;
	uint8_t trace_id[16];
};

struct node {
	struct exchange *x;
	struct trace_context ctx; /* from its own headers */
	struct lineage line;
	struct heir heir;
	struct ownership own;
	struct meeting meet;
	struct holding hold;
	struct expectation expected;
};

void node_init(struct node *n, struct exchange *x);

/* Makes `up` the parent to wait for. False if that would close a circle. */
bool node_link(struct node *n, struct node *up, enum edge edge);
/*
 * Gives up the parent, if there is one: counts that under `reason` unless the node's own header names another. The node
 * goes to `ready` if it waited for nothing else.
 */
void node_refuse(struct node *n, enum stat_id reason, struct list *ready);
/* Ready when it has ended and waits for nothing. */
void node_wake(struct node *n, struct list *ready);

static inline bool node_by_thread(const struct node *n)
{
	return n->line.edge == EDGE_THREAD || n->line.edge == EDGE_COPIED_OWNED;
}

static inline bool mark_same_ctx(const struct mark *a, const struct mark *b)
{
	return a->pid == b->pid && a->ctx == b->ctx;
}

/* Elements with one key form a ring without a head. */
bool index_add(struct table *t, uint64_t key, struct list *item); /* false without memory: item is not in it */
void index_del(struct table *t, uint64_t key, struct list *item);

#endif
