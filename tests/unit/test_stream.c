// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include <errno.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/stats.h"
#include "conn/stream.h"

#define LIMIT (1 << 20)

static size_t used;

static struct chunk piece(uint64_t off, const char *text, uint64_t time)
{
	return (struct chunk){ .off = off,
			       .size = (uint32_t)strlen(text),
			       .data = slice_str(text),
			       .seq = (uint32_t)off + 1000,
			       .has_seq = true,
			       .mark = { .time = time, .ctx = time, .pid = 1, .tid = (uint32_t)time } };
}

static int feed(struct stream *s, uint64_t off, const char *text, uint64_t time)
{
	struct chunk c = piece(off, text, time);

	return stream_feed(s, &c);
}

static void feed_hole(struct stream *s, uint64_t off, uint32_t size, uint64_t time)
{
	struct chunk c = piece(off, "", time);

	c.size = size;
	stream_feed(s, &c);
}

static void test_stream__what_is_left_is_kept(void)
{
	struct stream *s = stream_new(0, &used, LIMIT);
	char text[] = "hello world";

	feed(s, 0, text, 1);
	CHECK(stream_peek(s).p == text); /* in place */
	stream_consume(s, 6);
	stream_settle(s);
	memset(text, 'x', sizeof(text) - 1);
	CHECK_SLICE(stream_peek(s), "world");
	feed(s, 11, "!?", 2);
	CHECK_SLICE(stream_peek(s), "world!?");
	stream_consume(s, 7);
	stream_settle(s);
	CHECK_INT(stream_peek(s).n, 0);
	CHECK_INT(used, 0);
	CHECK_INT(stream_front(s), 13);
	stream_free(s);
	CHECK_INT(used, 0);
}

static void test_stream__early_chunks_wait_for_their_predecessor(void)
{
	struct stream *s = stream_new(100, &used, LIMIT);

	feed(s, 106, "ghi", 3);
	stream_settle(s);
	CHECK_INT(stream_peek(s).n, 0);
	CHECK(stream_waiting(s));
	CHECK_INT(stream_hole(s), 0);
	feed(s, 103, "def", 2);
	feed(s, 100, "abc", 1);
	CHECK_SLICE(stream_peek(s), "abcdefghi");
	CHECK(!stream_waiting(s));
	CHECK_INT(stream_mark(s, 100).time, 1);
	CHECK_INT(stream_mark(s, 105).time, 2);
	CHECK_INT(stream_mark(s, 108).time, 3);
	CHECK_INT(stream_mark(s, 109).time, 0);
	stream_free(s);
	CHECK_INT(used, 0);
}

static void test_stream__duplicates_and_overlaps_count_once(void)
{
	struct stream *s = stream_new(0, &used, LIMIT);

	feed(s, 0, "abcdef", 1);
	stream_consume(s, 2);
	stream_settle(s);
	feed(s, 0, "XXXXXX", 2);
	feed(s, 4, "XXgh", 3);
	feed(s, 10, "klm", 4);
	feed(s, 9, "jXXXno", 5); /* surrounds what waits: the part in front of it counts */
	feed(s, 10, "YY", 6);
	stream_settle(s);
	CHECK_SLICE(stream_peek(s), "cdefgh");
	feed(s, 7, "hi", 7);
	CHECK_SLICE(stream_peek(s), "cdefghijklm");
	CHECK_INT(stream_mark(s, 5).time, 1);
	CHECK_INT(stream_mark(s, 6).time, 3);
	stream_free(s);
	CHECK_INT(used, 0);
}

static void test_stream__a_missing_chunk_is_given_up_by_time(void)
{
	struct stream *s = stream_new(0, &used, LIMIT);

	feed(s, 0, "abc", 1000);
	feed(s, 5, "fg", 2000);
	CHECK_INT(stream_hole(s), 0);
	stream_tick(s, 2000 + STREAM_WAIT_NS - 1);
	CHECK_INT(stream_hole(s), 0);
	stream_tick(s, 2000 + STREAM_WAIT_NS);
	CHECK_INT(stream_hole(s), 2);
	CHECK_SLICE(stream_peek(s), "abc");
	stream_pass_hole(s);
	CHECK_INT(stream_front(s), 5);
	CHECK_SLICE(stream_peek(s), "fg");
	CHECK_INT(stream_mark(s, 4).time, 0);
	feed(s, 3, "DE", 3); /* too late */
	CHECK_SLICE(stream_peek(s), "fg");
	stream_free(s);
}

static void test_stream__a_missing_chunk_is_given_up_by_number(void)
{
	struct stream *s = stream_new(0, &used, LIMIT);

	for (unsigned i = 0; i < STREAM_PENDING; i++) {
		CHECK_INT(stream_hole(s), 0);
		feed(s, 10 + 2 * i, "ab", 5);
	}
	CHECK_INT(stream_hole(s), 10);
	stream_pass_hole(s);
	CHECK_INT(stream_peek(s).n, 2 * STREAM_PENDING);
	stream_free(s);
	CHECK_INT(used, 0);
}

static void test_stream__known_holes(void)
{
	struct stream *s = stream_new(0, &used, LIMIT);
	struct chunk c = piece(0, "abc", 1);

	c.size = 10;
	stream_feed(s, &c);
	CHECK_SLICE(stream_peek(s), "abc");
	CHECK_INT(stream_hole(s), 7);
	feed_hole(s, 10, 5, 2);
	CHECK_INT(stream_hole(s), 12);
	feed(s, 15, "xyz", 3);
	CHECK_SLICE(stream_peek(s), "abc");
	CHECK_INT(stream_hole(s), 12);
	CHECK(!stream_waiting(s));
	stream_pass_hole(s);
	CHECK_SLICE(stream_peek(s), "xyz");
	CHECK_INT(stream_mark(s, 14).time, 2);
	stream_free(s);
}

static void test_stream__skips_are_satisfied_by_anything(void)
{
	struct stream *s = stream_new(0, &used, LIMIT);

	feed(s, 0, "head", 1);
	stream_consume(s, 4);
	stream_skip(s, 100);
	CHECK(stream_skipping(s));
	feed(s, 4, "body", 2);
	feed_hole(s, 8, 50, 3);
	CHECK_INT(stream_peek(s).n, 0);
	feed_hole(s, 80, 10, 4); /* what lies between needs no record */
	CHECK(stream_skipping(s));
	CHECK_INT(stream_front(s), 90);
	feed(s, 90, "0123456789abcdNEXT", 5);
	CHECK(!stream_skipping(s));
	CHECK_SLICE(stream_peek(s), "NEXT");
	CHECK_INT(stream_mark_end(s, stream_front(s) - 1).time, 5);
	CHECK_INT(used, 0);
	stream_free(s);
}

static void test_stream__an_operation_that_goes_on_behind_a_skip_is_its_end(void)
{
	struct stream *s = stream_new(0, &used, LIMIT);
	struct chunk c = { .off = 10, .size = 4, .data = SLICE("next"), .passed = true, .mark = { .time = 7 } };

	stream_skip(s, 10);
	stream_feed(s, &c);
	CHECK(!stream_skipping(s));
	CHECK_SLICE(stream_peek(s), "next");
	CHECK_INT(stream_mark_end(s, 9).time, 7);
	stream_consume(s, 4);
	stream_settle(s);
	c.off = 24; /* ahead of a skip that is not known yet */
	stream_feed(s, &c);
	CHECK(stream_waiting(s));
	stream_skip(s, 10);
	CHECK(!stream_skipping(s));
	CHECK_SLICE(stream_peek(s), "next");
	CHECK_INT(stream_mark_end(s, 23).time, 7);
	stream_free(s);
}

static void test_stream__the_last_byte_of_a_skip_is_waited_for(void)
{
	struct stream *s = stream_new(0, &used, LIMIT);

	stream_skip(s, 10);
	feed(s, 10, "next", 2000);
	CHECK(stream_skipping(s));
	CHECK(stream_waiting(s));
	feed_hole(s, 0, 10, 1000);
	CHECK(!stream_skipping(s));
	CHECK_SLICE(stream_peek(s), "next");
	CHECK_INT(stream_mark_end(s, 9).time, 1000);
	stream_consume(s, 4);
	stream_skip(s, 10);
	feed(s, 30, "gone", 3000);
	stream_tick(s, 3000 + STREAM_WAIT_NS);
	CHECK(!stream_skipping(s));
	CHECK_INT(stream_hole(s), 6);
	CHECK_INT(stream_mark_end(s, 23).time, 0);
	CHECK_INT(stream_last(s).time, 3000);
	stream_free(s);
}

static void test_stream__skip_over_what_is_at_hand(void)
{
	struct stream *s = stream_new(0, &used, LIMIT);

	feed(s, 0, "abcdefgh", 1);
	feed(s, 20, "uvwxyz", 2);
	stream_settle(s);
	stream_skip(s, 22);
	CHECK(!stream_skipping(s));
	CHECK_SLICE(stream_peek(s), "wxyz");
	stream_skip(s, SKIP_TO_END);
	CHECK(stream_skipping(s));
	feed(s, 26, "more", 3);
	CHECK_INT(stream_front(s), 30);
	CHECK_INT(stream_last(s).time, 3);
	stream_free(s);
	CHECK_INT(used, 0);
}

static void test_stream__offsets_at_the_end_of_the_range(void)
{
	struct stream *s = stream_new(UINT64_MAX - 4, &used, LIMIT);

	feed(s, UINT64_MAX - 4, "abcdefgh", 1);
	CHECK_SLICE(stream_peek(s), "abc");
	stream_consume(s, 3);
	stream_skip(s, 100);
	CHECK(stream_skipping(s));
	feed(s, UINT64_MAX - 1, "x", 2);
	feed(s, UINT64_MAX, "x", 2);
	CHECK_INT(stream_peek(s).n, 0);
	stream_free(s);
	s = stream_new(UINT64_MAX, &used, LIMIT);
	feed(s, UINT64_MAX, "x", 2);
	feed(s, 0, "x", 2);
	CHECK_INT(stream_peek(s).n, 0);
	stream_free(s);
}

static void test_stream__memory_refused_becomes_a_hole(void)
{
	const char *text = "too much by far for so little memory: a struct and some bytes of text and more of them";
	struct stream *s = stream_new(0, &used, 100);
	uint64_t before = stats[STAT_memory_bytes];

	CHECK_INT(feed(s, 10, text, 1), -ENOMEM);
	CHECK_INT(used, 0);
	CHECK(stats[STAT_memory_bytes] > before);
	feed(s, 0, "0123456789", 2);
	CHECK_SLICE(stream_peek(s), "0123456789");
	stream_consume(s, 4);
	stream_settle(s); /* what is left cannot be kept */
	CHECK_INT(stream_peek(s).n, 0);
	CHECK_INT(stream_hole(s), 6);
	CHECK_INT(stats[STAT_memory_bytes] - before, strlen(text) + 6);
	stream_pass_hole(s);
	feed(s, 10, "abc", 3);
	CHECK_SLICE(stream_peek(s), "abc");
	stream_free(s);
	CHECK_INT(used, 0);
}

static void test_stream__the_buffer_is_bounded(void)
{
	struct stream *s = stream_new(0, &used, LIMIT);
	static char big[16385];

	memset(big, 'x', sizeof(big) - 1);
	for (unsigned i = 0; i < 10; i++) {
		feed(s, 16384ULL * i, big, i + 1);
		stream_settle(s);
	}
	CHECK_INT(stream_peek(s).n, STREAM_BUFFER_MAX);
	CHECK(used < 2 * STREAM_BUFFER_MAX + 16384);
	CHECK_INT(stream_hole(s), 16384); /* behind it as much waits, and the rest is lost as well */
	stream_pass_hole(s);
	CHECK_INT(stream_peek(s).n, 16384 * 4);
	stream_free(s);
	CHECK_INT(used, 0);
}

/* 1000 operations of a byte: times stay on the right side however much was merged. */
static void test_stream__merged_marks_err_on_the_right_side(void)
{
	struct stream *s = stream_new(0, &used, LIMIT);

	for (unsigned i = 0; i < 1000; i++) {
		feed(s, i, "x", 10 + i);
		stream_settle(s);
	}
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t seq = 0;

		CHECK(stream_mark(s, i).time <= 10 + i && stream_mark(s, i).time >= 10);
		CHECK(stream_mark_end(s, i).time >= 10 + i && stream_mark_end(s, i).time <= 1009);
		CHECK(stream_seq(s, i, &seq) && seq == 1000 + i);
	}
	CHECK_INT(stream_mark(s, 0).time, 10);
	CHECK_INT(stream_mark_end(s, 999).time, 1009);
	stream_consume(s, 1000);
	stream_settle(s);
	CHECK_INT(stream_mark_end(s, 999).time, 1009);
	stream_free(s);
	CHECK_INT(used, 0);
}

/* Any order within the window, any cuts: the same bytes, each with the mark of its operation. */
static void test_stream__any_order_gives_the_same_bytes(void)
{
	struct rng r;
	static char text[3000], got[3000];

	rng_seed(&r, 3, 4);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + rng_next(&r) % 26);
	for (unsigned round = 0; round < 300; round++) {
		struct stream *s = stream_new(7, &used, LIMIT);
		struct chunk c[200];
		size_t n = 0, at = 0, have = 0;

		for (; at < sizeof(text) && n < 200; n++) {
			size_t k = n == 199 ? sizeof(text) - at : 1 + rng_next(&r) % 40;

			if (k > sizeof(text) - at)
				k = sizeof(text) - at;
			c[n] = (struct chunk){ .off = 7 + at, .size = (uint32_t)k, .data = { text + at, k },
					       .mark = { .time = 1 + at } };
			at += k;
		}
		for (size_t i = 0; i < n; i++) { /* within eights */
			size_t j = i / 8 * 8 + rng_next(&r) % 8;
			struct chunk t = c[i];

			if (j >= n)
				continue;
			c[i] = c[j];
			c[j] = t;
		}
		for (size_t i = 0; i < n; i++) {
			struct slice in;

			stream_feed(s, &c[i]);
			if (rng_next(&r) & 1)
				stream_feed(s, &c[rng_next(&r) % (i + 1)]); /* again */
			while ((in = stream_peek(s)).n) {
				size_t k = 1 + rng_next(&r) % in.n;

				CHECK(stream_mark(s, stream_front(s)).time <= stream_front(s) - 7 + 1);
				memcpy(got + have, in.p, k);
				have += k;
				stream_consume(s, k);
				if (rng_next(&r) % 3 == 0)
					break;
			}
			stream_settle(s);
		}
		while (stream_peek(s).n) {
			memcpy(got + have, stream_peek(s).p, stream_peek(s).n);
			have += stream_peek(s).n;
			stream_consume(s, stream_peek(s).n);
		}
		CHECK_INT(have, at);
		CHECK(!memcmp(got, text, have));
		stream_free(s);
		REQUIRE(used == 0);
	}
}

/* Nonsense of every kind: no crash, no loop, the account of memory closes. */
static void test_stream__survives_nonsense(void)
{
	static char text[70000];
	struct rng r;

	rng_seed(&r, 9, 9);
	for (unsigned round = 0; round < 200; round++) {
		uint64_t base = rng_next(&r) & 1 ? 0 : UINT64_MAX - 100000;
		struct stream *s = stream_new(base, &used, 1 + rng_next(&r) % 300000);

		for (unsigned i = 0; i < 300; i++) {
			struct chunk c = { .off = base + rng_next(&r) % 100000, .size = (uint32_t)(rng_next(&r) % 5000) };

			if (rng_next(&r) % 16 == 0)
				c.size = (uint32_t)rng_next(&r);
			c.data = slice_of(text, rng_next(&r) % 3 ? c.size % 70000 : rng_next(&r) % 70000);
			c.mark.time = rng_next(&r) % 1000000000;
			stream_feed(s, &c);
			switch (rng_next(&r) % 8) {
			case 0:
				stream_consume(s, rng_next(&r) % 8000);
				break;
			case 1:
				stream_skip(s, rng_next(&r) % 8000);
				break;
			case 2:
				stream_pass_hole(s);
				break;
			case 3:
				stream_tick(s, rng_next(&r) % 2 ? UINT64_MAX : rng_next(&r) % 1000000000);
				break;
			}
			CHECK(stream_front(s) >= base);
			stream_mark(s, stream_front(s));
			stream_settle(s);
		}
		stream_free(s);
		REQUIRE(used == 0);
	}
}

int main(void)
{
	RUN(test_stream__what_is_left_is_kept);
	RUN(test_stream__early_chunks_wait_for_their_predecessor);
	RUN(test_stream__duplicates_and_overlaps_count_once);
	RUN(test_stream__a_missing_chunk_is_given_up_by_time);
	RUN(test_stream__a_missing_chunk_is_given_up_by_number);
	RUN(test_stream__known_holes);
	RUN(test_stream__skips_are_satisfied_by_anything);
	RUN(test_stream__an_operation_that_goes_on_behind_a_skip_is_its_end);
	RUN(test_stream__the_last_byte_of_a_skip_is_waited_for);
	RUN(test_stream__skip_over_what_is_at_hand);
	RUN(test_stream__offsets_at_the_end_of_the_range);
	RUN(test_stream__memory_refused_becomes_a_hole);
	RUN(test_stream__the_buffer_is_bounded);
	RUN(test_stream__merged_marks_err_on_the_right_side);
	RUN(test_stream__any_order_gives_the_same_bytes);
	RUN(test_stream__survives_nonsense);
	return tap_done();
}
