/* SPDX-License-Identifier: Apache-2.0 */
/* What one connection's parser remembers. Internal to http1.c and http1_loss.c. */
#ifndef SPANDREL_PROTO_HTTP1_SESSION_H
#define SPANDREL_PROTO_HTTP1_SESSION_H

#include "proto/http1.h"

enum http1_state {
	AT_HEAD,	/* between messages */
	IN_CHUNKS,
	IN_WEB,		/* in a gRPC-Web body that is no chunks */
	TO_CLOSE,	/* a body that lasts until the direction ends */
	IN_DOUBT,	/* behind an orphan's head, which may have answered HEAD: a body or the next head */
	OPAQUE,
	BROKEN,		/* an error was returned: resync() is due */
	LOST,		/* resync() found nothing yet */
};

struct http1_direction {
	uint8_t state; /* enum http1_state */
	uint8_t side;  /* enum message_type of what flows here; 0: not known yet */
	uint8_t doubt; /* enum http1_body_kind of the orphan in doubt */
	uint64_t key;  /* of the message whose body it is in */
	uint64_t left; /* length of the body in doubt, or of gRPC-Web */
	bool web;      /* the message is gRPC-Web: ... */
	struct grpc_count sent; /* ... this of it has passed */
	struct http1_scan scan;
	struct http1_chunks chunks;
};

struct http1_session {
	struct http1_direction dir[2]; /* enum ev_dir */
	struct http1_queue queue;
	bool orphan;	/* answers(0): the next response has no request */
	bool gap;	/* requests may have passed unseen since the last one that was */
	bool confirmed; /* a response answered a request: the sides are what they seem */
	struct http1_head head;
};

static inline void http1_learn_sides(struct http1_session *s, enum ev_dir from, uint8_t side)
{
	s->dir[from].side = side;
	s->dir[!from].side = side == MSG_REQUEST ? MSG_RESPONSE : MSG_REQUEST;
}

/* http1_web.c */
#define HTTP1_UNTIL_CLOSE UINT64_MAX /* `left` of a body that ends with its direction */
void http1_web_begins(struct http1_direction *d, const struct http1_head *head);
int64_t http1_web_parse(struct http1_session *s, struct http1_direction *d, struct slice in, struct proto_out *out);
/* The body has ended: what it was is told, if it was whole. */
void http1_web_ends(struct http1_session *s, struct http1_direction *d, struct proto_out *out);

/* proto_ops.answers and .resync: http1_loss.c */
bool http1_answers(void *session, uint64_t key);
int64_t http1_resync(void *session, enum ev_dir from, struct slice in);

#endif
