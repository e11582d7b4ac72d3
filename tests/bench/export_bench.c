// SPDX-License-Identifier: Apache-2.0
/* What a span costs in each encoder: ns a span and bytes a span, for batches of several sizes. Best of a few rounds. */
#include "../unit/fake_spans.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "export/gzip.h"

#define ROUNDS 7
#define SPANS 20480

static struct attr full_resource[] = {
	{ .key = { "service.name", 12 }, .type = ATTR_STRING, .s = { "shop", 4 } },
	{ .key = { "process.pid", 11 }, .type = ATTR_INT, .i = 4711 },
	{ .key = { "process.executable.path", 23 }, .type = ATTR_STRING, .s = { "/usr/sbin/nginx", 15 } },
	{ .key = { "process.executable.name", 23 }, .type = ATTR_STRING, .s = { "nginx", 5 } },
	{ .key = { "process.command", 15 }, .type = ATTR_STRING, .s = { "nginx: worker process", 21 } },
	{ .key = { "host.name", 9 }, .type = ATTR_STRING, .s = { "node-17.example.com", 19 } },
	{ .key = { "host.id", 7 }, .type = ATTR_STRING, .s = { "0123456789abcdef0123456789abcdef", 32 } },
	{ .key = { "telemetry.sdk.name", 18 }, .type = ATTR_STRING, .s = { "spandrel", 8 } },
};

static struct resource resource = { .refs = 1, .id = 9, .attrs = full_resource, .n_attrs = 8 };
static struct buf out, packed;

static int to_protobuf(struct span **spans, uint32_t n)
{
	return otlp_encode(spans, n, "1", &out);
}

static int to_json(struct span **spans, uint32_t n)
{
	return otlp_json_encode(spans, n, "1", &out);
}

static int to_gzip(struct span **spans, uint32_t n)
{
	int r = otlp_encode(spans, n, "1", &out);

	buf_reset(&packed);
	return r ? r : gzip_encode(buf_slice(&out), &packed);
}

static void measure(const char *name, int (*encode)(struct span **, uint32_t), struct span **spans, uint32_t batch)
{
	uint64_t best = UINT64_MAX;
	size_t bytes = 0;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID), took;

		for (uint32_t i = 0; i < SPANS; i += batch) {
			buf_reset(&out);
			if (encode(spans, batch))
				exit(1);
		}
		took = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
		best = MIN(best, took);
		bytes = packed.n ? packed.n : out.n;
	}
	printf("%-14s batch %4u  %6.0f ns/span  %5.0f bytes/span\n", name, batch, (double)best / SPANS, (double)bytes / batch);
	buf_reset(&packed);
}

int main(void)
{
	static const uint32_t batches[] = { 1, 16, 512 };
	struct span *spans[512];

	buf_init(&out, 4 << 20);
	buf_init(&packed, 4 << 20);
	for (unsigned i = 0; i < 512; i++)
		spans[i] = fake_http(i, &resource);
	for (size_t i = 0; i < ARRAY_SIZE(batches); i++) {
		measure("otlp json", to_json, spans, batches[i]);
		measure("otlp protobuf", to_protobuf, spans, batches[i]);
		measure("protobuf+gzip", to_gzip, spans, batches[i]);
	}
	free_spans(spans, 512);
	buf_fini(&out);
	buf_fini(&packed);
	return 0;
}
