// SPDX-License-Identifier: Apache-2.0
#include "export/http_format.h"

#include <errno.h>

#include "base/clock.h"
#include "export/gzip.h"
#include "export/otlp_fields.h"
#include "export/protobuf.h"

const struct http_format_ops *http_format(uint8_t format)
{
	switch ((enum http_format)format) {
	case FORMAT_OTLP:
		return &http_otlp;
	case FORMAT_OTLP_JSON:
		return &http_otlp_json;
	case FORMAT_GRPC:
		return &http_grpc;
	case FORMAT_ZIPKIN:
		return &http_zipkin;
	}
	return &http_otlp;
}

/* Room for gRPC's prefix: compressed or not, length. */
static int frame_begin(const struct http_format_ops *f, struct buf *body)
{
	buf_reset(body);
	return f->grpc ? buf_append(body, (char[HTTP_FRAME]){ 0 }, HTTP_FRAME) : 0;
}

static void frame_end(const struct http_format_ops *f, bool gzip, struct buf *body)
{
	size_t n = body->n - HTTP_FRAME;

	if (!f->grpc)
		return;
	body->p[0] = gzip;
	for (int i = 0; i < 4; i++)
		body->p[1 + i] = (char)(n >> (24 - 8 * i));
}

int http_format_body(const struct http_format_ops *f, bool gzip, struct slice plain, struct buf *body)
{
	int r = frame_begin(f, body);

	if (!r)
		r = gzip ? gzip_encode(plain, body) : buf_str(body, plain);
	if (!r)
		frame_end(f, gzip, body);
	return r;
}

int http_format_encode(const struct http_format_ops *f, bool gzip, const struct export_batch *b, const char *version,
		       struct buf *plain, struct buf *body)
{
	int r;

	if (gzip) {
		buf_reset(plain);
		r = f->encode(b->spans, b->n, version, plain);
		return r ? r : http_format_body(f, true, buf_slice(plain), body);
	}
	r = frame_begin(f, body); /* without compression the message is written where it belongs */
	if (!r)
		r = f->encode(b->spans, b->n, version, body);
	if (!r)
		frame_end(f, false, body);
	return r;
}

void verdict_say(struct http_verdict *v, struct slice text)
{
	text = slice_to(text, sizeof(v->text) - 1);
	if (text.n)
		memcpy(v->text, text.p, text.n);
	v->text[text.n] = 0;
}

void judge_status(const struct post_answer *a, struct http_verdict *v)
{
	*v = (struct http_verdict){ .fate = FATE_REFUSED, .grpc = -1 };
	if (a->status >= 200 && a->status < 300) {
		v->fate = FATE_TAKEN;
	} else if (!a->status || a->status == 429 || a->status == 502 || a->status == 503 || a->status == 504) {
		v->fate = FATE_LATER;
		v->wait = a->retry_after;
	} else if (a->status == 413) {
		v->fate = FATE_TOO_LARGE;
	}
}

static void read_partial(struct slice message, struct http_verdict *v)
{
	struct pb_field f;

	while (pb_next(&message, &f)) {
		if (f.number == PARTIAL_REJECTED && f.type == PB_VARINT)
			v->rejected = f.value >> 63 ? 0 : f.value; /* an int64 */
		else if (f.number == PARTIAL_MESSAGE && f.type == PB_BYTES)
			verdict_say(v, f.bytes);
	}
}

void judge_response(struct slice message, struct http_verdict *v)
{
	struct http_verdict got = *v;
	struct pb_field f;

	while (pb_next(&message, &f))
		if (f.number == RESPONSE_PARTIAL_SUCCESS && f.type == PB_BYTES)
			read_partial(f.bytes, &got);
	if (!message.n) /* half a message says nothing */
		*v = got;
}

/* google.protobuf.Duration in ns, bounded; 0 when negative or none. */
static uint64_t read_duration(struct slice message)
{
	uint64_t seconds = 0, nanos = 0;
	struct pb_field f;

	while (pb_next(&message, &f)) {
		if (f.number == DURATION_SECONDS && f.type == PB_VARINT)
			seconds = f.value;
		else if (f.number == DURATION_NANOS && f.type == PB_VARINT)
			nanos = f.value;
	}
	if (seconds >> 63 || nanos >= NS_PER_S)
		return 0;
	return (seconds < 86400 ? seconds : 86400) * NS_PER_S + nanos;
}

static bool read_retry_info(struct slice any, struct http_verdict *v)
{
	struct slice type = SLICE_NONE, value = SLICE_NONE;
	struct pb_field f;

	while (pb_next(&any, &f)) {
		if (f.number == ANY_TYPE && f.type == PB_BYTES)
			type = f.bytes;
		else if (f.number == ANY_VALUE && f.type == PB_BYTES)
			value = f.bytes;
	}
	if (!slice_eq(type, SLICE("type.googleapis.com/google.rpc.RetryInfo")))
		return false;
	while (pb_next(&value, &f))
		if (f.number == RETRY_INFO_DELAY && f.type == PB_BYTES)
			v->wait = read_duration(f.bytes);
	return true;
}

bool judge_rpc_status(struct slice message, struct http_verdict *v)
{
	bool told = false;
	struct pb_field f;

	while (pb_next(&message, &f)) {
		if (f.number == RPC_STATUS_MESSAGE && f.type == PB_BYTES)
			verdict_say(v, f.bytes);
		else if (f.number == RPC_STATUS_DETAILS && f.type == PB_BYTES)
			told |= read_retry_info(f.bytes, v);
	}
	return told;
}
