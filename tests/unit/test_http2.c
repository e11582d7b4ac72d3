// SPDX-License-Identifier: Apache-2.0
/* HTTP/2's row by itself: what frames say, what bad ones do not do. */
#include "tap.h"

#include <errno.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/scope.h"
#include "base/stats.h"
#include "h2kit.h"
#include "proto/http2.h"
#include "proto/http2_session.h"

#define CLIENT DIR_RECV
#define SERVER DIR_SEND

static struct http2_session *s;
static struct h2 h;
static struct proto_out out;

static void fresh(void)
{
	static const struct proto_config config;

	if (s) {
		http2_ops.fini(s);
		free(s);
	}
	s = calloc(1, sizeof(*s));
	if (!s || http2_ops.init(s, &config))
		abort();
	h2_init(&h);
}

/* All of `h` is read in one direction; what was said of each frame is or-ed. The last *out stays. */
static uint32_t feed(enum ev_dir from)
{
	struct slice in = h2_bytes(&h);
	uint32_t flags = 0;

	while (in.n) {
		struct proto_out o = { 0 };
		int64_t r = http2_ops.parse(s, from, in, &o);

		if (r <= 0) {
			flags |= r ? 1u << 31 : 1u << 30;
			break;
		}
		if (o.flags)
			out = o;
		flags |= o.flags;
		in = slice_from(in, (size_t)r);
		in = slice_from(in, MIN(o.skip, (uint64_t)in.n));
	}
	h2_init(&h);
	return flags;
}

#define BROKEN (1u << 31)
#define MORE   (1u << 30)

static void begin(void)
{
	fresh();
	h2_preface(&h);
	CHECK_INT(feed(CLIENT), 0);
	h2_frame(&h, 4, 0, 0, NULL, 0);
	CHECK_INT(feed(SERVER), 0);
}

static void ask(uint32_t stream)
{
	h2_request(&h, stream, "GET", "/", H2_END);
	CHECK_INT(feed(CLIENT), OUT_HEAD | OUT_END);
	CHECK_INT(out.key, stream);
	CHECK_INT(out.type, MSG_REQUEST);
}

static const struct http2_head *head(void)
{
	return (const struct http2_head *)out.msg;
}

static void test_http2__sniffing(void)
{
	static const char settings[] = "\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";

	CHECK_INT(http2_ops.sniff(HTTP2_PREFACE, CLIENT), SNIFF_YES);
	CHECK_INT(http2_ops.sniff(slice_to(HTTP2_PREFACE, 5), CLIENT), SNIFF_MORE);
	CHECK_INT(http2_ops.sniff(SLICE("PRI * HTTP/2.0\r\n\r\nSX"), CLIENT), SNIFF_NO);
	CHECK_INT(http2_ops.sniff(slice_of(settings, 15), SERVER), SNIFF_YES);
	CHECK_INT(http2_ops.sniff(slice_of(settings, 3), SERVER), SNIFF_MORE);
	CHECK_INT(http2_ops.sniff(slice_of("\0\0\x05\x04\0\0\0\0\0", 9), SERVER), SNIFF_NO);
	CHECK_INT(http2_ops.sniff(SLICE("GET / HTTP/1.1\r\n"), CLIENT), SNIFF_NO);
}

static void test_http2__frames_that_say_nothing(void)
{
	begin();
	ask(1);
	h2_frame(&h, 2, 0, 1, "\0\0\0\0\x0f", 5);	     /* PRIORITY */
	h2_frame(&h, 6, 0, 0, "12345678", 8);		     /* PING */
	h2_frame(&h, 8, 0, 1, "\0\0\0\x01", 4);		     /* WINDOW_UPDATE */
	h2_frame(&h, 0x0a, 0, 0, "\0\0", 2);		     /* ALTSVC */
	h2_frame(&h, 0x10, 0, 0, "\0\0\0\x01u=1", 7);	     /* PRIORITY_UPDATE */
	h2_frame(&h, 0xee, 0xff, 0x7fffffff, "unknown", 7);
	h2_frame(&h, 6, 0, 0, "short", 5);		     /* of a wrong length: its end is known */
	h2_frame(&h, 3, 0, 1, "\0\0", 2);
	h2_frame(&h, 3, 0, 99, "\0\0\0\x08", 4);	     /* of a stream that is not open */
	h2_frame(&h, 4, 0, 0, "odd", 3);
	CHECK_INT(feed(CLIENT), 0);
	h2_response(&h, 1, "200", H2_END);
	CHECK_INT(feed(SERVER), OUT_HEAD | OUT_END);
	CHECK_INT(head()->http.status, 200);
}

static void test_http2__padding_and_priority(void)
{
	char block[600] = { 4, 0, 0, 0, 3, 15 };
	size_t n;

	begin();
	n = 6 + h2_request_block(block + 6, "GET", "/padded");
	memset(block + n, 0, 4);
	h2_frame(&h, 1, H2_END | H2_BLOCK_END | H2_PADDED | H2_PRIORITY, 1, block, n + 4);
	CHECK_INT(feed(CLIENT), OUT_HEAD | OUT_END);
	CHECK_SLICE(http1_part(&head()->http, head()->http.target), "/padded");
	block[0] = (char)255; /* more padding than there is */
	h2_frame(&h, 1, H2_END | H2_BLOCK_END | H2_PADDED | H2_PRIORITY, 3, block, n + 4);
	CHECK_INT(feed(CLIENT), 0);
	h2_frame(&h, 0, H2_END | H2_PADDED, 1, "\xff" "data", 5);
	CHECK_INT(feed(SERVER), 0);
	h2_response(&h, 1, "204", H2_END);
	CHECK_INT(feed(SERVER), OUT_HEAD | OUT_END);
}

static void test_http2__settings_bind_from_their_acknowledgement(void)
{
	begin();
	h2_frame(&h, 4, H2_ACK, 0, NULL, 0); /* of the server's first */
	CHECK_INT(feed(CLIENT), 0);
	h2_frame(&h, 4, 0, 0, "\0\x05\0\1\0\0", 6); /* MAX_FRAME_SIZE 65,536 */
	h2_frame(&h, 4, 0, 0, "\0\x05\0\0\x40\0", 6); /* 16,384 again */
	CHECK_INT(feed(SERVER), 0);
	CHECK_INT(s->dir[CLIENT].max_frame, 16384);
	h2_frame(&h, 4, H2_ACK, 0, NULL, 0);
	CHECK_INT(feed(CLIENT), 0);
	CHECK_INT(s->dir[CLIENT].max_frame, 65536);
	h2_head(&h, 60000, 0, 0, 1);
	CHECK_INT(feed(CLIENT), 0);
	h2_frame(&h, 4, H2_ACK, 0, NULL, 0);
	CHECK_INT(feed(CLIENT), 0);
	CHECK_INT(s->dir[CLIENT].max_frame, 16384);
	h2_head(&h, 60000, 0, 0, 1);
	CHECK_INT(feed(CLIENT), BROKEN);
	begin();
	h2_frame(&h, 4, H2_ACK, 0, NULL, 0);
	h2_frame(&h, 4, H2_ACK, 0, NULL, 0); /* a send is seen when it returns: what it acknowledges comes later */
	CHECK_INT(feed(CLIENT), 0);
	h2_frame(&h, 4, 0, 0, "\0\x05\0\1\0\0", 6);
	CHECK_INT(feed(SERVER), 0);
	CHECK_INT(s->dir[CLIENT].max_frame, 65536);
	begin();
	for (int i = 0; i < 1000; i++) /* never acknowledged */
		h2_frame(&h, 4, 0, 0, "\0\x01\0\0\0\0", 6);
	CHECK_INT(feed(SERVER), 0);
}

static void test_http2__continuation(void)
{
	char block[64];
	size_t n = h2_request_block(block, "GET", "/x");
	uint64_t malformed = stats[STAT_h2_malformed];

	begin();
	h2_frame(&h, 1, H2_END, 1, block, 7);
	for (size_t i = 7; i < n; i++)
		h2_frame(&h, 9, i == n - 1 ? H2_BLOCK_END : 0, 1, block + i, 1);
	CHECK_INT(feed(CLIENT), OUT_HEAD | OUT_END);
	CHECK_SLICE(http1_part(&head()->http, head()->http.target), "/x");
	h2_frame(&h, 1, H2_END, 3, block, 7); /* never ended */
	h2_frame(&h, 6, 0, 0, "12345678", 8);
	h2_frame(&h, 9, H2_BLOCK_END, 3, block + 7, n - 7);
	CHECK_INT(feed(CLIENT), 0);
	CHECK_INT(stats[STAT_h2_malformed] - malformed, 1);
	h2_request(&h, 5, "GET", "/after", H2_END);
	CHECK_INT(feed(CLIENT), OUT_HEAD | OUT_END);
	CHECK_INT(out.key, 5);
}

/* Blocks without an end: nothing is kept of them, and the stream is told of all the same. */
static void test_http2__floods_of_continuation(void)
{
	uint64_t too_long = stats[STAT_h2_too_long];

	for (size_t size = 0; size < 5000; size += 4999) {
		static char zeros[5000];
		uint32_t flags = 0;

		begin();
		h2_frame(&h, 1, H2_END, 1, "\x82", 1);
		while (h.n < 400000)
			h2_frame(&h, 9, 0, 1, zeros, size);
		h2_frame(&h, 9, H2_BLOCK_END, 1, NULL, 0);
		h2_request(&h, 3, "GET", "/after", H2_END);
		flags = feed(CLIENT);
		CHECK(flags & OUT_HEAD && !(flags & BROKEN));
		CHECK_INT(out.key, 3);
		CHECK_INT(s->last, 3);
		CHECK(s->block.cap <= PROTO_HEAD_MAX && s->text.cap <= PROTO_HEAD_MAX);
		h2_response(&h, 1, "431", H2_END);
		CHECK_INT(feed(SERVER), OUT_HEAD | OUT_END);
	}
	CHECK_INT(stats[STAT_h2_too_long] - too_long, 2);
}

static void test_http2__hpack_bombs(void)
{
	static char block[16384];
	char name[] = "\x40\x01x\x7f\x81\x1e"; /* x: 4,000 bytes, into the table */
	size_t n = sizeof(name) - 1;

	begin();
	memcpy(block, name, n);
	memset(block + n, 'a', 4000);
	n += 4000;
	while (n < sizeof(block))
		block[n++] = (char)0xbe; /* the same, again and again */
	h2_frame(&h, 1, H2_END | H2_BLOCK_END, 1, block, n);
	feed(CLIENT);
	CHECK(s->text.cap <= PROTO_HEAD_MAX);
	h2_frame(&h, 1, H2_END | H2_BLOCK_END, 3, "\xff\xff\xff\xff\xff\xff\xff", 7); /* an index without end */
	h2_request(&h, 5, "GET", "/after", H2_END);
	CHECK(feed(CLIENT) & OUT_HEAD);
	CHECK_INT(out.key, 5);
}

/* A value larger than what a head may hold is unknown; the rest of the head is not. */
static void test_http2__long_values(void)
{
	static char block[14000];
	size_t n = h2_request_block(block, "GET", "/x"), path = n;

	begin();
	memcpy(block + path, "\0\x04host\x7f\x81\x61", 9); /* 12,544 bytes: seven of them do not fit */
	memset(block + path + 9, 'h', 12544);
	n = path + 9 + 12544;
	h2_frame(&h, 1, H2_END | H2_BLOCK_END, 1, block, n);
	CHECK_INT(feed(CLIENT), OUT_HEAD | OUT_END);
	CHECK_INT(head()->http.notes.known[H1_HOST].n, 12544);
	CHECK(!head()->http.m.truncated);
}

static void test_http2__resets(void)
{
	begin();
	for (uint32_t i = 1; i < 20000; i += 2) { /* rapidly */
		ask(i);
		h2_reset(&h, i, 8);
		CHECK_INT(feed(CLIENT), OUT_HEAD | OUT_END);
		CHECK_INT(out.type, MSG_RESPONSE);
		CHECK_INT(head()->end.reset, RESET_BY_CLIENT);
		CHECK_INT(head()->end.code, 8);
		REQUIRE(!tap_bad);
	}
	CHECK_INT(s->streams.n, 0);
	ask(20001);
	h2_response(&h, 20001, "200", 0);
	h2_reset(&h, 20001, 2);
	CHECK_INT(feed(SERVER), OUT_HEAD | OUT_MORE | OUT_END);
	CHECK_INT(head()->end.reset, RESET_BY_SERVER);
	h2_reset(&h, 20001, 2); /* again: it is gone */
	CHECK_INT(feed(SERVER), 0);
}

static void test_http2__ids(void)
{
	begin();
	ask(0x7fffffff);
	h2_response(&h, 0x7fffffff, "200", H2_END);
	CHECK_INT(feed(SERVER), OUT_HEAD | OUT_END);
	h2_request(&h, 0x7fffffff, "GET", "/again", H2_END);
	h2_request(&h, 5, "GET", "/older", H2_END);
	h2_request(&h, 0, "GET", "/none", H2_END);
	CHECK_INT(feed(CLIENT), 0);
	begin();
	h2_request(&h, 2, "GET", "/even", H2_END);
	CHECK_INT(feed(CLIENT), 0);
	ask(3);
}

static void test_http2__goaway(void)
{
	begin();
	for (uint32_t i = 1; i <= 9; i += 2)
		ask(i);
	h2_goaway(&h, 0x7fffffff, 0); /* the first of two */
	CHECK_INT(feed(SERVER), 0);
	h2_goaway(&h, 5, 11);
	CHECK_INT(feed(SERVER), OUT_ABOVE);
	CHECK_INT(out.key, 5);
	CHECK_INT(head()->end.reset, RESET_BY_GOAWAY);
	CHECK_INT(head()->end.code, 11);
	CHECK_INT(s->streams.n, 3);
	h2_goaway(&h, 0, 0);
	CHECK_INT(feed(CLIENT), 0); /* the client's is about what was promised */
	CHECK_INT(s->streams.n, 3);
}

static void test_http2__streams_are_bounded(void)
{
	uint64_t dropped = stats[STAT_drop_pipeline];

	begin();
	for (uint32_t i = 0; i < PROTO_OPEN_MAX; i++)
		ask(2 * i + 1);
	h2_request(&h, 2 * PROTO_OPEN_MAX + 1, "GET", "/one too many", H2_END);
	CHECK_INT(feed(CLIENT), 0);
	CHECK_INT(stats[STAT_drop_pipeline] - dropped, 1);
	http2_ops.forget(s, 1);
	ask(2 * PROTO_OPEN_MAX + 3);
}

static void test_http2__trailers_and_interim(void)
{
	begin();
	h2_request(&h, 1, "POST", "/", 0);
	CHECK_INT(feed(CLIENT), OUT_HEAD);
	h2_frame(&h, 1, H2_END | H2_BLOCK_END, 1, "\0\1a\1b", 5);
	CHECK_INT(feed(CLIENT), OUT_END);
	CHECK_INT(out.type, MSG_REQUEST);
	h2_response(&h, 1, "103", 0);
	CHECK_INT(feed(SERVER), OUT_HEAD | OUT_INTERIM);
	h2_response(&h, 1, "200", 0);
	CHECK_INT(feed(SERVER), OUT_HEAD);
	h2_data(&h, 1, "", 0);
	h2_data(&h, 1, "body", 0);
	CHECK_INT(feed(SERVER), 0);
	h2_frame(&h, 1, H2_END | H2_BLOCK_END, 1, "\0\x0bgrpc-status\1" "0", 15);
	CHECK_INT(feed(SERVER), OUT_MORE | OUT_END);
	CHECK(head()->trailers && head()->end.whole);
	CHECK_INT(s->streams.n, 0);
}

/* What a head adds is kept with the request: nobody may add for ever. */
static void test_http2__heads_behind_the_answer(void)
{
	int told = 0;

	begin();
	ask(1);
	h2_response(&h, 1, "200", 0);
	CHECK_INT(feed(SERVER), OUT_HEAD);
	for (int i = 0; i < 300; i++) {
		h2_frame(&h, 1, H2_BLOCK_END, 1, "\0\1a\1b", 5);
		told += feed(SERVER) != 0;
	}
	CHECK(told > 0 && told < 10);
	h2_frame(&h, 1, H2_END | H2_BLOCK_END, 1, "\0\1a\1b", 5);
	CHECK_INT(feed(SERVER), OUT_MORE | OUT_END);
	CHECK_INT(s->streams.n, 0);
}

/* Stream 0 is the connection's. */
static void test_http2__promises_of_nothing(void)
{
	char block[64] = { 0 };

	begin();
	ask(1);
	for (int i = 0; i < 3; i++) {
		h2_frame(&h, 5, H2_BLOCK_END, 1, block, 4 + h2_request_block(block + 4, "GET", "/"));
		CHECK_INT(feed(SERVER), 0);
	}
	CHECK_INT(s->streams.n, 1);
}

static void test_http2__a_block_without_a_method_is_no_request(void)
{
	begin();
	h2_frame(&h, 1, H2_END | H2_BLOCK_END, 1, "\0\1a\1b", 5);
	CHECK_INT(feed(CLIENT), 0);
	h2_frame(&h, 1, H2_END | H2_BLOCK_END, 3, NULL, 0);
	CHECK_INT(feed(CLIENT), 0);
	ask(5);
}

static void test_http2__values_that_are_nobodys_business(void)
{
	static const struct slice capture[] = { SLICE("x-token"), SLICE("x-open") };
	static const struct proto_config config = { capture, 2 };
	char block[256];
	size_t n = h2_request_block(block, "GET", "/"), at = n;

	begin();
	s->head.http.config = &config;
	n += h2_field(block + n, "x-token", "secret");
	block[at] = 0x10; /* never indexed */
	n += h2_field(block + n, "x-open", "shown");
	h2_frame(&h, 1, H2_END | H2_BLOCK_END, 1, block, n);
	CHECK_INT(feed(CLIENT), OUT_HEAD | OUT_END);
	CHECK_INT(head()->http.notes.n_captures, 1);
	CHECK_SLICE(http1_part(&head()->http, head()->http.notes.captures[0].value), "shown");
	CHECK(!memmem(s->text.p, s->text.n, "secret", 6));
}

static void test_http2__cookie_crumbs(void)
{
	static const struct slice capture[] = { SLICE("cookie"), SLICE("x-a") };
	static const struct proto_config config = { capture, 2 };
	const struct http2_message *m;
	struct arena_pool pool;
	struct arena arena;
	char block[256];
	size_t n = h2_request_block(block, "GET", "/");

	begin();
	arena_pool_init(&pool, 1 << 20);
	arena_init(&arena, &pool);
	s->head.http.config = &config;
	n += h2_field(block + n, "cookie", "a=1");
	n += h2_field(block + n, "x-a", "between");
	n += h2_field(block + n, "cookie", "b=2");
	n += h2_field(block + n, "cookie", "c=3");
	h2_frame(&h, 1, H2_END | H2_BLOCK_END, 1, block, n);
	CHECK_INT(feed(CLIENT), OUT_HEAD | OUT_END);
	m = http2_message_of(http2_ops.keep(out.msg, &arena));
	REQUIRE(m != NULL);
	CHECK_INT(m->http.n_captured, 2);
	CHECK_SLICE(m->http.captured[0].value, "a=1; b=2; c=3");
	CHECK_SLICE(m->http.captured[1].value, "between");
	arena_fini(&arena);
	arena_pool_fini(&pool);
}

/* A hole at each byte of a conversation, and a beginning at each: the parser finds its way, and asks for nothing but bytes. */
static void test_http2__from_every_byte(void)
{
	static char whole[8192];
	size_t n, found = 0;

	h2_init(&h);
	for (uint32_t i = 1; i < 60; i += 2) {
		h2_request(&h, i, "GET", "/path", 0);
		h2_data(&h, i, "some body that is sent", H2_END);
		h2_head(&h, 4, 8, 0, 0);
		h2_u32(&h, 1000);
	}
	n = h.n;
	REQUIRE(n < sizeof(whole));
	memcpy(whole, h.bytes, n);
	for (size_t at = 0; at < n / 2; at++) {
		struct proto_out o;
		int64_t r;

		fresh();
		CHECK_INT(http2_ops.resync(s, CLIENT, SLICE("")), -EAGAIN);
		r = http2_ops.resync(s, CLIENT, slice_of(whole + at, n - at));
		CHECK(r >= 0 || r == -EINPROGRESS); /* payload that could be a frame, of which the end is not here yet */
		if (r < 0)
			continue;
		found++;
		for (size_t p = at + (size_t)r; p < n;) {
			o = (struct proto_out){ 0 };
			r = http2_ops.parse(s, CLIENT, slice_of(whole + p, n - p), &o);
			REQUIRE(r > 0);
			if (o.flags & OUT_HEAD)
				CHECK_SLICE(http1_part(&((const struct http2_head *)o.msg)->http,
						       ((const struct http2_head *)o.msg)->http.target), "/path");
			p += (size_t)r + (size_t)o.skip;
		}
	}
	printf("# found from %zu of %zu places\n", found, n / 2);
	CHECK(found > n / 2 * 9 / 10);
}

/* Random bytes, and frames made of them: no crash, no endless loop, bounded streams. */
static void test_http2__random_frames(void)
{
	static char noise[300];
	struct rng r;

	rng_seed(&r, 9, 9);
	for (int round = 0; round < 3000; round++) {
		begin();
		for (int i = 0; i < 30; i++) {
			enum ev_dir from = rng_next(&r) & 1 ? CLIENT : SERVER;
			size_t n = rng_next(&r) % sizeof(noise);

			for (size_t k = 0; k < n; k++)
				noise[k] = (char)rng_next(&r);
			h2_frame(&h, (int)(rng_next(&r) % 11), (int)(rng_next(&r) & 0x2d), rng_next(&r) % 9, noise, n);
			if (s->dir[from].state == H2_LOST)
				http2_ops.resync(s, from, h2_bytes(&h));
			else if (feed(from) & BROKEN)
				http2_ops.resync(s, from, SLICE(""));
			h2_init(&h);
			http2_ops.answers(s, 0);
		}
		CHECK(s->streams.n <= PROTO_OPEN_MAX);
	}
}

int main(void)
{
	RUN(test_http2__sniffing);
	RUN(test_http2__frames_that_say_nothing);
	RUN(test_http2__padding_and_priority);
	RUN(test_http2__settings_bind_from_their_acknowledgement);
	RUN(test_http2__continuation);
	RUN(test_http2__floods_of_continuation);
	RUN(test_http2__hpack_bombs);
	RUN(test_http2__long_values);
	RUN(test_http2__resets);
	RUN(test_http2__ids);
	RUN(test_http2__goaway);
	RUN(test_http2__streams_are_bounded);
	RUN(test_http2__trailers_and_interim);
	RUN(test_http2__heads_behind_the_answer);
	RUN(test_http2__promises_of_nothing);
	RUN(test_http2__a_block_without_a_method_is_no_request);
	RUN(test_http2__values_that_are_nobodys_business);
	RUN(test_http2__cookie_crumbs);
	RUN(test_http2__from_every_byte);
	RUN(test_http2__random_frames);
	http2_ops.fini(s);
	free(s);
	return tap_done();
}
