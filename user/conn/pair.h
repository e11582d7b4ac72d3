/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open exchanges of one connection: begun by requests, completed by the responses that carry their keys (the protocol's
 * session decides which answers which), emitted to the sink. Every request becomes one exchange that ends, or one drop.
 */
#ifndef SPANDREL_CONN_PAIR_H
#define SPANDREL_CONN_PAIR_H

#include "base/table.h"
#include "conn/exchange.h"

#define PAIR_OPEN_MAX PROTO_OPEN_MAX /* open requests of one connection; the next is requests_dropped{pipeline_limit} */

struct pair {
	struct list open; /* struct exchange, oldest first */
	uint32_t n;
	bool indexed;	     /* answers come in any order: */
	struct table by_key; /* ... key → struct exchange */
	struct arena_pool *pool;
	const struct exchange_sink *sink;
	const struct conn_info *conn;
};

void pair_init(struct pair *p, struct arena_pool *pool, const struct exchange_sink *sink, const struct conn_info *conn);
void pair_fini(struct pair *p); /* must be empty */
/* From now on answers may come in any order. 0 or -ENOMEM. */
int pair_index(struct pair *p);

struct pair_head { /* what is known of a head beside the message */
	struct mark first, head; /* its first byte; the operation that completed it */
	uint64_t off;
	uint32_t seq;
	bool has_seq;
	bool received; /* the message came in (else went out) */
};

/* Opens an exchange. Counts requests_seen, and a drop if it cannot: false. */
bool pair_request(struct pair *p, const struct proto_ops *proto, const struct message *m, const struct pair_head *h);
/* The answer's head. False: nobody waits for it. */
bool pair_response(struct pair *p, const struct message *m, const struct pair_head *h);
/* What comes after a message's head: OUT_MORE. */
void pair_more(struct pair *p, const struct message *m);
/* Answers and ends every request whose key is above `key`: OUT_ABOVE. */
void pair_end_above(struct pair *p, uint64_t key, const struct message *m, const struct pair_head *h);
/* The connection goes on in another protocol (OUT_SWITCH), and the request x with it. 0; -ENOMEM: x is as it was. */
int pair_switch(struct pair *p, struct exchange *x, const struct proto_ops *proto, void *session);
/* The last byte of a message; type is enum message_type. A response's end closes its exchange: CALL_ANSWERED. */
void pair_end(struct pair *p, uint8_t type, uint64_t key, struct mark last);
/* Bytes of a message that is not complete have passed. */
void pair_touch(struct pair *p, uint8_t type, uint64_t key, struct mark last);
/* Closes one. With CALL_CUT an exchange whose response head was not seen is dropped as `drop` (enum stat_id). */
void pair_close_one(struct pair *p, struct exchange *x, enum call_end why, uint64_t now, int drop);
/* Closes all, oldest first. */
void pair_close(struct pair *p, enum call_end why, uint64_t now, int drop);
/* Drops all without spans, counted as `drop`. */
void pair_abandon(struct pair *p, int drop);

/* The open exchange of this key, the oldest one, the one opened after x; NULL if there is none. */
struct exchange *pair_find(const struct pair *p, uint64_t key);
struct exchange *pair_oldest(const struct pair *p);
struct exchange *pair_next(const struct pair *p, const struct exchange *x);

#endif
