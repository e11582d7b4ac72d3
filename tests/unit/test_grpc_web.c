// SPDX-License-Identifier: Apache-2.0
/* Messages of a direction, in every chunking; gRPC-Web's trailers and base64; bodies over HTTP/1. */
#include <stdlib.h>

#include "base/rng.h"
#include "base/scope.h"
#include "proto/call.h"
#include "proto/grpc.h"
#include "tap.h"

/* Flags, length, as many bytes. */
static size_t put_frame(char *to, uint8_t flags, const char *payload, size_t n)
{
	to[0] = (char)flags;
	for (int i = 0; i < 4; i++)
		to[1 + i] = (char)(n >> (24 - 8 * i));
	memcpy(to + 5, payload, n);
	return n + 5;
}

static char body[4096];
static size_t body_n;

static void make_body(void)
{
	static const char trailers[] = "grpc-message: 5\r\nGRPC-Status:  14 \r\ngrpc-status: 3\r\n";
	char payload[1000] = "";

	body_n = put_frame(body, 0, payload, 1000);
	body_n += put_frame(body + body_n, 1, payload, 10);
	body_n += put_frame(body + body_n, 0, payload, 0);
	body_n += put_frame(body + body_n, 0x80, trailers, sizeof(trailers) - 1);
}

static void check_body(const struct grpc_count *c)
{
	CHECK(grpc_count_exact(c));
	CHECK_INT(c->messages, 3);
	CHECK_INT(c->bytes, 1010);
	CHECK_INT(c->compressed, 1);
	CHECK(grpc_count_has_status(c));
	CHECK_INT(c->web.status, 14);
}

static void test_count__any_pieces(void)
{
	struct rng r;

	make_body();
	rng_seed(&r, 1, 2);
	for (int round = 0; round < 500; round++) {
		struct grpc_count c;

		grpc_count_begin(&c, SLICE("application/grpc-web+proto"));
		for (size_t at = 0; at < body_n;) {
			size_t n = MIN(1 + rng_next(&r) % 400, body_n - at);
			uint64_t pass = MIN(grpc_count_passable(&c), body_n - at);

			if (pass && rng_next(&r) & 1) {
				pass = 1 + rng_next(&r) % pass;
				grpc_count_pass(&c, pass);
				at += pass;
			} else {
				grpc_count_feed(&c, slice_of(body + at, n));
				at += n;
			}
		}
		check_body(&c);
	}
}

static size_t base64(char *to, const char *from, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t out = 0;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = 0;

		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (i + k < n ? (uint8_t)from[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			to[out++] = i + k > n ? '=' : digits[v >> (18 - 6 * k) & 63];
	}
	return out;
}

/* Encoded in pieces, each with padding of its own; fed in others. */
static void test_count__base64(void)
{
	static char text[8192];
	struct rng r;

	make_body();
	rng_seed(&r, 3, 4);
	for (int round = 0; round < 500; round++) {
		struct grpc_count c;
		size_t text_n = 0;

		for (size_t at = 0; at < body_n;) {
			size_t n = MIN(1 + rng_next(&r) % 100, body_n - at);

			text_n += base64(text + text_n, body + at, n);
			at += n;
		}
		grpc_count_begin(&c, SLICE("application/grpc-web-text"));
		for (size_t at = 0; at < text_n;) {
			size_t n = MIN(1 + rng_next(&r) % 100, text_n - at);

			CHECK_INT(grpc_count_passable(&c), 0);
			grpc_count_feed(&c, slice_of(text + at, n));
			at += n;
		}
		check_body(&c);
	}
}

static void test_count__bad_base64(void)
{
	static const char *const bad[] = { "=AAA", "A=AA", "AA=A", "AA-A", "AA A", "AAAA====" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct grpc_count c;

		grpc_count_begin(&c, SLICE("application/grpc-web-text+proto"));
		grpc_count_feed(&c, slice_str(bad[i]));
		CHECK(c.lost);
		CHECK_INT(grpc_count_passable(&c), UINT64_MAX);
	}
}

static void check_status(const char *trailers, int want)
{
	char frame[512];
	struct grpc_count c;

	grpc_count_begin(&c, SLICE("application/grpc-web"));
	grpc_count_feed(&c, slice_of(frame, put_frame(frame, 0x80, trailers, strlen(trailers))));
	CHECK_INT(grpc_count_has_status(&c) ? (int64_t)c.web.status : -1, want);
	CHECK_INT(c.messages, 0);
	grpc_count_fini(&c);
	/* one byte less: the last digit may be missing */
	grpc_count_begin(&c, SLICE("application/grpc-web"));
	grpc_count_feed(&c, slice_of(frame, 5 + strlen(trailers) - !!*trailers));
	CHECK(!*trailers || !grpc_count_has_status(&c));
	grpc_count_fini(&c);
}

/* As connect-go sends them: gzip of "grpc-status: 0\r\n". */
static void test_count__compressed_trailers(void)
{
	static const char zipped[] = "\x81\0\0\0\x28\x1f\x8b\x08\0\0\0\0\0\0\xff\x4a\x2f\x2a\x48\xd6\x2d\x2e\x49\x2c\x29\x2d"
				     "\xb6\x52\x30\xe0\xe5\x02\x04\0\0\xff\xff\xfd\x6c\x24\xab\x10\0\0\0";

	for (size_t cut = 1; cut < sizeof(zipped); cut++) {
		struct grpc_count c;

		grpc_count_begin(&c, SLICE("application/grpc-web"));
		grpc_count_feed(&c, slice_of(zipped, cut));
		CHECK(cut == sizeof(zipped) - 1 || !grpc_count_has_status(&c));
		grpc_count_feed(&c, slice_of(zipped + cut, sizeof(zipped) - 1 - cut));
		CHECK(grpc_count_has_status(&c) && !c.web.status && grpc_count_exact(&c));
		grpc_count_fini(&c);
	}
}

static void test_count__bad_compression(void)
{
	char frame[64] = "\x81\0\0\0\x10no gzip at all!";
	struct grpc_count c;

	grpc_count_begin(&c, SLICE("application/grpc-web"));
	grpc_count_feed(&c, slice_of(frame, 21));
	CHECK(!grpc_count_has_status(&c) && grpc_count_exact(&c));
	grpc_count_fini(&c);
	grpc_count_begin(&c, SLICE("application/grpc-web"));
	grpc_count_feed(&c, slice_of(frame, 15)); /* it ends inside */
	grpc_count_fini(&c);
}

/* The frame ends in the middle of "grpc-status: 14". */
static void test_count__compression_cut_off(void)
{
	static const char cut[] = "\x81\0\0\0\x1d\x1f\x8b\x08\0\0\0\0\0\x04\x03\x01\x11\0\xee\xffgrpc-status: 1";
	struct grpc_count c;

	grpc_count_begin(&c, SLICE("application/grpc-web"));
	grpc_count_feed(&c, slice_of(cut, sizeof(cut) - 1));
	CHECK(!grpc_count_has_status(&c) && c.web.ended);
	grpc_count_fini(&c);
}

/* Any number of streams may hold some. */
static void test_count__compression_is_bounded(void)
{
	static char frame[60005] = "\x81\0\0\xea\x60";
	struct grpc_count c;

	grpc_count_begin(&c, SLICE("application/grpc-web"));
	grpc_count_feed(&c, slice_of(frame, sizeof(frame) - 1));
	CHECK(c.web.zipped.cap <= 4096);
	grpc_count_feed(&c, SLICE("x"));
	CHECK(c.web.ended && !grpc_count_has_status(&c));
	grpc_count_fini(&c);
}

static void test_count__trailers(void)
{
	check_status("grpc-status:0", 0);
	check_status("grpc-status: 7\r\n", 7);
	check_status("a: b\r\ngrpc-statusx: 7\r\nxgrpc-status: 7\r\n", -1);
	check_status("x: grpc-status: 7\r\n", -1);
	check_status("grpc-status: x7\r\n", -1);
	check_status("grpc-status: \r\n", -1);
	check_status("grpc-status: 65536\r\n", 65536);
	check_status("grpc-status: 4294967296\r\n", 2);
	check_status("", -1);
}

static void test_count__not_messages(void)
{
	struct grpc_count c = { 0 };

	grpc_count_feed(&c, SLICE("<html>"));
	CHECK(c.lost);
	c = (struct grpc_count){ 0 };
	grpc_count_feed(&c, SLICE("\0\xff\xff\xff\xff")); /* four gigabytes are passed over, not kept */
	CHECK_INT(grpc_count_passable(&c), UINT32_MAX);
	CHECK(!grpc_count_exact(&c));
}

/* ---- over HTTP/1 ---- */

static struct arena_pool pool;
static struct arena arena;
static struct description d;
static struct describe_config show;
static const struct proto_config config;
static struct call call;
static char wire[8192];

/* Feeds one side in pieces of `step`, skips what may be; keeps and amends as conn/ does. True: it ended. */
static bool play(char *session, enum ev_dir from, const char *bytes, size_t n, size_t step, const struct message **kept)
{
	size_t at = 0, have = 0;
	bool end = false;

	while (at < n || have) {
		struct proto_out out = { 0 };
		int64_t r;

		have = MIN(have ? have + step : step, n - at);
		r = http1_ops.parse(session, from, slice_of(bytes + at, have), &out);
		if (r < 0 || (!r && at + have == n))
			return false;
		if (out.flags & OUT_HEAD)
			*kept = http1_ops.keep(out.msg, &arena);
		if (out.flags & OUT_MORE)
			http1_ops.amend((struct message *)*kept, out.msg, &arena);
		end |= out.flags & OUT_END;
		at += (size_t)r + (size_t)MIN(out.skip, (uint64_t)(n - at - (size_t)r));
		have = r ? 0 : have;
		if (at == n)
			break;
	}
	if (!end) {
		struct proto_out out = { 0 };

		end = http1_ops.finish(session, from, &out);
		if (end && out.flags & OUT_MORE)
			http1_ops.amend((struct message *)*kept, out.msg, &arena);
	}
	return end;
}

static size_t put_chunks(char *to, const char *from, size_t n)
{
	size_t out = 0;

	for (size_t at = 0; at < n; at += 300) {
		size_t take = MIN(n - at, (size_t)300);

		out += (size_t)sprintf(to + out, "%zx\r\n", take);
		memcpy(to + out, from + at, take);
		out += take;
		out += (size_t)sprintf(to + out, "\r\n");
	}
	return out + (size_t)sprintf(to + out, "0\r\n\r\n");
}

enum web_framing { LENGTH, CHUNKS, CLOSE };

static bool web_call(enum web_framing framing, size_t step)
{
	_free_ char *session = calloc(1, http1_ops.session_size);
	char request[512] = "POST /pkg.S/M HTTP/1.1\r\nHost: h\r\nContent-Type: application/grpc-web+proto\r\nContent-Length: 12\r\n\r\n";
	size_t n = strlen(request);
	bool ok;

	arena_fini(&arena);
	memset(&call, 0, sizeof(call));
	http1_ops.init(session, &config);
	n += put_frame(request + n, 0, "7 bytes", 7);
	ok = play(session, DIR_RECV, request, n, step, &call.req);
	n = (size_t)sprintf(wire, "HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\n");
	if (framing == LENGTH)
		n += (size_t)sprintf(wire + n, "Content-Length: %zu\r\n\r\n", body_n);
	else
		n += (size_t)sprintf(wire + n, framing == CHUNKS ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
	if (framing == CHUNKS) {
		n += put_chunks(wire + n, body, body_n);
	} else {
		memcpy(wire + n, body, body_n);
		n += body_n;
	}
	ok = play(session, DIR_SEND, wire, n, step, &call.resp) && ok;
	call.server = true;
	call.proto = &http1_ops;
	call.end = CALL_ANSWERED;
	if (describe_init(&d, &arena, &show))
		return false;
	http_fill(&d, &call);
	http1_ops.fini(session);
	return ok;
}

static long long number_of(const char *key)
{
	const struct attr *a = describe_find(&d, key);

	return a && a->type == ATTR_INT ? a->i : -1;
}

static void test_web__http1(void)
{
	static const size_t steps[] = { 1, 2, 3, 7, 64, 1000, 8192 };

	make_body();
	for (int framing = LENGTH; framing <= CLOSE; framing++) {
		for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
			REQUIRE(web_call((enum web_framing)framing, steps[i]));
			CHECK_SLICE(d.name, "pkg.S/M");
			REQUIRE(describe_find(&d, "rpc.response.status_code"));
			CHECK_SLICE(describe_find(&d, "rpc.response.status_code")->s, "UNAVAILABLE");
			CHECK_INT(number_of("spandrel.grpc.request.messages"), 1);
			CHECK_INT(number_of("spandrel.grpc.request.bytes"), 7);
			CHECK_INT(number_of("spandrel.grpc.response.messages"), 3);
			CHECK_INT(number_of("spandrel.grpc.response.bytes"), 1010);
		}
	}
}

int main(void)
{
	arena_pool_init(&pool, 1 << 20);
	arena_init(&arena, &pool);
	RUN(test_count__any_pieces);
	RUN(test_count__base64);
	RUN(test_count__bad_base64);
	RUN(test_count__trailers);
	RUN(test_count__compressed_trailers);
	RUN(test_count__bad_compression);
	RUN(test_count__compression_cut_off);
	RUN(test_count__compression_is_bounded);
	RUN(test_count__not_messages);
	RUN(test_web__http1);
	arena_fini(&arena);
	arena_pool_fini(&pool);
	return tap_done();
}
