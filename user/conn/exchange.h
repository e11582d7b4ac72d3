/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request with its response, as one process saw it. Owns one arena with all its strings; moves from pair to
 * trace to export and is freed in one place (exchange_free). Times are the kernel's boot clock.
 */
#ifndef SPANDREL_CONN_EXCHANGE_H
#define SPANDREL_CONN_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/list.h"
#include "proto/call.h"

/* When, and in which execution context, a byte passed. time 0: it was not seen. */
struct mark {
	uint64_t time;
	uint64_t ctx;
	uint32_t pid, tid;
	bool polled; /* received from a socket that epoll watches */
};

struct exchange {
	struct list link; /* of whoever owns it */
	struct arena arena;
	struct call call; /* the kept heads, the connection, how it ended */
	uint64_t key;	  /* pairing key of its messages */

	/*
	 * Marks: first byte of the request; the operation that completed its head; its last byte so far; same of the
	 * response. For the span: server = req_first.time … resp_last.time; client likewise.
	 */
	struct mark req_first, req_head, req_last, resp_first, resp_last;
	uint64_t ended; /* time it was closed, for CALL_CLOSED … CALL_CUT */

	/* The same byte at the other end of the connection: TCP sequence number, or UNIX stream offset, of the first byte. */
	uint32_t req_seq;
	bool has_seq;
	uint64_t req_off;

	void *resource;			/* struct resource of host/, set by the pipeline when the exchange begins */
	void *peer;			/* the other end's, when that is seen here and has been met (trace/); else NULL */
	void (*release)(void *resource); /* called by exchange_free for both unless NULL */
	void *node;			/* cause's */
};

/* NULL at the pool's limit. */
struct exchange *exchange_new(struct arena_pool *pool, const struct conn_info *conn, const struct proto_ops *proto);
/* Releases everything; NULL is fine. */
void exchange_free(struct exchange *x);

/* Where pair sends exchanges. begin: the request's head is complete, x is borrowed and stays where it is until end.
 * end: takes ownership. abandon: x (begun before) is dropped and counted already; takes ownership. */
struct exchange_sink {
	void (*begin)(void *arg, struct exchange *x);
	void (*end)(void *arg, struct exchange *x);
	void (*abandon)(void *arg, struct exchange *x);
	void *arg;
};

#endif
