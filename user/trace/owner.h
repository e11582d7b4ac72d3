/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which inbound exchange an execution context works for. Private to cause. A context (pid, ctx) owns the inbound
 * exchanges whose head it completed and that are open; it is believed only while nothing contradicts that it serves one
 * connection at a time. What contradicts, for good:
 *  overlap   it completes a head while it owns an open exchange of another connection
 *  close     it writes the response of an exchange that it does not own while it owns another
 *  left      the response of an exchange that it owns is written by another context
 *  polled    it reads requests from a socket that epoll watches (nginx and Java apart)
 * On multiplexed connections threads read and write for others: there they own nothing (nginx apart) and their calls have no
 * parent by thread.
 * Bounded: OWNERS_MAX contexts; when all of them are in use or marked, further ones own nothing.
 */
#ifndef SPANDREL_TRACE_OWNER_H
#define SPANDREL_TRACE_OWNER_H

#include "base/table.h"
#include "trace/node.h"

#define OWNERS_MAX 16384
#define LOOPS_MAX 256 /* contexts of one process that are event loops, before all of them are taken for such */

struct process {
	uint32_t pid;
	uint32_t n_owners, n_loops;
	bool loops; /* all its contexts */
	bool exited;
	struct list owners; /* struct owner.sibling */
	struct list open;   /* own.open: inbound exchanges */
};

/* A context. */
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

struct resource; /* host/process.h */

struct owners {
	struct table contexts; /* (pid, ctx) → struct owner */
	struct table processes; /* pid → struct process */
	struct table copies;	/* (pid, context in the headers) → ring of own.copies */
	struct list idle;	/* owners that own nothing and are not marked, the longest unused first */
	struct list *ready;	/* where nodes go whose parent was given up */
};

void owners_init(struct owners *o, struct list *ready);
void owners_fini(struct owners *o); /* every node must be gone */

/* An inbound exchange begins, ends with its checks done (the thread edges below it stand from then on), or is forgotten. */
void owner_begin(struct owners *o, struct node *n);
void owner_end(struct owners *o, struct node *n, uint64_t now);
void owner_forget(struct owners *o, struct node *n);

/* What an outgoing request hangs on: links it to an open inbound exchange or not. `thread`: owners may be used. */
void owner_adopt(struct owners *o, struct node *client, bool thread);

void owner_exit(struct owners *o, uint32_t pid);

/* ---- inside: owner_table.c -------------------------------------------------------------------- */

struct process *process_get(struct owners *o, uint32_t pid); /* made if needed; NULL without room */
void process_put(struct owners *o, struct process *p);	     /* forgets it if it says nothing any more */
struct owner *owner_find(const struct owners *o, uint32_t pid, uint64_t ctx);
/* NULL without room, and where no thread is believed: the process has shown it, or its runtime (r) is known for it. */
struct owner *owner_new(struct owners *o, struct process *p, uint64_t ctx, const struct resource *r);
void owner_free(struct owners *o, struct owner *w);			     /* it owns nothing */
void owner_rest(struct owners *o, struct owner *w);			     /* it may own nothing now */

/* ---- inside: owner_check.c -------------------------------------------------------------------- */

void owner_disown(struct node *n);
/*
 * Does the context that reads a request work for it? Who reads a connection of many streams reads for others, but for nginx, which
 * calls in the same callback.
 */
bool owner_may_own(const struct exchange *x);
/* May w own this exchange, too? If not, w is marked and may be gone. */
bool owner_check_begin(struct owners *o, struct owner *w, const struct exchange *x);
/* Marks what the response contradicts. */
void owner_check_end(struct owners *o, struct node *n);

static inline struct node *owner_active(const struct owner *w)
{
	return w->n_active ? list_entry(w->owned.next, struct node, own.owned) : NULL;
}

#endif
