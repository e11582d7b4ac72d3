/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: events in, exchanges out, verdicts back to the kernel. Bounded by max_connections (the idlest is
 * evicted and counted) and by memory (streams' bytes; arena pool for exchanges).
 */
#ifndef SPANDREL_CONN_CONN_H
#define SPANDREL_CONN_CONN_H

#include <stdint.h>

#include "conn/exchange.h"
#include "event.h"

struct conn_table;

struct conn_config {
	uint32_t max_connections;
	size_t memory_limit;	  /* for reassembly */
	uint64_t request_timeout; /* ns; 0: never */
	const struct proto_ops *const *protocols;
	struct proto_config proto;
	struct arena_pool *pool;
};

/* How verdicts reach the kernel: live, a slot in shared memory; in replay, nothing. */
struct verdict_sink {
	void (*set)(void *arg, uint64_t conn, const uint64_t skip_to[2], const uint64_t grant_to[2]);
	/* How a connection is framed, and where frames begin (0: not known); see struct frame_slot. */
	void (*frames)(void *arg, uint64_t conn, const struct framing *framing, const uint64_t at[2]);
	/* Asks for an EV_PROGRESS of this connection before it is judged idle; the event comes through conn_event() in this call. */
	void (*ask)(void *arg, uint64_t conn);
	void *arg;
};

struct conn_table *conn_table_new(const struct conn_config *config, const struct exchange_sink *out,
				  const struct verdict_sink *verdicts);
void conn_table_free(struct conn_table *t);

/* Any event of include/event.h, already checked for consistency (probe/ does that); unknown types are ignored. */
void conn_event(struct conn_table *t, const struct ev_head *ev);
/* The end: every open request is dropped as `shutdown`. */
void conn_table_close(struct conn_table *t);

/* Every request that has not ended yet, in no order. */
void conn_each_open(const struct conn_table *t, void (*each)(void *arg, const struct exchange *x), void *arg);

uint32_t conn_count(const struct conn_table *t);

#endif
