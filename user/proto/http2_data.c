// SPDX-License-Identifier: Apache-2.0
/* DATA: passed over, here and in the kernel, but for the messages of gRPC calls, which are counted on the way. */
#include "base/scope.h"
#include "proto/http2_session.h"

int64_t http2_pass_frame(const struct http2_frame *f, struct slice in, struct proto_out *out)
{
	size_t whole = HTTP2_FRAME_HEAD + f->length, n = MIN(whole, in.n);

	out->skip = whole - n;
	return (int64_t)n;
}

void http2_request_ends(struct http2_stream *st, struct proto_out *out)
{
	st->asked = true;
	out->flags = OUT_END;
	out->type = MSG_REQUEST;
	out->key = st->id;
}

static struct grpc_count *count_of(const struct http2_direction *d, struct http2_stream *st)
{
	return st && d->side ? &st->sent[d->side - 1] : NULL;
}

/* `pass` of what is left need not be looked at. */
static void pass_on(struct http2_session *s, struct http2_direction *d, struct http2_stream *st, uint64_t pass,
		    struct proto_out *out)
{
	struct http2_data *data = &d->data;

	data->left -= (uint32_t)pass;
	out->skip = pass;
	out->type = d->side;
	out->key = st ? data->stream : 0;
	d->state = data->left ? H2_DATA : H2_FRAME;
	if (data->left)
		return;
	out->skip += data->padding;
	if (data->end && st && d->side == MSG_RESPONSE)
		http2_response_end(s, st, out);
	else if (data->end && st)
		http2_request_ends(st, out);
}

/* `in` goes on behind n consumed bytes. */
static int64_t walk(struct http2_session *s, struct http2_direction *d, struct http2_stream *st, struct slice in, size_t n,
		    struct proto_out *out)
{
	struct grpc_count *count = count_of(d, st);
	uint32_t take = (uint32_t)MIN((size_t)d->data.left, in.n - n);
	uint64_t pass;

	if (count)
		grpc_count_feed(count, slice_of(in.p + n, take));
	d->data.left -= take;
	pass = MIN(count ? grpc_count_passable(count) : UINT64_MAX, (uint64_t)d->data.left);
	if (count)
		grpc_count_pass(count, pass);
	pass_on(s, d, st, pass, out);
	return (int64_t)(n + take);
}

int64_t http2_data_begin(struct http2_session *s, enum ev_dir from, const struct http2_frame *f, struct slice in,
			 struct proto_out *out)
{
	struct http2_direction *d = &s->dir[from];
	bool padded = f->flags & FLAG_PADDED && f->length;
	struct http2_stream *st = d->side ? http2_stream_find(s, f->stream) : NULL;
	size_t n = HTTP2_FRAME_HEAD + padded;

	if (in.n < n)
		return 0;
	d->data = (struct http2_data){ .stream = f->stream, .left = f->length - padded,
				       .end = f->flags & FLAG_END_STREAM };
	if (padded)
		d->data.padding = (uint8_t)in.p[HTTP2_FRAME_HEAD];
	if (d->data.padding > d->data.left)
		return http2_pass_frame(f, in, out);
	d->data.left -= d->data.padding;
	if (st && !st->grpc)
		grpc_count_lose(&st->sent[d->side - 1]);
	return walk(s, d, st, in, n, out);
}

int64_t http2_data_go_on(struct http2_session *s, enum ev_dir from, struct slice in, struct proto_out *out)
{
	struct http2_direction *d = &s->dir[from];

	return walk(s, d, http2_stream_find(s, d->data.stream), in, 0, out);
}

/* ---- what the kernel may pass over ---- */

#define MAGIC "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define FRAMING .protocol = 2, .header = HTTP2_FRAME_HEAD, .len_size = 3, .type_at = 3, .max = 1 << 20, .keep = 64, .worth = 2048, \
		.magic_len = sizeof(MAGIC) - 1, .magic.bytes = { 'P', 'R', 'I', ' ', '*', ' ', 'H', 'T', 'T', 'P', '/', '2', '.', '0', \
		'\r', '\n', '\r', '\n', 'S', 'M', '\r', '\n', '\r', '\n' }, .mask.words = { ~0ULL, ~0ULL, ~0ULL }, .first = F_SETTINGS

/* DATA is one long message or none of ours; or its borders are looked for in every byte. */
static const struct framing pass_data = { FRAMING, .pass = { 1 << F_DATA } };
static const struct framing keep_data = { FRAMING };

const struct framing *const http2_framings[] = { &pass_data, &keep_data, NULL };

const struct framing *http2_framing(const void *session)
{
	return ((const struct http2_session *)session)->mixed ? &keep_data : &pass_data;
}

uint64_t http2_ahead(const void *session, enum ev_dir from)
{
	const struct http2_direction *d = &((const struct http2_session *)session)->dir[from];

	if (d->doubt)
		return UINT64_MAX;
	if (d->state == H2_DATA)
		return (uint64_t)d->data.left + d->data.padding;
	return d->state == H2_FRAME ? 0 : UINT64_MAX;
}

/* The rest of the frame is passed over: where messages begin in it is not known then, and it is not let happen again. */
bool http2_lacks(void *session, enum ev_dir from, uint64_t n, struct proto_out *out)
{
	struct http2_session *s = session;
	struct http2_direction *d = &s->dir[from];
	struct http2_stream *st;
	struct grpc_count *count;

	if (d->state != H2_DATA || n > d->data.left)
		return false;
	st = http2_stream_find(s, d->data.stream);
	count = count_of(d, st);
	if (count)
		grpc_count_lose(count);
	s->mixed |= st && st->grpc;
	pass_on(s, d, st, d->data.left, out);
	return true;
}
