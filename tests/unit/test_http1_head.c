// SPDX-License-Identifier: Apache-2.0
/* Heads: which bytes are one, what is noted of them, and that an incomplete one is not looked at twice. */
#include "tap.h"

#include <errno.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/scope.h"
#include "base/stats.h"
#include "proto/http1.h"

static const struct slice capture[] = { SLICE("x-request-id"), SLICE("x_under") };
static const struct proto_config config = { capture, 2 };
static struct http1_head head;

static int64_t parse(uint8_t type, const char *p, size_t n)
{
	struct http1_scan scan = { 0 };

	memset(&head, 0, sizeof(head));
	head.m.type = type;
	head.config = &config;
	return http1_head_parse(&scan, slice_of(p, n), &head);
}

static int64_t request(const char *text)
{
	return parse(MSG_REQUEST, text, strlen(text));
}

static int64_t response(const char *text)
{
	return parse(MSG_RESPONSE, text, strlen(text));
}

static void test_http1_head__start_lines(void)
{
	CHECK_INT(request("GET /a?b HTTP/1.1\r\n\r\nrest"), 21);
	CHECK_SLICE(http1_part(&head, head.method), "GET");
	CHECK_SLICE(http1_part(&head, head.target), "/a?b");
	CHECK_INT(head.minor, 1);
	CHECK_INT(request("M-SEARCH * HTTP/1.0\n\n"), 21);
	CHECK_INT(head.minor, 0);
	CHECK_INT(request("G / HTTP/1.1\r\n\r\n"), 16);
	CHECK_INT(response("HTTP/1.1 200 OK\r\n\r\n"), 19);
	CHECK_INT(head.status, 200);
	CHECK_INT(response("HTTP/1.0 599\r\n\r\n"), 16);
	CHECK_INT(response("HTTP/1.1 404 \r\n\r\n"), 17);
	CHECK_INT(response("HTTP/1.1 200 caf\xe9 au lait\r\n\r\n"), 29);
}

static void test_http1_head__bad_start_lines(void)
{
	static const char *const requests[] = {
		"GET  / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1 \r\n\r\n", "GET /\r\n\r\n", " GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/2.0\r\n\r\n", "GET / http/1.1\r\n\r\n", "GET /a b HTTP/1.1\r\n\r\n", "GET\t/ HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.x\r\n\r\n", "GET / HTTP/1.10\r\n\r\n", "G@T / HTTP/1.1\r\n\r\n", "GET /\x01 HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\rX: y\r\n\r\n", "GET HTTP/1.1\r\n\r\n", "\x80GET / HTTP/1.1\r\n\r\n", "{}\r\n",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "GET /\x7f HTTP/1.1\r\n\r\n",
	};
	static const char *const responses[] = {
		"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n",
		"HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 \x01\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		if (request(requests[i]) != -EPROTO)
			CHECK_SLICE(slice_str(requests[i]), "(refused)");
	for (size_t i = 0; i < ARRAY_SIZE(responses); i++)
		if (response(responses[i]) != -EPROTO)
			CHECK_SLICE(slice_str(responses[i]), "(refused)");
}

static void test_http1_head__bad_fields(void)
{
	static const char *const fields[] = {
		"a b: c", "a : c", ": c", "a", "a\x01: b", "a: b\x01", "a: \x7f", "a: b\rc: d", "a@: b", "(a): b", "a\xff: b", "a:\x0b",
		"a: b\r\r\n c", "\x80: x", "a\r\n: b",
	};
	static const char nul[] = "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n";

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char text[100];

		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", fields[i]);
		if (request(text) != -EPROTO)
			CHECK_SLICE(slice_str(fields[i]), "(refused)");
	}
	CHECK_INT(parse(MSG_REQUEST, nul, sizeof(nul) - 1), -EPROTO);
	CHECK_INT(request("GET / HTTP/1.1\r\n folded: start\r\n\r\n"), -EPROTO);
}

static void test_http1_head__fields_are_noted_in_any_case(void)
{
	CHECK(request("GET / HTTP/1.1\r\nHOST:h:1\r\nUSER-agent: \t x y \t\r\nX-Request-ID: 1\r\nX_Under:2\r\nX\x7fUnder:3\r\n\r\n") < 0);
	CHECK(request("GET / HTTP/1.1\r\nHOST:h:1\r\nUSER-agent: \t x y \t\r\nX-Request-ID: 1\r\nX_Under:2\r\nx-under:3\r\n\r\n") > 0);
	CHECK_SLICE(http1_part(&head, head.notes.known[H1_HOST]), "h:1");
	CHECK_SLICE(http1_part(&head, head.notes.known[H1_USER_AGENT]), "x y");
	CHECK_INT(head.notes.n_captures, 2);
	CHECK_SLICE(http1_part(&head, head.notes.captures[1].value), "2");
	CHECK(request("GET / HTTP/1.1\r\nHost: a\r\nHost: A\r\n\r\n") > 0);
	CHECK_SLICE(http1_part(&head, head.notes.known[H1_HOST]), "a");
	CHECK(request("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nHost: a\r\n\r\n") > 0);
	CHECK_INT(head.notes.known[H1_HOST].n, 0); /* neither can be believed */
}

static void test_http1_head__carriers(void)
{
	char text[4096] = "GET / HTTP/1.1\r\n";

	for (int i = 0; i < 33; i++)
		strcat(text, "tracestate: a=b\r\nb3: 0\r\nTracestate: \r\n");
	strcat(text, "TraceParent: one\r\ntraceparent: two\r\ntraceparent: three\r\nX-B3-Sampled: 1\r\n\r\n");
	CHECK(request(text) > 0);
	CHECK(head.notes.overflow);
	CHECK_INT(head.notes.n_carriers, 32 + 1 + 2 + 1);
	CHECK_INT(head.notes.carriers[head.notes.n_carriers - 1].tag, CARRIER_B3_SAMPLED);
	CHECK_SLICE(http1_part(&head, head.notes.carriers[head.notes.n_carriers - 2].value), "two");
	CHECK(request("GET / HTTP/1.1\r\nx-b3-traceid: 1\r\nx-b3-spanid: 2\r\nx-b3-parentspanid: 3\r\nx-b3-flags: 1\r\n\r\n") > 0);
	CHECK_INT(head.notes.n_carriers, 4);
	CHECK_INT(head.notes.carriers[2].tag, CARRIER_B3_PARENT);
	CHECK(response("HTTP/1.1 200 OK\r\ntraceparent: x\r\nHost: y\r\n\r\n") > 0);
	CHECK(!head.notes.n_carriers && !head.notes.known[H1_HOST].at);
}

static void test_http1_head__captures_are_bounded_and_counted(void)
{
	char text[2048] = "HTTP/1.1 200 OK\r\n";
	uint64_t before = stats[STAT_headers_cut];

	for (int i = 0; i < HTTP1_CAPTURE_MAX + 3; i++)
		strcat(text, "X-Request-Id: 1\r\n");
	strcat(text, "\r\n");
	CHECK(response(text) > 0);
	CHECK_INT(head.notes.n_captures, HTTP1_CAPTURE_MAX);
	CHECK_INT(stats[STAT_headers_cut] - before, 3);
}

/* A head of n bytes in all. */
static char *long_head(size_t n, const char *line)
{
	char *text = malloc(n + 1);
	size_t at = 16, len = strlen(line);

	memcpy(text, "GET / HTTP/1.1\r\n", 16);
	memset(text + 16, 'a', n - 16);
	while (len && at + len + 16 < n) {
		memcpy(text + at, line, len);
		at += len;
	}
	memcpy(text + at, "z: ", 3);
	memcpy(text + n - 4, "\r\n\r\n", 4);
	text[n] = 0;
	return text;
}

static void test_http1_head__the_limit(void)
{
	static const char *const lines[] = { "a:b\n", "Cookie: 0123456789012345678901234567890123456789\r\n", "z: y\r\n folded\r\n" };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		_free_ char *fits = long_head(PROTO_HEAD_MAX, lines[i]);
		_free_ char *over = long_head(PROTO_HEAD_MAX + 1, lines[i]);

		CHECK_INT(parse(MSG_REQUEST, fits, PROTO_HEAD_MAX), PROTO_HEAD_MAX);
		CHECK_INT(parse(MSG_REQUEST, over, PROTO_HEAD_MAX + 1), -EMSGSIZE);
		CHECK_INT(parse(MSG_REQUEST, over, PROTO_HEAD_MAX - 1), 0);
		CHECK_INT(parse(MSG_REQUEST, over, PROTO_HEAD_MAX), -EMSGSIZE);
	}
}

/* However a long head comes, the result is the same: and a byte at a time it would never end if each call began anew. */
static void feed_slowly(const char *text, size_t n, size_t step, int64_t want)
{
	struct http1_scan scan = { 0 };
	int64_t r = 0;

	memset(&head, 0, sizeof(head));
	head.m.type = MSG_REQUEST;
	head.config = &config;
	for (size_t at = 1; at <= n && !r; at = at < n ? MIN(at + step, n) : n + 1) {
		uint32_t before = scan.at;

		r = http1_head_parse(&scan, slice_of(text, at), &head);
		CHECK(r || at < n);
		CHECK(r || scan.at >= before);
	}
	CHECK_INT(r, want);
}

static void test_http1_head__a_byte_at_a_time(void)
{
	static const char *const lines[] = { "a:b\n", "z: y\r\n folded\r\n", "" };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		_free_ char *fits = long_head(PROTO_HEAD_MAX, lines[i]);
		_free_ char *over = long_head(PROTO_HEAD_MAX + 1, lines[i]);

		feed_slowly(fits, PROTO_HEAD_MAX, 1, PROTO_HEAD_MAX);
		feed_slowly(over, PROTO_HEAD_MAX + 1, 1, -EMSGSIZE);
		feed_slowly(fits, PROTO_HEAD_MAX, 7777, PROTO_HEAD_MAX);
	}
	feed_slowly("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 28, 1, -EPROTO);
	feed_slowly("\x16\x03\x01", 3, 1, -EPROTO);
}

static void test_http1_head__keep_copies_and_unfolds(void)
{
	struct arena_pool pool;
	struct arena arena;
	struct http1_message *m;
	char text[] = "PUT /x HTTP/1.1\r\nHost: h\r\nX-Request-Id: a \r\n\t b\n  c\r\nUser-Agent:\r\n late\r\n\r\n";

	arena_pool_init(&pool, 1 << 16);
	arena_init(&arena, &pool);
	CHECK(request(text) == (int64_t)strlen(text));
	m = (struct http1_message *)http1_keep(&head.m, &arena);
	memset(text, 'X', sizeof(text)); /* what it was parsed from is gone */
	REQUIRE(m);
	CHECK_SLICE(m->method, "PUT");
	CHECK_SLICE(m->target, "/x");
	CHECK_SLICE(m->known[H1_HOST], "h");
	CHECK_SLICE(m->known[H1_USER_AGENT], "late");
	CHECK(!m->known[H1_FORWARDED].p);
	CHECK_INT(m->n_captured, 1);
	CHECK_SLICE(m->captured[0].value, "a b c");
	CHECK_SLICE(m->captured[0].name, "x-request-id");
	arena_fini(&arena);
	arena_pool_fini(&pool);
}

int main(void)
{
	RUN(test_http1_head__start_lines);
	RUN(test_http1_head__bad_start_lines);
	RUN(test_http1_head__bad_fields);
	RUN(test_http1_head__fields_are_noted_in_any_case);
	RUN(test_http1_head__carriers);
	RUN(test_http1_head__captures_are_bounded_and_counted);
	RUN(test_http1_head__the_limit);
	RUN(test_http1_head__a_byte_at_a_time);
	RUN(test_http1_head__keep_copies_and_unfolds);
	return tap_done();
}
