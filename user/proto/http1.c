// SPDX-License-Identifier: Apache-2.0
/* The row for HTTP/1: which message comes next in each direction, and which request a response answers. */
#include <errno.h>

#include "base/scope.h"
#include "base/stats.h"
#include "proto/grpc.h"
#include "proto/http1_session.h"
#include "proto/http2.h"
#include "proto/http_fill.h"

static int session_init(void *session, const struct proto_config *config)
{
	struct http1_session *s = session;

	s->head.config = config;
	s->head.major = 1;
	return 0;
}

static void session_fini(void *session)
{
	struct http1_session *s = session;

	for (int dir = 0; dir < 2; dir++)
		grpc_count_fini(&s->dir[dir].sent);
}

static struct slice skip_empty_lines(struct slice in)
{
	while (in.n && (in.p[0] == '\r' || in.p[0] == '\n'))
		in = slice_from(in, 1);
	return in;
}

#define LINE_LONG 8192 /* longer than any line that nobody has ended yet should be */

static enum sniff session_sniff(struct slice head, enum ev_dir from)
{
	enum sniff request, response;
	ptrdiff_t blank;

	(void)from; /* either side may be the first that we see */
	head = skip_empty_lines(head);
	request = http1_sniff_request(head);
	response = http1_sniff_response(head);
	if (request == SNIFF_YES || response == SNIFF_YES)
		return SNIFF_YES;
	blank = slice_find(slice_to(head, HTTP1_METHOD_MAX + 1), ' ');
	if (request == SNIFF_MORE && blank > 0) {
		bool known = http1_method_known(slice_to(head, (size_t)blank));

		if (known && (size_t)blank + 1 < head.n && head.p[blank + 1] == '/')
			return SNIFF_YES;
		if (head.n > LINE_LONG)
			return known ? SNIFF_YES : SNIFF_NO;
	}
	return request == SNIFF_MORE || response == SNIFF_MORE ? SNIFF_MORE : SNIFF_NO;
}

/* ---- heads ---- */

static enum http1_kind request_kind(const struct http1_head *head)
{
	struct slice method = http1_part(head, head->method);

	if (slice_eq(method, SLICE("HEAD")))
		return KIND_HEAD;
	if (slice_eq(method, SLICE("CONNECT")))
		return KIND_CONNECT;
	return head->framing.upgrade && head->framing.connection_upgrade ? KIND_UPGRADE : KIND_OTHER;
}

static void body_begins(struct http1_session *s, struct http1_direction *d, int kind, uint64_t length,
			struct proto_out *out)
{
	switch (kind) {
	case BODY_CHUNKED:
		http1_chunks_init(&d->chunks);
		d->chunks.body = d->web ? &d->sent : NULL;
		d->state = IN_CHUNKS;
		break;
	case BODY_CLOSE:
		d->state = d->web ? IN_WEB : TO_CLOSE;
		d->left = HTTP1_UNTIL_CLOSE;
		out->skip = d->web ? 0 : SKIP_TO_END;
		break;
	default:
		if (kind == BODY_LENGTH && d->web) {
			d->state = IN_WEB;
			d->left = length;
			break;
		}
		d->state = AT_HEAD;
		out->skip = kind == BODY_LENGTH ? length : 0;
		out->flags |= OUT_END;
		if (d->web)
			http1_web_ends(s, d, out);
	}
}

static int64_t broken(struct http1_direction *d, int64_t r)
{
	d->state = BROKEN;
	return r;
}

static int64_t parse_request(struct http1_session *s, enum ev_dir from, struct slice in, struct proto_out *out)
{
	struct http1_direction *d = &s->dir[from];
	int64_t r = http1_head_parse(&d->scan, in, &s->head);
	int kind;

	if (r <= 0)
		return r ? broken(d, r) : 0;
	kind = http1_body_kind(&s->head);
	if (kind < 0)
		return broken(d, kind);
	http1_learn_sides(s, from, MSG_REQUEST);
	d->key = http1_queue_push(&s->queue, request_kind(&s->head));
	s->gap = false;
	s->head.m.key = d->key;
	*out = (struct proto_out){ .flags = OUT_HEAD, .type = MSG_REQUEST, .key = d->key, .msg = &s->head.m };
	http1_web_begins(d, &s->head);
	body_begins(s, d, kind, s->head.framing.length, out);
	return r;
}

/* RFC 9112 §6.3, rules 1 and 2: what the status and the request say before the fields do. -1: the fields decide. */
static int bodyless(uint16_t status, enum http1_kind asked)
{
	if (status < 200 || status == 204 || status == 304 || asked == KIND_HEAD)
		return BODY_NONE;
	return -1;
}

static bool ends_http(uint16_t status, enum http1_kind asked)
{
	return status == 101 || (asked == KIND_CONNECT && status / 100 == 2);
}

static void response_done(struct http1_session *s, bool orphan)
{
	if (!orphan) {
		http1_queue_pop(&s->queue);
		s->confirmed = true;
	}
	s->orphan = false;
}

/* A response nobody is known to have asked for: whether a body follows its head is only seen from what follows. */
static void orphan_begins(struct http1_session *s, struct http1_direction *d, int kind, uint64_t length,
			  struct proto_out *out)
{
	d->web = false; /* nobody will be told */
	if (kind == BODY_NONE) {
		body_begins(s, d, kind, 0, out);
		return;
	}
	d->state = IN_DOUBT;
	d->doubt = (uint8_t)kind;
	d->left = length;
}

static void response_begins(struct http1_session *s, struct http1_direction *d, enum http1_kind asked, int body,
			    struct proto_out *out)
{
	const struct http1_head *head = &s->head;

	if (ends_http(head->status, asked)) {
		s->dir[DIR_RECV].state = s->dir[DIR_SEND].state = OPAQUE;
		if (head->status == 101 && head->framing.h2c && !(out->flags & OUT_ORPHAN)) { /* RFC 7540 §3.2 */
			out->flags |= OUT_INTERIM | OUT_SWITCH;
			out->next = &http2_ops;
		} else {
			out->flags |= OUT_END | OUT_OPAQUE;
		}
	} else if (head->status < 200) {
		out->flags |= OUT_INTERIM;
		return; /* the answer is still to come */
	} else if (asked == KIND_UNKNOWN) {
		orphan_begins(s, d, body, head->framing.length, out);
	} else {
		http1_web_begins(d, head);
		body_begins(s, d, body, head->framing.length, out);
	}
	response_done(s, out->flags & OUT_ORPHAN);
}

static int64_t parse_response(struct http1_session *s, enum ev_dir from, struct slice in, struct proto_out *out)
{
	struct http1_direction *d = &s->dir[from];
	enum http1_kind asked = KIND_UNKNOWN;
	uint64_t key = 0;
	bool orphan = s->orphan || !http1_queue_front(&s->queue, &key, &asked);
	int64_t r;
	int body;

	if (orphan && !s->orphan && !s->gap)
		return http1_sniff_response(slice_to(in, 16)) == SNIFF_NO ? broken(d, -EPROTO) : -EAGAIN;
	r = http1_head_parse(&d->scan, in, &s->head);
	if (r <= 0)
		return r ? broken(d, r) : 0;
	if (orphan) {
		key = 0;
		asked = KIND_UNKNOWN;
	}
	body = bodyless(s->head.status, asked);
	if (body < 0)
		body = http1_body_kind(&s->head);
	if (body < 0)
		return broken(d, body);
	http1_learn_sides(s, from, MSG_RESPONSE);
	d->key = s->head.m.key = key;
	*out = (struct proto_out){ .flags = OUT_HEAD | (orphan ? OUT_ORPHAN : 0), .type = MSG_RESPONSE,
				   .key = key, .msg = &s->head.m };
	response_begins(s, d, asked, body, out);
	return r;
}

/* Which message can begin like this: 0 while "H" may become HTTP/1. or HEAD. */
static uint8_t begins(struct slice in)
{
	struct slice version = SLICE("HTTP/1.");

	if (slice_starts(in, version))
		return MSG_RESPONSE;
	return slice_starts(version, in) ? 0 : MSG_REQUEST;
}

/*
 * Behind a request to leave HTTP the client may already send what comes after: nothing is said of it until the
 * answer is here, unless it is a request.
 */
static bool may_be_tunnel(const struct http1_session *s, struct slice in)
{
	enum http1_kind newest = http1_queue_newest(&s->queue);

	if (newest != KIND_CONNECT && newest != KIND_UPGRADE)
		return false;
	return in.n < PROTO_HEAD_MAX && http1_sniff_request(in) == SNIFF_NO;
}

static int64_t parse_head(struct http1_session *s, enum ev_dir from, struct slice in, struct proto_out *out)
{
	struct http1_direction *d = &s->dir[from];
	struct slice head = skip_empty_lines(in);
	uint8_t side = d->side;

	if (head.n != in.n && !d->scan.at) { /* RFC 9112 §2.2 */
		*out = (struct proto_out){ .type = side, .key = 0 };
		return (int64_t)(in.n - head.n);
	}
	if (!side) {
		side = begins(in);
		if (!side)
			return 0;
	} else if (!s->confirmed && side == MSG_REQUEST && begins(in) == MSG_RESPONSE) {
		return broken(d, -EPROTO); /* resync() will see whether the sides were taken wrong */
	}
	s->head.m.type = side;
	if (side == MSG_RESPONSE)
		return parse_response(s, from, in, out);
	if (may_be_tunnel(s, in))
		return 0;
	return parse_request(s, from, in, out);
}

/* ---- bodies ---- */

static int64_t parse_chunks(struct http1_session *s, struct http1_direction *d, struct slice in, struct proto_out *out)
{
	struct proto_out o = { .type = d->side, .key = d->key };
	bool end;
	int64_t r = http1_chunks_parse(&d->chunks, in, &o.skip, &end);

	if (r < 0)
		return broken(d, r);
	if (end) {
		o.flags = OUT_END;
		d->state = AT_HEAD;
		if (d->web)
			http1_web_ends(s, d, &o);
	}
	*out = o;
	return r;
}

/* Consumes what is at hand of a body that turned out to be one. */
static int64_t resolve_doubt(struct http1_session *s, enum ev_dir from, struct slice in, struct proto_out *out)
{
	struct http1_direction *d = &s->dir[from];
	struct proto_out o = { .type = d->side, .key = d->key };
	enum sniff next = http1_sniff_response(in);
	uint64_t take = MIN(d->left, (uint64_t)in.n);

	if (next == SNIFF_MORE && (d->doubt != BODY_LENGTH || d->left > in.n))
		return 0;
	if (next == SNIFF_YES) {
		d->state = AT_HEAD;
		return parse_head(s, from, in, out);
	}
	s->orphan = false; /* what the caller said was of a response: this is none */
	body_begins(s, d, d->doubt, d->left, &o);
	if (d->state == IN_CHUNKS)
		return parse_chunks(s, d, in, out);
	if (d->state == TO_CLOSE)
		take = in.n;
	else
		o.skip -= take;
	*out = o;
	return (int64_t)take;
}

static int64_t session_parse(void *session, enum ev_dir from, struct slice in, struct proto_out *out)
{
	struct http1_session *s = session;
	struct http1_direction *d = &s->dir[from];

	switch (d->state) {
	case AT_HEAD:
		return parse_head(s, from, in, out);
	case IN_CHUNKS:
		return parse_chunks(s, d, in, out);
	case IN_WEB:
		return http1_web_parse(s, d, in, out);
	case IN_DOUBT:
		return resolve_doubt(s, from, in, out);
	case TO_CLOSE:
	case OPAQUE:
		*out = (struct proto_out){ .type = d->side, .key = d->key, .skip = SKIP_TO_END };
		return (int64_t)in.n;
	default:
		return -EPROTO;
	}
}

static bool session_finish(void *session, enum ev_dir from, struct proto_out *out)
{
	struct http1_session *s = session;
	struct http1_direction *d = &s->dir[from];

	bool web = d->state == IN_WEB && d->left > HTTP1_LENGTH_MAX;

	if (d->state != TO_CLOSE && !web)
		return false;
	d->state = OPAQUE;
	*out = (struct proto_out){ .flags = OUT_END, .type = d->side, .key = d->key };
	if (web)
		http1_web_ends(s, d, out);
	return true;
}

const struct proto_ops http1_ops = {
	.name = "http1",
	.session_size = sizeof(struct http1_session),
	.out_of_step = STAT_out_of_step,
	.resynced = STAT_resyncs,
	.sniff = session_sniff,
	.init = session_init,
	.fini = session_fini,
	.parse = session_parse,
	.answers = http1_answers,
	.finish = session_finish,
	.resync = http1_resync,
	.keep = http1_keep,
	.amend = http1_amend,
	.same = http_same,
	.method = grpc_method,
	.fill = http_fill,
};
