/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who caused what. Exchanges begin and end; spans come out when their trace and parent are decided, never before.
 * Two candidates are no candidate; every parent that was found says how (`spandrel.link`).
 *
 * Rules:
 *  header      an incoming context gives trace and parent; an outgoing one that no open inbound exchange of the process
 *              has was made by an SDK: it is the client span's parent. An equal one was copied: see below.
 *  thread      owner[ctx] = the inbound exchange whose head that context completed and that is still open. An outgoing
 *              request is the owner's child. A new inbound head while the context's exchange of another connection is
 *              open: an event loop; its edges are dropped for good. The response of B written in a context that
 *              owns A ≠ B: the same ("close", owner.h).
 *  copied      an outgoing context equal to that of exactly one inbound exchange open in the process: its child.
 *  connection  the two ends of one connection on this host, met by addresses and the position of the request's
 *              first byte, or the stream: the server span is the client span's child, whatever header it carries.
 * Edges are bound when the inbound exchange ends; spans below wait until then, at most link_timeout and max_waiting.
 * Time comes with the events (cause_tick).
 */
#ifndef SPANDREL_TRACE_CAUSE_H
#define SPANDREL_TRACE_CAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "conn/exchange.h"
#include "trace/context.h"

enum link_kind { LINK_NONE, LINK_HEADER = 1, LINK_THREAD = 2, LINK_CONNECTION = 4 };
const char *link_name(enum link_kind k); /* NULL for LINK_NONE */

struct cause;

struct cause_config {
	uint32_t links;	       /* enum link_kind bits that are allowed; --link */
	uint64_t link_timeout; /* ns */
	uint32_t max_waiting;  /* exchanges held */
	struct rng *rng;
};

/* The decision about one exchange. */
struct placement {
	uint8_t trace_id[16], span_id[8], parent_id[8];
	bool parent_remote;		/* the parent came in a header and is not a span of ours */
	uint8_t link;			/* enum link_kind of the parent */
	const struct trace_context *origin; /* the context the trace came with: flags, sampling, tracestate; NULL: ours */
	uint64_t start;			/* boot time; moved back so that no child begins before it */
	uint16_t hidden;		/* enum stat_id that it is dropped as: there will be no span; 0: there will */
};

struct cause_sink {
	void (*placed)(void *arg, struct exchange *x, const struct placement *p); /* takes x */
	/*
	 * An exchange that is known to belong to this trace, now or once it ends: `expect`; it has been placed, was abandoned or
	 * belongs to another one: `settle`, with the same arguments. root: nothing of this host is above it. May be NULL.
	 */
	void (*expect)(void *arg, const uint8_t trace_id[16], bool root);
	void (*settle)(void *arg, const uint8_t trace_id[16], bool root);
	/*
	 * Will there be no span of it (placement.hidden)? It links others all the same: those below it have its parent then, or,
	 * when it has none, the one that their own header names. May be NULL.
	 */
	uint16_t (*hidden)(void *arg, const struct exchange *x);
	void *arg;
};

struct cause *cause_new(const struct cause_config *config, const struct cause_sink *out);
void cause_free(struct cause *c); /* places nothing: call cause_flush first */

void cause_begin(struct cause *c, struct exchange *x);	 /* borrows until end or abandon */
void cause_end(struct cause *c, struct exchange *x);	 /* takes */
void cause_abandon(struct cause *c, struct exchange *x); /* takes */
void cause_exit(struct cause *c, uint32_t pid);		 /* the process has ended: its contexts are void */
void cause_tick(struct cause *c, uint64_t now);
void cause_flush(struct cause *c); /* decides everything that waits with what is known */

#endif
