// SPDX-License-Identifier: Apache-2.0
/*
 * OTLP/gRPC (OTLP specification, "OTLP/gRPC"; gRPC over HTTP2): a unary call. Its status stands in the trailers. A server that
 * names no time but is exhausted is taken to find the message too large: half of it may pass.
 */
#include "export/http_format.h"

#include "base/base64.h"
#include "base/hex.h"
#include "base/scope.h"

#define DETAILS_MAX 8192

enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
};

/* The first value of a -bin header, as far as it is base64. Returns the bytes. */
static size_t unbase64(struct slice text, char *to, size_t max)
{
	uint32_t bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < text.n && n < max; i++) {
		int v = base64_value(text.p[i]);

		if (v < 0)
			break;
		bits = bits << 6 | (uint32_t)v;
		if (i % 4)
			to[n++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	return n;
}

/* Percent-encoded; what is not stays as it is. */
static void say_message(struct http_verdict *v, struct slice s)
{
	char text[VERDICT_TEXT];
	size_t n = 0;

	for (size_t i = 0; i < s.n && n < sizeof(text); i++) {
		int hi = s.p[i] == '%' && i + 2 < s.n ? hex_digit_any(s.p[i + 1]) : -1, lo = hi < 0 ? -1 : hex_digit_any(s.p[i + 2]);

		if (lo >= 0)
			i += 2;
		text[n++] = lo < 0 ? s.p[i] : (char)(hi << 4 | lo);
	}
	verdict_say(v, slice_of(text, n));
}

static bool retryable(int status)
{
	return status == GRPC_CANCELLED || status == GRPC_DEADLINE_EXCEEDED || status == GRPC_ABORTED ||
	       status == GRPC_OUT_OF_RANGE || status == GRPC_UNAVAILABLE || status == GRPC_DATA_LOSS;
}

static void judge_call(struct slice fields, struct http_verdict *v)
{
	char bytes[DETAILS_MAX];
	struct slice message = post_field(fields, SLICE("grpc-message"));
	size_t n = unbase64(post_field(fields, SLICE("grpc-status-details-bin")), bytes, sizeof(bytes));
	bool told = n && judge_rpc_status(slice_of(bytes, n), v);

	if (message.n)
		say_message(v, message);
	if (retryable(v->grpc) || (v->grpc == GRPC_RESOURCE_EXHAUSTED && told))
		v->fate = FATE_LATER;
	else if (v->grpc == GRPC_RESOURCE_EXHAUSTED)
		v->fate = FATE_TOO_LARGE;
	else
		v->fate = FATE_REFUSED;
}

/* One message behind its prefix. */
static void judge_answer(const struct post_answer *a, struct http_verdict *v)
{
	v->fate = FATE_TAKEN;
	if (a->body.n > HTTP_FRAME && !a->body.p[0]) /* compression was not offered */
		judge_response(slice_from(a->body, HTTP_FRAME), v);
}

/* Without a status of its own: the connection broke, something on the way answered, or it is no gRPC. */
static void judge_without(const struct post_answer *a, struct http_verdict *v)
{
	judge_status(a, v);
	if (v->fate != FATE_TAKEN)
		return;
	v->fate = a->broken ? FATE_LATER : FATE_REFUSED;
	verdict_say(v, SLICE("no gRPC status"));
}

static void grpc_judge(const struct post_answer *a, struct http_verdict *v)
{
	struct slice status = post_field(a->fields, SLICE("grpc-status"));
	uint64_t code;

	*v = (struct http_verdict){ .wait = a->retry_after, .grpc = -1 };
	if (!slice_u64(status, &code)) {
		judge_without(a, v);
		return;
	}
	v->grpc = (int)MIN(code, (uint64_t)99);
	if (v->grpc == GRPC_OK)
		judge_answer(a, v);
	else
		judge_call(a->fields, v);
}

const struct http_format_ops http_grpc = {
	.content_type = "application/grpc",
	.path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
	.grpc = true,
	.encode = otlp_encode,
	.judge = grpc_judge,
};
