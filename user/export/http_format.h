/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one protocol makes of a batch and of an answer; pure functions on bytes. encode() gives the plain message, which
 * may be kept for as long as one likes (content type, bytes, count of spans) and becomes a request's body with
 * http_format_body(): compressed and framed only then.
 */
#ifndef SPANDREL_EXPORT_HTTP_FORMAT_H
#define SPANDREL_EXPORT_HTTP_FORMAT_H

#include "base/buf.h"
#include "export/export.h"
#include "export/post.h"

enum http_fate {
	FATE_TAKEN,
	FATE_LATER,	/* the same again after a while */
	FATE_TOO_LARGE, /* less at a time may be taken */
	FATE_REFUSED,	/* for good */
};

#define VERDICT_TEXT 200

struct http_verdict {
	enum http_fate fate;
	uint64_t wait;	   /* ns that the server asked for; 0: not said */
	uint64_t rejected; /* of the spans of a batch that was taken */
	int grpc;	   /* status of the call; -1: none, HTTP's counts */
	char text[VERDICT_TEXT]; /* what the server said, for a message; may be foreign bytes */
};

struct http_format_ops {
	const char *content_type;
	const char *path; /* of a socket's URL, and of all gRPC */
	bool grpc;	  /* HTTP/2, framed, the status in the trailers */
	/* Appends the plain message. 0, -EMSGSIZE (fewer spans may fit), -ENOMEM; `out` keeps what it had. */
	int (*encode)(struct span *const *spans, uint32_t n, const char *version, struct buf *out);
	void (*judge)(const struct post_answer *a, struct http_verdict *v);
};

extern const struct http_format_ops http_otlp, http_otlp_json, http_grpc, http_zipkin;

const struct http_format_ops *http_format(uint8_t format); /* enum http_format */

#define HTTP_FRAME 5		    /* bytes of gRPC's prefix */
#define HTTP_BODY_SLACK (64 * 1024) /* what a body may have more than the plain message */

/* An encoded message as a body. 0, -ENOSPC or -ENOMEM; `body` is emptied first. */
int http_format_body(const struct http_format_ops *f, bool gzip, struct slice plain, struct buf *body);
/* Spans as a body; `plain` is memory to work in. As encode(). */
int http_format_encode(const struct http_format_ops *f, bool gzip, const struct export_batch *b, const char *version,
		       struct buf *plain, struct buf *body);

/* ---- for formats ---- */

/* The fate by an HTTP status alone (OTLP specification, "OTLP/HTTP Response"), and its Retry-After. */
void judge_status(const struct post_answer *a, struct http_verdict *v);
void verdict_say(struct http_verdict *v, struct slice text);
/* ExportTraceServiceResponse: rejected spans and what is said about them. */
void judge_response(struct slice message, struct http_verdict *v);
/* google.rpc.Status: message and RetryInfo. True when it holds a RetryInfo. */
bool judge_rpc_status(struct slice message, struct http_verdict *v);

#endif
