/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the length-prefixed messages of one direction of a gRPC call (gRPC over HTTP/2, "Length-Prefixed-Message": one byte of
 * flags, four of length) without looking at what is in them. Their borders have nothing to do with those of DATA frames.
 * gRPC-Web ends an answer with a frame of the same shape that holds the trailers, of which the status is read, and may
 * come in base64, any number of padded pieces one behind the other.
 */
#ifndef SPANDREL_PROTO_GRPC_COUNT_H
#define SPANDREL_PROTO_GRPC_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

struct grpc_web {
	bool text;	   /* base64 */
	bool trailers;	   /* the frame in progress holds trailers, and is no message */
	bool ended;	   /* the trailers have passed */
	bool has_status;   /* they had a grpc-status, */
	uint32_t status;   /* ... this */
	uint8_t matched;   /* of "grpc-status:" at the front of the line */
	uint8_t quantum_n; /* base64 digits at hand, */
	uint32_t quantum;  /* ... these */
	struct buf zipped; /* of trailers that are compressed */
};

struct grpc_count {
	uint64_t messages;   /* that have passed to their end */
	uint64_t bytes;	     /* of these, without the prefixes */
	uint64_t compressed; /* of these: how many */
	uint64_t left;	     /* of the message in progress */
	uint32_t length;     /* its length */
	uint8_t have;	     /* bytes of the next prefix at hand */
	uint8_t prefix[5];
	bool lost; /* bytes are missing: the numbers say nothing */
	struct grpc_web web;
};

/* Before the first byte; a zeroed one is for plain gRPC. */
void grpc_count_begin(struct grpc_count *c, struct slice content_type);
void grpc_count_fini(struct grpc_count *c);
/* The numbers alone, which own nothing. */
static inline struct grpc_count grpc_count_result(const struct grpc_count *c)
{
	struct grpc_count result = *c;

	result.web.zipped = (struct buf){ 0 };
	return result;
}


/* The next bytes of the direction. */
void grpc_count_feed(struct grpc_count *c, struct slice data);
/* So many of the next bytes need not be fed; they can be passed over, in one piece or with others in between. */
uint64_t grpc_count_passable(const struct grpc_count *c);
void grpc_count_pass(struct grpc_count *c, uint64_t n); /* n ≤ passable */
static inline void grpc_count_lose(struct grpc_count *c)
{
	c->lost = true;
}
/* The trailers were read to their end, and said how the call ended: web.status. */
static inline bool grpc_count_has_status(const struct grpc_count *c)
{
	return c->web.has_status && !c->web.trailers && !c->lost;
}

/* Every message that began has passed whole, and nothing is missing. */
static inline bool grpc_count_exact(const struct grpc_count *c)
{
	return !c->lost && !c->left && !c->have && !c->web.quantum_n;
}

#endif
