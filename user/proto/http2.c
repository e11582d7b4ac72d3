// SPDX-License-Identifier: Apache-2.0
/* The row for HTTP/2: walks the frames of both directions and says which stream's request or answer they begin, carry, end. */
#include "proto/http2.h"

#include <errno.h>

#include "base/scope.h"
#include "base/stats.h"
#include "proto/call.h"
#include "proto/grpc.h"
#include "proto/http2_session.h"
#include "proto/http_fill.h"

static int session_init(void *session, const struct proto_config *config)
{
	struct http2_session *s = session;

	s->config = config;
	s->head.http.config = config;
	s->head.http.major = 2;
	table_init(&s->streams, PROTO_OPEN_MAX);
	buf_init(&s->text, HTTP2_TEXT_MAX);
	buf_init(&s->block, PROTO_HEAD_MAX);
	for (int dir = 0; dir < 2; dir++) {
		s->dir[dir].max_frame = HTTP2_MAX_FRAME;
		if (hpack_init(&s->dir[dir].hpack))
			return -ENOMEM;
	}
	return 0;
}

static void session_fini(void *session)
{
	struct http2_session *s = session;

	for (int dir = 0; dir < 2; dir++)
		hpack_fini(&s->dir[dir].hpack);
	http2_streams_fini(s);
	buf_fini(&s->text);
	buf_fini(&s->block);
}

/* The client's preface, or the SETTINGS that begin what a server says (RFC 9113 §3.4). */
static enum sniff session_sniff(struct slice head, enum ev_dir from)
{
	struct http2_frame f;

	(void)from; /* either side may be the first that we see */
	if (slice_starts(head, HTTP2_PREFACE))
		return SNIFF_YES;
	if (slice_starts(HTTP2_PREFACE, head))
		return SNIFF_MORE;
	if (head.n < HTTP2_FRAME_HEAD)
		return !head.p[0] && (head.n < 4 || head.p[3] == F_SETTINGS) ? SNIFF_MORE : SNIFF_NO;
	f = http2_frame_read(head.p);
	return f.type == F_SETTINGS && !f.flags && http2_frame_plausible(&f, 1024) ? SNIFF_YES : SNIFF_NO;
}

/* ---- frames that carry no message ---- */

static int64_t parse_goaway(struct http2_session *s, enum ev_dir from, const struct http2_frame *f, struct slice in,
			    struct proto_out *out)
{
	if (f->length >= 8 && in.n < HTTP2_FRAME_HEAD + 8)
		return 0;
	if (f->length >= 8 && s->dir[from].side == MSG_RESPONSE)
		http2_goaway(s, http2_u32(in.p + HTTP2_FRAME_HEAD) & 0x7fffffff, http2_u32(in.p + HTTP2_FRAME_HEAD + 4), out);
	return http2_pass_frame(f, in, out);
}

/* ---- header blocks ---- */

/* The answer to a request that may be here later: a send is seen when it returns. */
static bool must_wait(struct http2_session *s, struct http2_direction *d, uint32_t stream)
{
	if (d->side != MSG_RESPONSE || !(stream & 1) || stream <= s->last || stream <= d->orphans_to)
		return false;
	if (http2_side(s, MSG_REQUEST)->state == H2_LOST)
		return false;
	d->waits = stream;
	return true;
}

/* A block of the asking side on a stream that is not open: a new one, unless it can be the trailers of an older one. */
static bool is_new_request(struct http2_session *s, const struct http2_direction *d, uint32_t stream, bool end)
{
	bool unknown = s->head.unknown & HTTP2_UNKNOWN_NAMES;

	if (!(stream & 1) || stream <= s->last)
		return false;
	s->last = stream;
	if (http2_head_kind(&s->head) == MSG_REQUEST)
		return true;
	return unknown && (!d->gap || !end);
}

static void headers_known(struct http2_session *s, enum ev_dir from, const struct http2_frame *f, struct proto_out *out)
{
	struct http2_direction *d = &s->dir[from];
	bool end = f->flags & FLAG_END_STREAM;
	uint8_t kind = http2_head_kind(&s->head);
	struct http2_stream *st;

	if (!d->side && kind)
		http2_learn_sides(s, from, kind);
	st = d->side == MSG_REQUEST ? http2_stream_find(s, f->stream) : NULL;
	if (d->side == MSG_RESPONSE) {
		http2_response_head(s, f->stream, end, out);
	} else if (st && end) {
		http2_request_ends(st, out);
	} else if (!st && d->side == MSG_REQUEST && is_new_request(s, d, f->stream, end)) {
		http2_request_head(s, f->stream, end, out);
	}
}

static void promise_known(struct http2_session *s, enum ev_dir from, const struct http2_frame *f, struct slice in,
			  struct proto_out *out)
{
	size_t at = HTTP2_FRAME_HEAD + !!(f->flags & FLAG_PADDED);
	uint32_t promised = http2_u32(in.p + at) & 0x7fffffff;

	if (!s->dir[from].side)
		http2_learn_sides(s, from, MSG_RESPONSE);
	if (!promised || promised & 1 || s->dir[from].side != MSG_RESPONSE || http2_stream_find(s, promised))
		return;
	http2_request_head(s, promised, true, out);
	if (out->flags)
		out->flags |= OUT_PROMISED;
}

/* The block is too long to be read: its stream is told of by what is known, nothing of the rest is kept. */
static int64_t block_too_long(struct http2_session *s, enum ev_dir from, const struct http2_frame *f, struct slice in,
			      struct proto_out *out)
{
	struct http2_direction *d = &s->dir[from];
	struct http2_frame last = *f;
	int64_t n = d->scan;

	hpack_lost(&d->hpack);
	http2_head_reset(s, d->side);
	s->head.unknown = HTTP2_UNKNOWN_NAMES;
	s->head.http.m.truncated = true;
	stat_inc(h2_too_long);
	d->state = H2_BLOCK;
	if (!n) {
		n = http2_pass_frame(f, in, out);
		d->state = last.flags & FLAG_END_HEADERS ? H2_FRAME : H2_BLOCK;
	}
	d->scan = 0;
	if (f->type == F_HEADERS)
		headers_known(s, from, f, out);
	return n;
}

static int64_t parse_block(struct http2_session *s, enum ev_dir from, const struct http2_frame *f, struct slice in,
			   struct proto_out *out)
{
	struct http2_direction *d = &s->dir[from];
	struct slice block;
	int64_t r;

	if (must_wait(s, d, f->stream))
		return -EAGAIN;
	r = http2_block_find(s, d, f, in, &block);
	if (r == -EMSGSIZE)
		return block_too_long(s, from, f, in, out);
	if (r <= 0)
		return r;
	if (http2_block_read(s, d, block))
		return d->doubt ? -EPROTO : r;
	if (f->type == F_HEADERS)
		headers_known(s, from, f, out);
	else
		promise_known(s, from, f, in, out);
	return r;
}

/* Behind a block that was too long. */
static int64_t parse_rest_of_block(struct http2_direction *d, struct slice in, struct proto_out *out)
{
	struct http2_frame f;

	if (in.n < HTTP2_FRAME_HEAD)
		return 0;
	f = http2_frame_read(in.p);
	if (f.type != F_CONTINUATION || f.length > HTTP2_FAR_FRAME)
		return -EPROTO;
	if (f.flags & FLAG_END_HEADERS)
		d->state = H2_FRAME;
	return http2_pass_frame(&f, in, out);
}

/* ---- the row's functions ---- */

static int64_t parse_reset(struct http2_session *s, enum ev_dir from, const struct http2_frame *f, struct slice in,
			   struct proto_out *out)
{
	struct http2_direction *d = &s->dir[from];

	if (f->length != 4)
		return http2_pass_frame(f, in, out);
	if (in.n < HTTP2_FRAME_HEAD + 4)
		return 0;
	if (must_wait(s, d, f->stream))
		return -EAGAIN;
	if (d->side)
		http2_reset(s, f->stream, d->side == MSG_REQUEST, http2_u32(in.p + HTTP2_FRAME_HEAD), out);
	return http2_pass_frame(f, in, out);
}

static int64_t parse_frame(struct http2_session *s, enum ev_dir from, struct slice in, struct proto_out *out)
{
	struct http2_direction *d = &s->dir[from];
	struct http2_frame f;
	uint32_t max;

	if (in.n < HTTP2_FRAME_HEAD)
		return 0;
	f = http2_frame_read(in.p);
	max = http2_max_frame(s, d);
	if (f.length > max || (d->doubt && !http2_frame_plausible(&f, max)))
		return -EPROTO;
	switch (f.type) {
	case F_DATA:
		return http2_data_begin(s, from, &f, in, out);
	case F_HEADERS:
	case F_PUSH_PROMISE:
		return parse_block(s, from, &f, in, out);
	case F_RST_STREAM:
		return parse_reset(s, from, &f, in, out);
	case F_SETTINGS:
		return http2_settings(s, from, &f, in) ? http2_pass_frame(&f, in, out) : 0;
	case F_GOAWAY:
		return parse_goaway(s, from, &f, in, out);
	case F_CONTINUATION: /* of nothing: what it holds is missing in the table */
		hpack_lost(&d->hpack);
		return http2_pass_frame(&f, in, out);
	default:
		return http2_pass_frame(&f, in, out);
	}
}

static int64_t parse_start(struct http2_session *s, enum ev_dir from, struct slice in, struct proto_out *out)
{
	struct http2_direction *d = &s->dir[from];

	if (in.n < HTTP2_PREFACE.n && slice_starts(HTTP2_PREFACE, in))
		return 0;
	if (!slice_starts(in, HTTP2_PREFACE) && d->side == MSG_REQUEST)
		return -EPROTO;
	d->state = H2_FRAME;
	if (!slice_starts(in, HTTP2_PREFACE)) { /* whoever says something else first is the server */
		http2_learn_sides(s, from, MSG_RESPONSE);
		return parse_frame(s, from, in, out);
	}
	http2_learn_sides(s, from, MSG_REQUEST);
	return (int64_t)HTTP2_PREFACE.n;
}

static int64_t session_parse(void *session, enum ev_dir from, struct slice in, struct proto_out *result)
{
	struct http2_session *s = session;
	struct http2_direction *d = &s->dir[from];
	struct proto_out out = { .type = d->side };
	int64_t r = -EPROTO;

	switch (d->state) {
	case H2_START:
		r = parse_start(s, from, in, &out);
		break;
	case H2_FRAME:
		r = parse_frame(s, from, in, &out);
		break;
	case H2_DATA:
		r = http2_data_go_on(s, from, in, &out);
		break;
	case H2_BLOCK:
		r = parse_rest_of_block(d, in, &out);
		break;
	}
	if (r > 0) {
		*result = out;
		d->doubt -= !!d->doubt;
	}
	return r;
}

static bool session_begins(const void *session, enum ev_dir from, struct slice in)
{
	const struct http2_session *s = session;
	struct http2_frame f;

	if (s->dir[from].state != H2_FRAME || in.n < HTTP2_FRAME_HEAD)
		return false;
	f = http2_frame_read(in.p);
	return f.type == F_HEADERS && f.stream & 1 && f.stream > s->last;
}

static bool session_finish(void *session, enum ev_dir from, struct proto_out *out)
{
	(void)session;
	(void)from;
	(void)out;
	return false; /* what is open then was not answered */
}

static void session_forget(void *session, uint64_t key)
{
	struct http2_session *s = session;
	struct http2_stream *st = table_get(&s->streams, key);

	if (st)
		http2_stream_close(s, st);
}

/* RFC 7540 §3.2: the request with which the connection was upgraded is stream 1, and has ended. */
static struct message *session_inherit(void *session, const struct message *req, enum ev_dir from, struct arena *arena)
{
	struct http2_session *s = session;
	struct http2_message *m = arena_zalloc(arena, sizeof(*m));

	if (!m)
		return NULL;
	m->http = *(const struct http1_message *)req;
	m->http.m.key = 1;
	m->http.major = 2; /* what it is answered in */
	http2_learn_sides(s, from, MSG_REQUEST);
	s->last = 1;
	return http2_stream_open(s, 1) ? &m->http.m : NULL;
}

const struct proto_ops http2_ops = {
	.name = "http2",
	.session_size = sizeof(struct http2_session),
	.out_of_step = STAT_out_of_step_h2,
	.resynced = STAT_resyncs_h2,
	.multiplexed = true,
	.sniff = session_sniff,
	.begins = session_begins,
	.init = session_init,
	.fini = session_fini,
	.parse = session_parse,
	.answers = http2_answers,
	.finish = session_finish,
	.resync = http2_resync,
	.lacks = http2_lacks,
	.framings = http2_framings,
	.framing = http2_framing,
	.ahead = http2_ahead,
	.forget = session_forget,
	.inherit = session_inherit,
	.keep = http2_keep,
	.amend = http2_amend,
	.same = http_same,
	.method = grpc_method,
	.fill = http_fill,
};
