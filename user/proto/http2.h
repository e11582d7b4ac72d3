/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 (RFC 9113) as seen from outside: every frame of both directions is walked, header blocks are decoded in order (RFC 7541),
 * DATA is passed over. A request is a stream: its key is the stream's id. Internal to proto/http2*.c, and what grpc*.c
 * knows of a stream. What HTTP/2 shares with HTTP/1 (fields, keeping, describing) is HTTP/1's.
 */
#ifndef SPANDREL_PROTO_HTTP2_H
#define SPANDREL_PROTO_HTTP2_H

#include "proto/grpc_count.h"
#include "proto/http1.h"

extern const struct proto_ops http2_ops;

/* What is not known of a message because its header table is not (joined in mid-connection, bytes lost): bits. */
#define HTTP2_UNKNOWN(known) (1u << (known)) /* enum http1_known: the field was there, its value is not known */
#define HTTP2_UNKNOWN_STATUS (1u << 28)
#define HTTP2_UNKNOWN_METHOD (1u << 29)
#define HTTP2_UNKNOWN_PATH   (1u << 30)
#define HTTP2_UNKNOWN_NAMES  (1u << 31) /* some fields' names: whatever seems absent may have been there */

/* How a stream ended without END_STREAM of the answer. */
enum http2_reset { RESET_NONE, RESET_BY_CLIENT, RESET_BY_SERVER, RESET_BY_GOAWAY };

struct http2_end {
	uint8_t reset; /* enum http2_reset */
	uint32_t code; /* RFC 9113 §7; of a GOAWAY: its code, and the request was not processed */
	bool whole;    /* the answer was followed to its end, and so were the counts, as far as each is exact */
	struct grpc_count sent[2]; /* gRPC messages by enum message_type − 1 */
};

/*
 * A kept head. `http` holds method, :path (target), status, known fields (pseudo fields too) and captured ones; a value that
 * is not known has n 0 there and its bit in `unknown`. A response's trailers and `end` join it when it ends.
 */
struct http2_message {
	struct http1_message http;
	uint32_t unknown;
	bool trailers; /* fields came after the head: grpc-status is theirs */
	struct http2_end end;
};

static inline const struct http2_message *http2_message_of(const struct message *m)
{
	return (const struct http2_message *)m;
}

/* RFC 9113 §7; empty for codes that it does not name. */
struct slice http2_error_name(uint32_t code);

#endif
