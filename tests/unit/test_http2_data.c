// SPDX-License-Identifier: Apache-2.0
/* DATA that nobody reads: what the kernel is told of frames, and what the parser does without. */
#include <stdlib.h>

#include "h2kit.h"
#include "proto/http2.h"
#include "tap.h"

static struct h2 h;
static const struct proto_config config;

static void *session_new(void)
{
	void *s = calloc(1, http2_ops.session_size);

	CHECK(s && !http2_ops.init(s, &config));
	return s;
}

static void session_end(void *s)
{
	http2_ops.fini(s);
	free(s);
}

/* Parses all that was put together; returns what the last step said. */
static struct proto_out feed(void *s, enum ev_dir from)
{
	struct slice in = h2_bytes(&h);
	struct proto_out out = { 0 };

	while (in.n) {
		int64_t n = http2_ops.parse(s, from, in, &out);

		CHECK(n > 0);
		if (n <= 0)
			break;
		in = slice_from(in, (size_t)n);
	}
	h2_init(&h);
	return out;
}

static void *asked(const char *content_type)
{
	void *s = session_new();
	char block[512];
	size_t n = h2_request_block(block, "POST", "/s.S/m");

	n += h2_field(block + n, "content-type", content_type);
	h2_init(&h);
	h2_preface(&h);
	h2_frame(&h, 1, H2_BLOCK_END, 1, block, n);
	feed(s, DIR_SEND);
	return s;
}

/* The front of a DATA frame of which `have` bytes were captured. */
static struct proto_out data_front(void *s, const char *p, size_t have, size_t length, int flags)
{
	h2_head(&h, length, 0, flags, 1);
	h2_add(&h, p, have);
	return feed(s, DIR_SEND);
}

static void test_http2_data__ahead(void)
{
	void *s = session_new();

	CHECK(http2_ops.ahead(s, DIR_SEND) == UINT64_MAX); /* the preface may come */
	session_end(s);
	s = asked("text/plain");
	CHECK(http2_ops.ahead(s, DIR_SEND) == 0);
	http2_ops.resync(s, DIR_SEND, SLICE(""));
	CHECK(http2_ops.ahead(s, DIR_SEND) == UINT64_MAX);
	session_end(s);
}

static void test_http2_data__front_is_enough(void)
{
	static const char some[64];
	void *s = asked("text/plain");
	struct proto_out out = data_front(s, some, sizeof(some), 5000, H2_END);

	CHECK_INT(out.skip, 5000 - 64);
	CHECK_INT(out.flags, OUT_END);
	CHECK(http2_ops.ahead(s, DIR_SEND) == 0);
	CHECK(http2_ops.framing(s) == http2_ops.framings[0]);
	session_end(s);
}

/* One message over several frames: its length tells where the next prefix comes. */
static void test_http2_data__one_grpc_message(void)
{
	static const char front[64] = { 0, 0, 0, 0x40, 0 }; /* 16,384 bytes */
	void *s = asked("application/grpc");
	struct proto_out out = data_front(s, front, sizeof(front), 10000, 0);

	CHECK_INT(out.skip, 10000 - 64);
	out = data_front(s, front, 64, 16384 + 5 - 10000, H2_END);
	CHECK_INT(out.flags, OUT_END);
	CHECK(http2_ops.framing(s) == http2_ops.framings[0]);
	session_end(s);
}

/* Where prefixes stand in payload that was not captured, the counts are given up and nothing else. */
static void test_http2_data__several_grpc_messages(void)
{
	static const char front[64] = { 0, 0, 0, 1, 0 }; /* 256 bytes, and more messages behind */
	void *s = asked("application/grpc");
	struct proto_out out = data_front(s, front, sizeof(front), 5000, H2_END);

	CHECK_INT(out.skip, 256 + 5 - 64);
	CHECK_INT(out.flags, 0);
	CHECK_INT(http2_ops.ahead(s, DIR_SEND), 5000 - 261);
	CHECK(!http2_ops.lacks(s, DIR_RECV, 10, &out)); /* nothing is known of that direction */
	CHECK(!http2_ops.lacks(s, DIR_SEND, 5000, &out)); /* it may have held a header */
	CHECK(http2_ops.lacks(s, DIR_SEND, 5000 - 261, &out));
	CHECK_INT(out.skip, 5000 - 261);
	CHECK_INT(out.flags, OUT_END);
	CHECK_INT(out.key, 1);
	CHECK(http2_ops.ahead(s, DIR_SEND) == 0);
	CHECK(http2_ops.framing(s) == http2_ops.framings[1]); /* not again */
	CHECK(!http2_ops.lacks(s, DIR_SEND, 1, &out));
	session_end(s);
}

static void test_http2_data__framings_are_listed(void)
{
	const struct framing *all[FRAMINGS_MAX];
	size_t n = proto_framings(all);

	CHECK(n >= 2);
	for (size_t i = 0; i < n; i++)
		CHECK(all[i]->header && all[i]->header <= FRAME_HEADER_MAX && all[i]->len_size <= 4 &&
		      all[i]->magic_len <= sizeof(all[i]->magic));
}

/* A server that sends DATA before it answers; what was held of it goes (the sanitizer's leak check). */
static void test_http2_data__before_the_head(void)
{
	static const char type[] = "\x88\x5f\x10" "application/grpc";
	static const char trailers[64] = { (char)0x81, 0, 0, 1, 0, 0x1f, (char)0x8b };
	void *s = asked("application/grpc");

	for (int i = 0; i < 2; i++) {
		h2_frame(&h, 0, 0, 1, trailers, sizeof(trailers));
		feed(s, DIR_RECV);
		h2_frame(&h, 1, H2_BLOCK_END, 1, type, sizeof(type) - 1);
		CHECK_INT(feed(s, DIR_RECV).flags, i ? OUT_MORE : OUT_HEAD);
	}
	session_end(s);
}

int main(void)
{
	RUN(test_http2_data__ahead);
	RUN(test_http2_data__front_is_enough);
	RUN(test_http2_data__one_grpc_message);
	RUN(test_http2_data__several_grpc_messages);
	RUN(test_http2_data__framings_are_listed);
	RUN(test_http2_data__before_the_head);
	return tap_done();
}
