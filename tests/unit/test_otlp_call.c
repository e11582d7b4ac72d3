// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include "base/scope.h"
#include "proto/call.h"
#include "proto/http1.h"
#include "proto/http2.h"
#include "proto/otlp_call.h"

static void test_otlp_call__table(void)
{
	static const struct {
		const char *method, *target;
		bool want;
	} rows[] = {
		{ "POST", "/v1/traces", true },
		{ "POST", "/otlp/v1/traces?token=x", true },
		{ "POST", "http://collector:4318/v1/traces", true },
		{ "POST", "/opentelemetry.proto.collector.trace.v1.TraceService/Export", true },
		{ "GET", "/v1/traces", false },
		{ "POST", "/v1/traces/7", false },
		{ "POST", "/v1/traces/", false },
		{ "POST", "/v1/metrics", false },
		{ "POST", "/?x=/v1/traces", false },
		{ "POST", "v1/traces", false },
		{ "POST", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", false },
		{ "POST", "/x/opentelemetry.proto.collector.trace.v1.TraceService/Export", false },
		{ "POST", "", false }, /* not seen */
		{ "", "/v1/traces", false },
	};
	const struct proto_ops *const protos[] = { &http1_ops, &http2_ops };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t k = 0; k < ARRAY_SIZE(protos); k++) {
			struct http2_message m = { .http = { .method = slice_str(rows[i].method), .target = slice_str(rows[i].target) } };
			struct call call = { .proto = protos[k], .req = &m.http.m };

			if (otlp_call(&call) != rows[i].want)
				printf("# %s %s\n", rows[i].method, rows[i].target);
			CHECK(otlp_call(&call) == rows[i].want);
		}
}

static void test_otlp_call__of_another_protocol(void)
{
	struct proto_ops other = { .name = "other" };
	struct message m = { 0 };
	struct call call = { .proto = &other, .req = &m };

	CHECK(!otlp_call(&call));
}

int main(void)
{
	RUN(test_otlp_call__table);
	RUN(test_otlp_call__of_another_protocol);
	return tap_done();
}
