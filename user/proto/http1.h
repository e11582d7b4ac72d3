/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.0 and 1.1 (RFC 9110, 9112) as seen from outside: both directions are watched, nothing is answered. Internal to
 * proto/http1*.c. A head is scanned in place and remembered as offsets into it; nothing is allocated before keep().
 */
#ifndef SPANDREL_PROTO_HTTP1_H
#define SPANDREL_PROTO_HTTP1_H

#include "proto/grpc_count.h"
#include "proto/proto.h"

#define HTTP1_METHOD_MAX 32   /* bytes of a method; a longer one is no HTTP */
#define HTTP1_CAPTURE_MAX 32  /* captured lines of one head; more are headers_ignored */
#define HTTP1_QUEUE_MAX 1024  /* requests whose kind is remembered until they are answered */
#define HTTP1_LENGTH_MAX (1ULL << 62) /* of a body: offsets cannot overflow */

extern const struct proto_ops http1_ops;

/* ---- heads: http1_head.c ---- */

/* Fields that fill() uses: of requests, of both, and those that HTTP/2 alone has (pseudo fields). */
enum http1_known {
	H1_HOST, H1_USER_AGENT, H1_FORWARDED, H1_XF_FOR, H1_XF_PROTO, H1_XF_HOST, H1_OF_BOTH,
	H1_CONTENT_TYPE = H1_OF_BOTH, H1_GRPC_TIMEOUT, H1_GRPC_ENCODING, H1_GRPC_STATUS, H1_GRPC_MESSAGE, H1_PSEUDO,
	H1_SCHEME = H1_PSEUDO, H1_AUTHORITY, H1_PROTOCOL, H1_KNOWN_MAX
};

struct http1_note { /* part of a head */
	uint16_t at, n;
};

struct http1_tagged {
	uint16_t tag; /* enum carrier_id, or index in proto_config.capture */
	struct http1_note value;
};

struct http1_notes {
	uint8_t n_carriers, n_captures;
	bool overflow; /* more tracestate lines than kept */
	bool folded;   /* a value goes on in another line */
	struct http1_note known[H1_KNOWN_MAX];
	struct http1_tagged carriers[CARRIER_MAX], captures[HTTP1_CAPTURE_MAX];
};

enum http1_coding { TE_NONE, TE_CHUNKED, TE_OTHER };

struct http1_framing {
	uint8_t coding; /* enum http1_coding: the last transfer coding */
	bool chunked;	/* among them */
	bool has_length, bad; /* bad: several lengths, not a number, chunked twice */
	bool upgrade, connection_upgrade;
	bool h2c; /* upgrade to HTTP/2 */
	uint64_t length;
};

/* What parse() hands out; all of it points into `raw`. keep() makes a struct http1_message of it. */
struct http1_head {
	struct message m;
	struct slice raw;
	const struct proto_config *config;
	struct http1_note method, target;
	uint16_t status;
	uint8_t major, minor;
	struct http1_framing framing;
	struct http1_notes notes;
	const struct grpc_count *sent; /* with OUT_MORE: what the body was, of a gRPC-Web message */
};

/* How far an incomplete head was looked at, so that no byte is looked at twice. Zero: nothing yet. */
struct http1_scan {
	uint32_t line; /* where the last line begins */
	uint32_t at;   /* bytes looked at */
};

/*
 * Length of the head at the front of `in`, *head filled (type and config were set by the caller). 0: not whole yet.
 * -EPROTO, -EMSGSIZE. The front must not be an empty line.
 */
int64_t http1_head_parse(struct http1_scan *scan, struct slice in, struct http1_head *head);
/* Start of a message: yes for a whole start line (or enough of it), more while that is possible. */
enum sniff http1_sniff_request(struct slice in);
enum sniff http1_sniff_response(struct slice in);
bool http1_method_known(struct slice method);

struct http1_field {
	uint8_t id;	/* http1_field.c's own */
	uint8_t known;	/* enum http1_known, H1_KNOWN_MAX for others */
	int32_t capture; /* index in proto_config.capture, -1: not in it */
};

/* http1_field.c: which field is it? False: one that nobody asks for. */
bool http1_field_find(const struct http1_head *head, struct slice name, struct http1_field *f);
/* Notes one that was found. */
void http1_field_note(struct http1_head *head, const struct http1_field *f, struct slice value);
/* Lower-case form of a token's character, 0 for any other. */
extern const unsigned char http1_token[256];

static inline struct slice http1_part(const struct http1_head *head, struct http1_note part)
{
	return slice_of(head->raw.p + part.at, part.n);
}

/* ---- bodies: http1_body.c ---- */

enum http1_body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_CLOSE };

/* RFC 9112 §6.3 for what the fields say; -EPROTO where they contradict each other. */
int http1_body_kind(const struct http1_head *head);

struct http1_chunks {
	uint8_t state;
	uint32_t line;	/* bytes of the current extension or of the trailers */
	uint64_t left;	/* size read so far */
	struct grpc_count *body; /* is given the data; NULL: that is passed over */
};

void http1_chunks_init(struct http1_chunks *c);
/* Bytes consumed (> 0). *skip: bytes of chunk data after them. *end: the last byte of the body is consumed. -EPROTO. */
int64_t http1_chunks_parse(struct http1_chunks *c, struct slice in, uint64_t *skip, bool *end);

/* ---- requests waiting for their answer: http1_queue.c ---- */

enum http1_kind { KIND_OTHER, KIND_HEAD, KIND_CONNECT, KIND_UPGRADE, KIND_UNKNOWN };

/*
 * Keys are consecutive: the oldest is last - n + 1. Two bits of kind for each; requests beyond HTTP1_QUEUE_MAX, for which
 * the caller has no room either, are only counted.
 */
struct http1_queue {
	uint64_t last;	/* key of the newest request */
	uint32_t n;	/* requests not answered */
	uint32_t stale; /* the oldest of them, which a loss made void */
	uint64_t unknown_from, unknown_to; /* keys whose kind was not kept; 0: none */
	uint64_t kinds[HTTP1_QUEUE_MAX / 32];
};

uint64_t http1_queue_push(struct http1_queue *q, enum http1_kind kind); /* its key */
/* Of the oldest that is not stale. */
bool http1_queue_front(const struct http1_queue *q, uint64_t *key, enum http1_kind *kind);
enum http1_kind http1_queue_newest(const struct http1_queue *q);	 /* KIND_OTHER if empty */
void http1_queue_pop(struct http1_queue *q);			 /* the front and what is stale */
bool http1_queue_forget_before(struct http1_queue *q, uint64_t key); /* false: it does not wait */

/* ---- resynchronising: http1_find.c ---- */

/* Offset of the next message start in `in`; type 0: either, and *found says which. -1: none. */
ptrdiff_t http1_find(struct slice in, uint8_t type, uint8_t *found);

/* ---- kept heads and what they say: http1_keep.c, http1_url.c ---- */

struct http1_captured {
	uint16_t index; /* in the capture list: lines of one name share it */
	struct slice name, value;
};

/* HTTP/2's messages begin with one as well: see http2.h. */
struct http1_message {
	struct message m;
	struct slice method, target; /* n 0: not seen (HTTP/2) */
	uint16_t status; /* 0: not seen (HTTP/2) */
	uint8_t major, minor;
	uint8_t n_captured;
	struct http1_captured *captured;
	struct slice known[H1_KNOWN_MAX]; /* p NULL: not there */
	struct grpc_count *sent; /* HTTP/1: messages of a gRPC-Web body that has ended; NULL: not known */
};

struct message *http1_keep(const struct message *msg, struct arena *arena);
void http1_amend(struct message *kept, const struct message *more, struct arena *arena);
/* The same into a zeroed one that is part of another. False without memory. */
bool http1_keep_into(struct http1_message *m, const struct http1_head *head, struct arena *arena);

struct http1_authority {
	struct slice host; /* without brackets */
	bool v6;	   /* it had brackets */
	uint16_t port;	   /* 0: none given */
};

/* host[:port]; user information, an empty host or a character that belongs in neither: false. */
bool http1_authority(struct slice s, struct http1_authority *out);

struct http1_target {
	struct slice scheme, userinfo, authority; /* absolute-form and authority-form; else empty */
	struct slice path, query;		  /* query.p NULL: no `?` */
};

void http1_target(struct slice method, struct slice target, struct http1_target *out);
/* `name` of the first element of a Forwarded field (RFC 7239), unquoted; empty if absent. */
struct slice http1_forwarded(struct slice field, struct slice name);
/* An address with or without port and brackets, as Forwarded and X-Forwarded-For carry it; empty if it is none. */
struct slice http1_node_address(struct slice node);

#endif
