// SPDX-License-Identifier: Apache-2.0
/*
 * Header blocks (RFC 9113 §4.3, §8.3): put together from their frames, decoded, and what the span shows of their fields noted. A
 * value lives in the session's text until the next block.
 */
#include <errno.h>

#include "base/scope.h"
#include "base/stats.h"
#include "proto/http2_session.h"

/* ---- fields ---- */

void http2_head_reset(struct http2_session *s, uint8_t type)
{
	struct http2_head *head = &s->head;

	buf_reset(&s->text);
	buf_append(&s->text, "", 1); /* a note at 0 is none */
	head->http.m = (struct message){ .type = type };
	head->http.raw = buf_slice(&s->text);
	head->http.method = head->http.target = (struct http1_note){ 0 };
	head->http.status = 0;
	head->http.framing = (struct http1_framing){ 0 };
	head->http.notes.n_carriers = head->http.notes.n_captures = 0;
	head->http.notes.overflow = head->http.notes.folded = false;
	memset(head->http.notes.known, 0, sizeof(head->http.notes.known));
	head->unknown = 0;
	head->trailers = false;
	head->end = (struct http2_end){ 0 };
}

/* The value, where it stays; p NULL if there is no room. */
static struct slice text_add(struct http2_session *s, struct slice value)
{
	size_t at = s->text.n;

	if (at + value.n > HTTP2_TEXT_MAX || buf_str(&s->text, value)) {
		s->text.failed = false;
		return SLICE_NONE;
	}
	s->head.http.raw = buf_slice(&s->text);
	return slice_of(s->text.p + at, value.n);
}

static struct http1_note note_of(const struct http2_session *s, struct slice value)
{
	return (struct http1_note){ (uint16_t)(value.p - s->text.p), (uint16_t)value.n };
}

static const struct pseudo {
	struct slice name;
	uint32_t bit;	 /* in `unknown` */
	bool secret_too; /* its value says nothing that is anybody's own */
	size_t note;	 /* offset in struct http1_head; 0: the status */
} pseudos[] = {
#define KNOWN(which) offsetof(struct http1_head, notes.known) + (which) * sizeof(struct http1_note)
	{ { ":method", 7 }, HTTP2_UNKNOWN_METHOD, true, offsetof(struct http1_head, method) },
	{ { ":path", 5 }, HTTP2_UNKNOWN_PATH, false, offsetof(struct http1_head, target) },
	{ { ":status", 7 }, HTTP2_UNKNOWN_STATUS, true, 0 },
	{ { ":scheme", 7 }, HTTP2_UNKNOWN(H1_SCHEME), true, KNOWN(H1_SCHEME) },
	{ { ":authority", 10 }, HTTP2_UNKNOWN(H1_AUTHORITY), false, KNOWN(H1_AUTHORITY) },
	{ { ":protocol", 9 }, HTTP2_UNKNOWN(H1_PROTOCOL), true, KNOWN(H1_PROTOCOL) },
#undef KNOWN
};

static void note_status(struct http2_head *head, struct slice value)
{
	uint64_t code;

	if (value.n == 3 && slice_u64(value, &code) && code >= 100)
		head->http.status = (uint16_t)code;
}

static void note_pseudo(struct http2_session *s, const struct pseudo *p, const struct hpack_field *f)
{
	bool hidden = f->flags & HPACK_NEVER_INDEXED && !p->secret_too;
	struct http1_note *note = p->note ? (struct http1_note *)((char *)&s->head.http + p->note) : NULL;
	struct slice value;

	if (note && note->at)
		return;
	if (f->flags & HPACK_VALUE_UNKNOWN || hidden) {
		s->head.unknown |= p->bit;
		return;
	}
	if (!note) {
		note_status(&s->head, f->value);
		return;
	}
	value = text_add(s, f->value);
	if (value.p)
		*note = note_of(s, value);
	else
		s->head.unknown |= p->bit;
}

static void pseudo_field(struct http2_session *s, const struct hpack_field *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(pseudos); i++)
		if (slice_eq(f->name, pseudos[i].name)) {
			note_pseudo(s, &pseudos[i], f);
			return;
		}
}

/* Values that are never to be indexed are somebody's secret, but for those that only say how the call is made. */
static bool may_keep(const struct hpack_field *f, enum http1_known known)
{
	return !(f->flags & HPACK_NEVER_INDEXED) ||
	       (known >= H1_CONTENT_TYPE && known <= H1_GRPC_STATUS);
}

static void on_field(void *arg, const struct hpack_field *f)
{
	struct http2_session *s = arg;
	struct http1_field field;
	struct slice value;

	if (f->flags & HPACK_NAME_UNKNOWN) {
		s->head.unknown |= HTTP2_UNKNOWN_NAMES;
		return;
	}
	if (f->name.n && f->name.p[0] == ':') {
		pseudo_field(s, f);
		return;
	}
	if (!http1_field_find(&s->head.http, f->name, &field) || !may_keep(f, field.known))
		return;
	value = f->flags & HPACK_VALUE_UNKNOWN ? SLICE_NONE : text_add(s, f->value);
	if (value.p)
		http1_field_note(&s->head.http, &field, value);
	else
		s->head.unknown |= field.known < H1_KNOWN_MAX ? HTTP2_UNKNOWN(field.known) : HTTP2_UNKNOWN_NAMES;
}

int http2_block_read(struct http2_session *s, struct http2_direction *d, struct slice block)
{
	int r;

	http2_head_reset(s, d->side);
	r = block.p ? hpack_decode(&d->hpack, block, on_field, s) : -EPROTO;
	if (r == -EPROTO)
		stat_inc(h2_malformed);
	if (r) {
		hpack_lost(&d->hpack);
		http2_head_reset(s, d->side);
		s->head.unknown = HTTP2_UNKNOWN_NAMES;
	}
	if (s->head.unknown)
		stat_inc(h2_unknown);
	s->head.http.m.truncated = s->head.unknown;
	return r == -EPROTO ? r : 0;
}

uint8_t http2_head_kind(const struct http2_head *head)
{
	const struct http1_note *known = head->http.notes.known;
	uint32_t asks = HTTP2_UNKNOWN_METHOD | HTTP2_UNKNOWN_PATH | HTTP2_UNKNOWN(H1_SCHEME) |
			HTTP2_UNKNOWN(H1_AUTHORITY);

	if (head->http.status || head->unknown & HTTP2_UNKNOWN_STATUS)
		return MSG_RESPONSE;
	if (head->http.method.at || head->http.target.at || known[H1_SCHEME].at || known[H1_AUTHORITY].at ||
	    head->unknown & asks)
		return MSG_REQUEST;
	return 0;
}

/* ---- frames of a block ---- */

/* Whole frames of the block at the front: bytes, and whether the last one of them ends it. */
static int64_t find_end(struct http2_direction *d, uint32_t stream, struct slice in, bool *broken)
{
	size_t at = d->scan;

	*broken = false;
	while (in.n - at >= HTTP2_FRAME_HEAD) {
		struct http2_frame f = http2_frame_read(in.p + at);
		size_t end = at + HTTP2_FRAME_HEAD + f.length;

		if (at && (f.type != F_CONTINUATION || f.stream != stream)) {
			*broken = true; /* RFC 9113 §6.10: nothing may stand between */
			return (int64_t)at;
		}
		if (end > PROTO_HEAD_MAX)
			return -EMSGSIZE;
		if (end > in.n)
			break;
		if (f.flags & FLAG_END_HEADERS)
			return (int64_t)end;
		d->scan = (uint32_t)(at = end);
	}
	return 0;
}

/* The fragments of these frames in one piece. False: they do not add up, or there is no memory. */
static bool join(struct http2_session *s, struct slice in, size_t more, struct slice *block)
{
	bool first = true;

	buf_reset(&s->block);
	while (in.n) {
		struct http2_frame f = http2_frame_read(in.p);
		struct slice payload = slice_to(slice_from(in, HTTP2_FRAME_HEAD), f.length), part = payload;

		if (first && !http2_fragment(&f, payload, more, &part))
			return false;
		if (payload.n + HTTP2_FRAME_HEAD == in.n && first) {
			*block = part; /* the usual case: one frame */
			return true;
		}
		if (buf_str(&s->block, part))
			return false;
		first = false;
		in = slice_from(in, HTTP2_FRAME_HEAD + f.length);
	}
	*block = buf_slice(&s->block);
	return true;
}

int64_t http2_block_find(struct http2_session *s, struct http2_direction *d, const struct http2_frame *f,
			 struct slice in, struct slice *block)
{
	size_t more = f->type == F_PUSH_PROMISE ? 4 : 0;
	bool broken;
	int64_t r = find_end(d, f->stream, in, &broken);

	if (r <= 0)
		return r;
	d->scan = 0;
	if (broken || !join(s, slice_to(in, (size_t)r), more, block))
		*block = SLICE_NONE;
	return r;
}
