/* SPDX-License-Identifier: Apache-2.0 */
/* Spans without a pipeline, for the export tests. span_free() is ours: it counts. */
#ifndef SPANDREL_FAKE_SPANS_H
#define SPANDREL_FAKE_SPANS_H

#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/stats.h"
#include "export/export.h"
#include "host/process.h"

static unsigned spans_alive, spans_freed;

void span_free(struct span *s)
{
	spans_alive--;
	spans_freed++;
	free(s->d.attrs);
	free(s);
}

__attribute__((unused)) static const struct slice fake_values[2] = { { "one", 3 }, { "t\"wo\n", 5 } };

static struct attr attr_s(const char *key, struct slice value)
{
	return (struct attr){ .key = slice_str(key), .type = ATTR_STRING, .s = value };
}

static struct attr attr_i(const char *key, int64_t value)
{
	return (struct attr){ .key = slice_str(key), .type = ATTR_INT, .i = value };
}

static struct attr resource_attrs[2] = {
	{ .key = { "service.name", 12 }, .type = ATTR_STRING, .s = { "shop", 4 } },
	{ .key = { "process.pid", 11 }, .type = ATTR_INT, .i = 4711 },
};

__attribute__((unused)) static struct resource fake_resources[3] = {
	{ .refs = 1, .id = 1, .service = { "shop", 4 }, .attrs = resource_attrs, .n_attrs = 2 },
	{ .refs = 1, .id = 2, .service = { "cart", 4 }, .attrs = resource_attrs, .n_attrs = 1 },
	{ .refs = 1, .id = 3, .service = { "db", 2 }, .attrs = resource_attrs, .n_attrs = 0 },
};

/* Number n tells the spans apart: it is in the ids. */
static struct span *fake_bare(unsigned n, const struct resource *r)
{
	struct span *s = calloc(1, sizeof(*s));

	s->d.attrs = calloc(DESCRIPTION_ATTRS, sizeof(*s->d.attrs));
	for (int i = 0; i < 16; i++)
		s->trace_id[i] = (uint8_t)(0xa0 + i);
	s->span_id[0] = 0xff;
	s->span_id[6] = (uint8_t)(n >> 8);
	s->span_id[7] = (uint8_t)n;
	s->kind = SPAN_SERVER;
	s->flags = 0x101;
	s->start = 1700000000123456789ULL + n * 1000ULL;
	s->end = s->start + 12345678;
	s->d.name = SLICE("GET");
	s->resource = r;
	spans_alive++;
	return s;
}

static void fake_attr(struct span *s, struct attr a)
{
	s->d.attrs[s->d.n_attrs++] = a;
}

/* What an HTTP server span carries. */
__attribute__((unused)) static struct span *fake_http(unsigned n, const struct resource *r)
{
	struct span *s = fake_bare(n, r);

	fake_attr(s, attr_s("http.request.method", SLICE("GET")));
	fake_attr(s, attr_s("url.path", SLICE("/cart/items/4711")));
	fake_attr(s, attr_s("url.query", SLICE("user=REDACTED")));
	fake_attr(s, attr_s("url.scheme", SLICE("http")));
	fake_attr(s, attr_i("http.response.status_code", 200));
	fake_attr(s, attr_s("server.address", SLICE("shop.example.com")));
	fake_attr(s, attr_i("server.port", 8080));
	fake_attr(s, attr_s("client.address", SLICE("192.0.2.17")));
	fake_attr(s, attr_s("network.peer.address", SLICE("192.0.2.17")));
	fake_attr(s, attr_i("network.peer.port", 51234));
	fake_attr(s, attr_s("network.protocol.version", SLICE("1.1")));
	fake_attr(s, attr_s("user_agent.original", SLICE("Mozilla/5.0 (X11; Linux x86_64) wrk/4.1.0")));
	return s;
}

/* One of everything: parent, state, error, every type, text that needs care. */
__attribute__((unused)) static struct span *fake_full(unsigned n, const struct resource *r)
{
	struct span *s = fake_http(n, r);

	s->kind = SPAN_CLIENT;
	s->flags = 0x301;
	memset(s->parent_id, 0xbb, 8);
	s->trace_state = SLICE("ot=th:8,a=b");
	s->d.status = STATUS_ERROR;
	s->d.dropped_attrs = 3;
	fake_attr(s, attr_s("error.type", SLICE("500")));
	fake_attr(s, attr_i("negative", INT64_MIN));
	fake_attr(s, attr_s("empty", SLICE("")));
	fake_attr(s, attr_s("care", SLICE("q\"b\\ nl\n nul\0 del\x7f é 日本 \xf0\x9f\x98\x80")));
	fake_attr(s, (struct attr){ .key = SLICE("spandrel.truncated"), .type = ATTR_BOOL, .b = true });
	fake_attr(s, (struct attr){ .key = SLICE("no"), .type = ATTR_BOOL });
	fake_attr(s, (struct attr){ .key = SLICE("half"), .type = ATTR_DOUBLE, .d = 0.1 });
	fake_attr(s, (struct attr){ .key = SLICE("http.request.header.x"), .type = ATTR_STRINGS,
				    .strings = { fake_values, 2 } });
	fake_attr(s, (struct attr){ .key = SLICE("none"), .type = ATTR_STRINGS });
	return s;
}

__attribute__((unused)) static void free_spans(struct span **spans, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		span_free(spans[i]);
}

/* What the loop does after each turn. */
__attribute__((unused)) static void fake_turn(struct export *e, uint64_t now)
{
	export_turn(e, now);
	export_tick(e, now);
}

__attribute__((unused)) static uint64_t all_drops(void)
{
	uint64_t n = 0;

	for (int i = 0; i < STAT_MAX; i++)
		if (!strcmp(stat_infos[i].name, "requests_dropped"))
			n += stats[i];
	return n;
}

#endif
