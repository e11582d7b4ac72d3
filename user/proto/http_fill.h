/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What spans of HTTP calls say, whatever the version: proto_ops.fill of HTTP/1 and HTTP/2 (semantic conventions for HTTP).
 * Calls that are gRPC are described by grpc_fill() from the same view.
 */
#ifndef SPANDREL_PROTO_HTTP_FILL_H
#define SPANDREL_PROTO_HTTP_FILL_H

#include "proto/call.h"
#include "proto/describe.h"
#include "proto/http2.h"

/* A call, taken apart once. */
struct http_view {
	const struct call *call;
	const struct http1_message *req, *resp; /* resp NULL: none was seen */
	uint32_t req_hidden, resp_hidden;	/* HTTP2_UNKNOWN_*; 0 in HTTP/1 */
	const struct http2_end *end;		/* of the stream; NULL in HTTP/1, or when it is not known */
	struct http1_target target;
	struct slice scheme;		/* empty: not known */
	struct http1_authority server;	/* host.n 0: not known */
	struct slice authority;		/* as it stood, for url.full */
	struct slice peer;		/* text of the other end's address; empty: nobody has asked yet, or there is none */
};

/* The request is a struct http1_message, or with `major` 2 a struct http2_message; so is the answer. */
void http_fill(struct description *d, const struct call *call);
/* For proto_ops.same: method and target, where both were seen whole. */
bool http_same(const struct call *a, const struct call *b);

/* http_view.c: borrows from the call and from d's arena. */
void http_view_init(struct http_view *v, struct description *d, const struct call *call);
/* The first hop's address as a server may believe it; empty if not known. */
struct slice http_view_client(struct http_view *v, struct description *d);
/* The address that is connected to. */
struct slice http_view_peer(struct http_view *v, struct description *d);
/* The name of a UNIX socket as it is written, empty for others. */
struct slice http_view_unix(const struct http_view *v, struct description *d);

/* What passed of gRPC messages, by enum message_type; NULL: not known. */
static inline const struct grpc_count *http_view_sent(const struct http_view *v, uint8_t side)
{
	const struct http1_message *m = side == MSG_REQUEST ? v->req : v->resp;

	if (v->end)
		return v->end->whole || v->end->reset ? &v->end->sent[side - 1] : NULL;
	return m ? m->sent : NULL;
}

/* The field was not seen, which does not mean that it was not sent. */
static inline bool http_view_hides(const struct http1_message *m, uint32_t hidden, enum http1_known known)
{
	return m && !m->known[known].n && hidden & (HTTP2_UNKNOWN(known) | HTTP2_UNKNOWN_NAMES);
}

/* http_fill.c, for calls that ride on HTTP: server.*, network.peer.*, and captured fields as PREFIXname. */
void http_put_server(struct description *d, const struct http_view *v);
void http_put_peer(struct description *d, struct http_view *v);
void http_put_captured(struct description *d, const struct http1_message *m, struct slice prefix);

#endif
