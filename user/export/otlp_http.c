// SPDX-License-Identifier: Apache-2.0
/* OTLP/HTTP (OTLP specification, "OTLP/HTTP"): protobuf and JSON differ in the encoding of both ways only. */
#include "export/http_format.h"

#include "export/json_read.h"

static void otlp_judge(const struct post_answer *a, struct http_verdict *v)
{
	judge_status(a, v);
	if (v->fate == FATE_TAKEN)
		judge_response(a->body, v);
	else
		judge_rpc_status(a->body, v);
}

static void json_judge(const struct post_answer *a, struct http_verdict *v)
{
	struct slice partial;
	uint64_t rejected;

	judge_status(a, v);
	if (v->fate != FATE_TAKEN) {
		verdict_say(v, json_unquote(json_member(a->body, SLICE("message"))));
		return;
	}
	partial = json_member(a->body, SLICE("partialSuccess"));
	if (slice_u64(json_unquote(json_member(partial, SLICE("rejectedSpans"))), &rejected))
		v->rejected = rejected;
	verdict_say(v, json_unquote(json_member(partial, SLICE("errorMessage"))));
}

const struct http_format_ops http_otlp = {
	.content_type = "application/x-protobuf",
	.path = "/v1/traces",
	.encode = otlp_encode,
	.judge = otlp_judge,
};

const struct http_format_ops http_otlp_json = {
	.content_type = "application/json",
	.path = "/v1/traces",
	.encode = otlp_json_encode,
	.judge = json_judge,
};
