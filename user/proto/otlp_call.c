// SPDX-License-Identifier: Apache-2.0
#include "proto/otlp_call.h"

#include "proto/call.h"
#include "proto/http1.h"
#include "proto/http2.h"

static bool ends(struct slice s, struct slice tail)
{
	return s.n >= tail.n && slice_eq(slice_from(s, s.n - tail.n), tail);
}

bool otlp_call(const struct call *call)
{
	const struct http1_message *req = (const struct http1_message *)call->req;
	struct slice path = SLICE_NONE, rest;

	if ((call->proto != &http1_ops && call->proto != &http2_ops) || !slice_eq(req->method, SLICE("POST")))
		return false;
	rest = req->target;
	slice_split(&rest, '?', &path);
	return ends(path, SLICE("/v1/traces")) ||
	       slice_eq(path, SLICE("/opentelemetry.proto.collector.trace.v1.TraceService/Export"));
}
