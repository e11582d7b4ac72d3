// SPDX-License-Identifier: Apache-2.0
/*
 * What one request with its response costs in the protocol layer: nanoseconds for parsing the two heads, for keeping them,
 * and for describing the call. Usage: http1_bench [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/scope.h"
#include "proto/call.h"
#include "proto/describe.h"
#include "proto/proto.h"

static const struct slice request = SLICE("GET /api/items/42?page=3&token=abc HTTP/1.1\r\n"
					  "Host: shop.example.com:8080\r\n"
					  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n"
					  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9\r\n"
					  "Accept-Encoding: gzip, deflate, br\r\n"
					  "Accept-Language: en-US,en;q=0.5\r\n"
					  "Cookie: session=0123456789abcdef0123456789abcdef\r\n"
					  "X-Request-Id: 7d9f2a44-92cb-4f3e-9c3e-1c0a1f1f2b3c\r\n"
					  "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
					  "\r\n");
static const struct slice response = SLICE("HTTP/1.1 200 OK\r\n"
					   "Server: nginx/1.22.1\r\n"
					   "Date: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
					   "Content-Type: text/html\r\n"
					   "Content-Length: 612\r\n"
					   "Connection: keep-alive\r\n"
					   "ETag: \"65f1-264\"\r\n"
					   "Accept-Ranges: bytes\r\n"
					   "\r\n");

enum depth { PARSE, KEEP, FILL };

static const struct proto_ops *ops;
static struct arena_pool pool;
static uint64_t sink; /* so that nothing is optimised away */

static void describe(const struct message *req, const struct message *resp, struct arena *arena)
{
	static const struct describe_config config = { 0 };
	struct call call = { .proto = ops, .req = req, .resp = resp, .server = true, .end = CALL_ANSWERED,
			     .conn = { .family = FAM_INET, .remote = { { [10] = 0xff, 0xff, 192, 0, 2, 1 }, 40000 } } };
	struct description d;

	if (describe_init(&d, arena, &config))
		abort();
	ops->fill(&d, &call);
	sink += d.n_attrs;
}

static void one(void *session, enum depth depth)
{
	struct message *req = NULL, *resp = NULL;
	struct proto_out out;
	struct arena arena;

	arena_init(&arena, &pool);
	if (ops->parse(session, DIR_RECV, request, &out) != (int64_t)request.n)
		abort();
	if (depth >= KEEP)
		req = ops->keep(out.msg, &arena);
	if (ops->parse(session, DIR_SEND, response, &out) != (int64_t)response.n)
		abort();
	if (depth >= KEEP)
		resp = ops->keep(out.msg, &arena);
	sink += out.key;
	if (depth >= FILL)
		describe(req, resp, &arena);
	arena_fini(&arena);
}

static double measure(void *session, enum depth depth, unsigned rounds)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		uint64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID), spent;

		for (unsigned n = 0; n < rounds; n++)
			one(session, depth);
		spent = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
		best = MIN(best, spent);
	}
	return (double)best / rounds;
}

int main(int argc, char **argv)
{
	static const struct slice capture[] = { SLICE("x-request-id"), SLICE("x-correlation-id") };
	static const struct proto_config config = { capture, ARRAY_SIZE(capture) };
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 200000;
	_free_ void *session = NULL;

	ops = proto_find(SLICE("http1"));
	session = calloc(1, ops->session_size);
	arena_pool_init(&pool, 1 << 20);
	if (!session || ops->init(session, &config))
		return 1;
	printf("http1: %zu + %zu bytes of heads, session %zu bytes\n", request.n, response.n, ops->session_size);
	printf("http1: parse %.0f ns\n", measure(session, PARSE, rounds));
	printf("http1: parse, keep %.0f ns\n", measure(session, KEEP, rounds));
	printf("http1: parse, keep, describe %.0f ns\n", measure(session, FILL, rounds));
	arena_pool_fini(&pool);
	return sink == 0;
}
