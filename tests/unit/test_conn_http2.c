// SPDX-License-Identifier: Apache-2.0
/* Connections whose messages are mixed: HTTP/2 through conn/. */
#include "tap.h"

#include "conn_kit.h"
#include "h2kit.h"

static struct h2 h;

/* What was put into `h` passes in one operation (or in pieces of s.piece). */
static void pass(struct bench *b, struct synth_conn *c, int dir)
{
	synth_bytes(&b->s, c, dir, h.bytes, h.n);
	h2_init(&h);
}

static struct seen *seen_named(struct bench *b, const char *name)
{
	for (unsigned i = 0; i < b->ended && i < SEEN_MAX; i++)
		if (!strcmp(b->seen[i].name, name))
			return &b->seen[i];
	return NULL;
}

static void begin(struct bench *b, struct synth_conn *c, int role)
{
	int in = role == ROLE_SERVER ? DIR_RECV : DIR_SEND;

	synth_open(&b->s, c, FAM_INET, role);
	h2_init(&h);
	h2_preface(&h);
	pass(b, c, in);
	h2_frame(&h, 4, 0, 0, NULL, 0);
	h2_frame(&h, 4, H2_ACK, 0, NULL, 0);
	pass(b, c, !in);
}

static void test_conn_http2__streams_have_times_of_their_own(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10, .seq = true, .isn = { 100, 200 } };
	struct seen *one, *two;
	uint64_t t0;

	begin(b, &c, ROLE_SERVER);
	t0 = b->s.now;
	h2_request(&h, 1, "POST", "/one", 0);
	pass(b, &c, DIR_RECV); /* t0 */
	h2_request(&h, 3, "GET", "/two", H2_END);
	pass(b, &c, DIR_RECV); /* t0 + 1 */
	h2_response(&h, 3, "200", 0);
	pass(b, &c, DIR_SEND);
	h2_data(&h, 1, "body", H2_END);
	pass(b, &c, DIR_RECV); /* t0 + 3 */
	h2_response(&h, 1, "201", H2_END);
	pass(b, &c, DIR_SEND);
	h2_head(&h, 4, 0, H2_END, 3);
	pass(b, &c, DIR_SEND); /* t0 + 5: the end of stream 3 is still to come */
	play(b);
	CHECK_INT(b->ended, 1);
	h2_add(&h, "late", 4);
	pass(b, &c, DIR_SEND);
	play(b);
	CHECK_INT(b->ended, 2);
	one = seen_named(b, "POST /one");
	two = seen_named(b, "GET /two");
	REQUIRE(one && two);
	CHECK_INT(one->req_first.time, t0);
	CHECK_INT(one->req_last.time, t0 + 3000);
	CHECK_INT(one->resp_first.time, t0 + 4000);
	CHECK_INT(one->resp_last.time, t0 + 4000);
	CHECK_INT(two->req_first.time, t0 + 1000);
	CHECK_INT(two->req_last.time, t0 + 1000);
	CHECK_INT(two->resp_first.time, t0 + 2000);
	CHECK_INT(two->resp_last.time, t0 + 6000);
	CHECK_INT(one->status, 201);
	CHECK_INT(two->status, 200);
	CHECK(one->has_seq && one->req_seq != two->req_seq);
	CHECK_INT(one->end, CALL_ANSWERED);
	CHECK(one->server && !one->truncated);
	teardown(b);
}

/* A send is seen when it returns: the answer may be here before its request. */
static void test_conn_http2__answers_wait_for_their_requests(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	begin(b, &c, ROLE_CLIENT);
	for (uint32_t i = 1; i < 40; i += 2) {
		h2_request(&h, i, "GET", "/a", H2_END);
		pass(b, &c, DIR_SEND);
		h2_response(&h, i, "200", H2_END);
		pass(b, &c, DIR_RECV);
		synth_swap(&b->s, b->s.n - 1, b->s.n - 2);
	}
	play(b);
	CHECK_INT(b->ended, 20);
	CHECK_INT(COUNT(b, orphan_responses), 0);
	h2_response(&h, 99, "200", H2_END); /* nobody asked */
	pass(b, &c, DIR_RECV);
	h2_response(&h, 97, "200", H2_END);
	pass(b, &c, DIR_RECV);
	synth_tick(&b->s, 100 * MS);
	synth_tick(&b->s, 100 * MS);
	h2_request(&h, 101, "GET", "/b", H2_END);
	pass(b, &c, DIR_SEND);
	h2_response(&h, 101, "200", H2_END);
	pass(b, &c, DIR_RECV);
	play(b);
	CHECK_INT(b->ended, 21);
	CHECK_INT(COUNT(b, orphan_responses), 2);
	CHECK(!b->seen[20].server);
	teardown(b);
}

static void test_conn_http2__every_way_to_end(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };
	uint64_t t;

	begin(b, &c, ROLE_SERVER);
	for (uint32_t i = 1; i <= 11; i += 2)
		h2_request(&h, i, "GET", i == 1 ? "/1" : i == 3 ? "/3" : i == 5 ? "/5" : i == 7 ? "/7" : "/more", H2_END);
	pass(b, &c, DIR_RECV);
	h2_reset(&h, 1, 8);
	t = b->s.now;
	pass(b, &c, DIR_RECV); /* the client cancels */
	h2_response(&h, 3, "200", 0);
	h2_reset(&h, 3, 2);
	pass(b, &c, DIR_SEND);
	h2_response(&h, 5, "200", 0);
	h2_goaway(&h, 7, 0);
	pass(b, &c, DIR_SEND); /* 9 and 11 are refused */
	play(b);
	CHECK_INT(b->ended, 4);
	CHECK(seen_named(b, "GET /1") && seen_named(b, "GET /1")->resp_last.time == t);
	CHECK_INT(seen_named(b, "GET /1") ? seen_named(b, "GET /1")->resp_first.time : 1, 0);
	CHECK(seen_named(b, "GET /3") && seen_named(b, "GET /3")->status == 200);
	CHECK(seen_named(b, "GET /more"));
	synth_end(&b->s, &c, 3, EVF_FINAL);
	play(b);
	CHECK_INT(b->ended, 6);
	REQUIRE(seen_named(b, "GET /5") && seen_named(b, "GET /7"));
	CHECK_INT(seen_named(b, "GET /5")->end, CALL_CLOSED);
	CHECK_INT(seen_named(b, "GET /7")->end, CALL_CLOSED);
	teardown(b);
}

static void test_conn_http2__a_head_that_never_ends_is_counted(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	begin(b, &c, ROLE_SERVER);
	h2_request(&h, 1, "GET", "/1", H2_END);
	h2_head(&h, 100, 1, 0, 3);
	pass(b, &c, DIR_RECV);
	h2_response(&h, 1, "200", H2_END);
	pass(b, &c, DIR_SEND);
	synth_end(&b->s, &c, 3, EVF_RESET | EVF_FINAL);
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_INT(COUNT(b, drop_incomplete), 1);
	teardown(b);
}

static void test_conn_http2__open_streams_are_bounded(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };
	uint32_t n = PROTO_OPEN_MAX + 100;

	begin(b, &c, ROLE_SERVER);
	for (uint32_t i = 0; i < n; i++)
		h2_request(&h, 2 * i + 1, "GET", "/a", H2_END);
	pass(b, &c, DIR_RECV);
	play(b);
	CHECK_INT(COUNT(b, requests_seen), n);
	CHECK_INT(COUNT(b, drop_pipeline), 100);
	for (uint32_t i = n; i--;)
		h2_response(&h, 2 * i + 1, "200", H2_END);
	pass(b, &c, DIR_SEND);
	play(b);
	CHECK_INT(b->ended, PROTO_OPEN_MAX);
	h2_request(&h, 2 * n + 1, "GET", "/again", H2_END);
	pass(b, &c, DIR_RECV);
	h2_response(&h, 2 * n + 1, "200", H2_END);
	pass(b, &c, DIR_SEND);
	play(b);
	CHECK_INT(b->ended, PROTO_OPEN_MAX + 1);
	teardown(b);
}

static void test_conn_http2__bodies_are_passed_over(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	begin(b, &c, ROLE_SERVER);
	h2_request(&h, 1, "GET", "/a", H2_END);
	pass(b, &c, DIR_RECV);
	h2_response(&h, 1, "200", 0);
	h2_head(&h, 16384, 0, H2_END, 1);
	pass(b, &c, DIR_SEND);
	play(b);
	CHECK_INT(b->skip_to[DIR_SEND], c.off[DIR_SEND] + 16384);
	synth_hole(&b->s, &c, DIR_SEND, 16384, HOLE_SKIPPED);
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].end, CALL_ANSWERED);
	CHECK_INT(COUNT(b, gap_bytes), 0);
	teardown(b);
}

/*
 * Several messages of gRPC in one frame, of which an operation passes over more than what is left of the first: no record tells of
 * that, but the one behind it says how many bytes there were, and nothing is waited for.
 */
static void test_conn_http2__what_was_passed_over_may_hold_messages(void)
{
	static const char prefix[5] = { 0, 0, 0, 0x13, 0x8b }; /* 5,003 bytes */
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };
	struct ev_data *d;

	begin(b, &c, ROLE_SERVER);
	h2_request(&h, 1, "GET", "/a", H2_END);
	pass(b, &c, DIR_RECV);
	h2_frame(&h, 1, 4, 1, "\x88\x5f\x10" "application/grpc", 19);
	h2_head(&h, 3 * 5008, 0, 0, 1);
	h2_add(&h, prefix, sizeof(prefix));
	synth_op(&b->s, &c, DIR_SEND, h.bytes, (uint32_t)h.n, (uint32_t)h.n + 4000, HOLE_SKIPPED);
	h2_init(&h);
	c.off[DIR_SEND] += 3 * 5008 - 5 - 4000;
	h2_data(&h, 1, "", H2_END);
	d = synth_op(&b->s, &c, DIR_SEND, h.bytes, (uint32_t)h.n, (uint32_t)h.n, HOLE_NONE);
	h2_init(&h);
	d->h.flags |= EVF_PASSED;
	d->passed = 3 * 5008 - 5 - 4000;
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].end, CALL_ANSWERED);
	CHECK(!b->seen[0].truncated);
	CHECK_INT(COUNT(b, gap_bytes), 0);
	teardown(b);
}

/* What was open stays so; new streams are found again. */
static void test_conn_http2__a_hole_leaves_streams_open(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	begin(b, &c, ROLE_SERVER);
	h2_request(&h, 1, "GET", "/1", H2_END);
	h2_request(&h, 3, "GET", "/3", H2_END);
	pass(b, &c, DIR_RECV);
	synth_hole(&b->s, &c, DIR_SEND, 1000, HOLE_BUDGET); /* the head of 1 among it */
	h2_data(&h, 1, "rest", H2_END);
	h2_response(&h, 3, "404", H2_END);
	pass(b, &c, DIR_SEND);
	h2_request(&h, 5, "GET", "/5", H2_END);
	pass(b, &c, DIR_RECV);
	h2_response(&h, 5, "200", H2_END);
	pass(b, &c, DIR_SEND);
	play(b);
	CHECK_INT(b->ended, 3);
	REQUIRE(seen_named(b, "GET /1") && seen_named(b, "GET /3") && seen_named(b, "GET /5"));
	CHECK_INT(seen_named(b, "GET /1")->status, 0);
	CHECK(seen_named(b, "GET /1")->truncated);
	CHECK_INT(seen_named(b, "GET /3")->status, 404);
	CHECK(seen_named(b, "GET /3")->truncated);
	CHECK_INT(seen_named(b, "GET /5")->status, 200);
	CHECK(!seen_named(b, "GET /5")->truncated);
	CHECK_INT(COUNT(b, resyncs_h2), 1);
	teardown(b);
}

static void test_conn_http2__an_end_that_was_lost_is_given_up_by_time(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	begin(b, &c, ROLE_SERVER);
	h2_request(&h, 1, "GET", "/lost", H2_END);
	h2_request(&h, 3, "GET", "/before", H2_END);
	pass(b, &c, DIR_RECV);
	synth_hole(&b->s, &c, DIR_SEND, 50, HOLE_BUDGET);
	for (uint32_t i = 5; i < 205; i += 2) { /* the connection is never idle */
		b->s.now += 5000 * MS;
		h2_request(&h, i, "GET", "/a", H2_END);
		pass(b, &c, DIR_RECV);
		h2_response(&h, i, "200", H2_END);
		pass(b, &c, DIR_SEND);
	}
	play(b);
	CHECK_INT(b->ended, 102);
	CHECK_INT(COUNT(b, requests_timed_out), 2);
	REQUIRE(seen_named(b, "GET /lost"));
	CHECK_INT(seen_named(b, "GET /lost")->end, CALL_TIMEOUT);
	teardown(b);
}

static void test_conn_http2__long_streams_live_on_a_busy_connection(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	begin(b, &c, ROLE_SERVER);
	h2_request(&h, 1, "GET", "/long", H2_END);
	pass(b, &c, DIR_RECV);
	for (uint32_t i = 3; i < 203; i += 2) {
		b->s.now += 5000 * MS;
		h2_request(&h, i, "GET", "/a", H2_END);
		pass(b, &c, DIR_RECV);
		h2_response(&h, i, "200", H2_END);
		pass(b, &c, DIR_SEND);
	}
	h2_response(&h, 1, "200", H2_END);
	pass(b, &c, DIR_SEND);
	play(b);
	CHECK_INT(b->ended, 101);
	CHECK_INT(seen_named(b, "GET /long") ? seen_named(b, "GET /long")->end : 0, CALL_ANSWERED);
	teardown(b);
}

/* Joined at the front of an operation: the first request after that is seen. */
static void test_conn_http2__joined_in_the_middle(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10, .off = { 5000, 7000 } };

	synth_open(&b->s, &c, FAM_INET, ROLE_UNKNOWN)->h.flags = EVF_MID;
	h2_init(&h);
	h2_data(&h, 7, "of a stream that was not seen", 0);
	h2_request(&h, 21, "GET", "/first", H2_END);
	pass(b, &c, DIR_RECV);
	h2_response(&h, 7, "200", H2_END);
	h2_response(&h, 21, "204", H2_END);
	pass(b, &c, DIR_SEND);
	h2_request(&h, 23, "GET", "/second", H2_END);
	pass(b, &c, DIR_RECV);
	h2_response(&h, 23, "200", H2_END);
	pass(b, &c, DIR_SEND);
	play(b);
	CHECK_INT(b->ended, 2);
	REQUIRE(seen_named(b, "GET /first") && seen_named(b, "GET /second"));
	CHECK_INT(seen_named(b, "GET /first")->status, 204);
	CHECK(seen_named(b, "GET /second")->server);
	CHECK_INT(COUNT(b, orphan_responses), 1);
	teardown(b);
}

/* Frames may be longer than the usual limit: that was agreed before we came. */
static void test_conn_http2__joined_among_long_frames(void)
{
	static char body[60000];
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10, .off = { 5000, 7000 } };

	synth_open(&b->s, &c, FAM_INET, ROLE_UNKNOWN)->h.flags = EVF_MID;
	for (uint32_t i = 21; i < 25; i += 2) {
		h2_init(&h);
		h2_frame(&h, 0, 0, 7, body, i == 21 ? 60000 : 30000);
		h2_request(&h, i, "GET", "/long", H2_END);
		pass(b, &c, DIR_RECV);
		h2_response(&h, i, "200", H2_END);
		pass(b, &c, DIR_SEND);
	}
	play(b);
	CHECK_INT(b->ended, 2);
	CHECK_INT(COUNT(b, out_of_step_h2), 0);
	teardown(b);
}

/* Payload that looks like frames, and is even a conversation: its frames do not lead to the end of what was sent. */
static void test_conn_http2__payload_is_not_taken_for_frames(void)
{
	static struct h2 inner;
	struct bench *b = setup();
	unsigned rounds = 0, found = 0;

	h2_init(&inner);
	while (inner.n < 12000) {
		h2_request(&inner, 1, "GET", "/secret", H2_END);
		h2_response(&inner, 1, "200", H2_END);
	}
	for (unsigned cut = 1; cut < 400; cut += 7) { /* where we come */
		struct synth_conn k = { .id = 10 + cut, .pid = 10, .off = { 5000, 7000 } };

		h2_init(&h);
		for (int i = 0; i < 4; i++)
			h2_frame(&h, 0, 0, 31, inner.bytes, 11990);
		h2_request(&h, 33, "GET", "/true", H2_END);
		synth_open(&b->s, &k, FAM_INET, ROLE_UNKNOWN)->h.flags = EVF_MID;
		memmove(h.bytes, h.bytes + cut, h.n -= cut);
		pass(b, &k, DIR_RECV);
		h2_response(&h, 33, "200", H2_END);
		pass(b, &k, DIR_SEND);
		rounds++;
	}
	play(b);
	CHECK(!seen_named(b, "GET /secret"));
	for (unsigned i = 0; i < b->ended; i++)
		found += !strcmp(b->seen[i].name, "GET /true");
	CHECK_INT(found, rounds);
	teardown(b);
}

/* HTTP/1.1 → 101 → HTTP/2: the request is answered on stream 1. */
static void test_conn_http2__an_upgrade_is_answered_on_stream_1(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &c, DIR_RECV, "GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
					"HTTP2-Settings: AAMAAABk\r\n\r\n");
	synth_send(&b->s, &c, DIR_SEND, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
	h2_init(&h);
	h2_preface(&h);
	pass(b, &c, DIR_RECV);
	h2_frame(&h, 4, 0, 0, NULL, 0);
	h2_response(&h, 1, "200", 0);
	h2_data(&h, 1, "done", H2_END);
	pass(b, &c, DIR_SEND);
	h2_request(&h, 3, "GET", "/next", H2_END);
	pass(b, &c, DIR_RECV);
	h2_response(&h, 3, "404", H2_END);
	pass(b, &c, DIR_SEND);
	play(b);
	CHECK_INT(b->ended, 2);
	CHECK(!strcmp(b->seen[0].name, "GET /up"));
	CHECK_INT(b->seen[0].status, 200);
	CHECK(!strcmp(b->seen[1].name, "GET /next"));
	CHECK_INT(COUNT(b, conns_opaque), 0);
	teardown(b);
}

/* Where HTTP/2 is not wanted, 101 is the answer. */
static void test_conn_http2__an_upgrade_to_what_is_not_wanted(void)
{
	const struct proto_ops *only[] = { proto_find(SLICE("http1")), NULL };
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	conn_table_free(b->t);
	b->config.protocols = only;
	b->t = conn_table_new(&b->config, &(struct exchange_sink){ on_begin, on_done, on_abandon, b },
			      &(struct verdict_sink){ .set = on_verdict, .ask = on_ask, .arg = b });
	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &c, DIR_RECV, "GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
	synth_send(&b->s, &c, DIR_SEND, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].status, 101);
	CHECK_INT(COUNT(b, conns_opaque), 1);
	teardown(b);
}

/* Each cut of a conversation. */
static void test_conn_http2__every_split_gives_the_same(void)
{
	struct bench *b = setup();

	for (size_t piece = 1; piece < 150; piece++) {
		struct synth_conn c = { .id = piece, .pid = 1 };
		unsigned before = b->ended;

		b->s.piece = piece;
		begin(b, &c, ROLE_SERVER);
		h2_request(&h, 1, "POST", "/p", 0);
		h2_request(&h, 3, "GET", "/q", H2_END);
		h2_data(&h, 1, "0123456789", H2_END);
		pass(b, &c, DIR_RECV);
		h2_response(&h, 3, "404", 0);
		h2_response(&h, 1, "103", 0);
		h2_data(&h, 3, "no", H2_END);
		h2_response(&h, 1, "201", H2_END);
		pass(b, &c, DIR_SEND);
		play(b);
		REQUIRE(b->ended == before + 2);
		CHECK(!strcmp(b->seen[before].name, "GET /q") && b->seen[before].status == 404);
		CHECK(!strcmp(b->seen[before + 1].name, "POST /p") && b->seen[before + 1].status == 201);
	}
	teardown(b);
}

/* Records of mixed conversations thrown away, exchanged, cut: every request is accounted for, nothing leaks. */
static void test_conn_http2__random_loss(void)
{
	struct rng r;

	rng_seed(&r, 4, 4);
	for (int round = 0; round < 300; round++) {
		struct bench *b = setup();
		struct synth_conn c = { .id = 1, .pid = 10 };
		uint32_t next = 1;

		begin(b, &c, rng_next(&r) & 1 ? ROLE_SERVER : ROLE_CLIENT);
		for (int i = 0; i < 200; i++) {
			uint32_t any = rng_next(&r) % (next + 4) | 1;
			int in = c.id && rng_next(&r) & 1;

			switch (rng_next(&r) % 8) {
			case 0:
			case 1:
				h2_request(&h, next, "GET", "/a", rng_next(&r) & 1);
				next += 2;
				break;
			case 2:
			case 3:
				h2_response(&h, any, "200", rng_next(&r) & 1);
				break;
			case 4:
				h2_data(&h, any, "data", rng_next(&r) & 1);
				break;
			case 5:
				h2_reset(&h, any, 8);
				break;
			case 6:
				h2_head(&h, rng_next(&r) % 3000, (int)(rng_next(&r) % 12), (int)(rng_next(&r) % 256), any);
				break;
			default:
				if (rng_next(&r) % 10 == 0)
					h2_goaway(&h, any, 0);
				else
					synth_hole(&b->s, &c, in, 1 + (uint32_t)(rng_next(&r) % 500), HOLE_BUDGET);
			}
			pass(b, &c, in);
		}
		for (unsigned i = 0; i < 20; i++) {
			size_t at = 8 + rng_next(&r) % (b->s.n - 10);

			if (rng_next(&r) & 1)
				synth_drop(&b->s, at);
			else
				synth_swap(&b->s, at, at + 1);
		}
		teardown(b);
		REQUIRE(!tap_bad);
	}
}

int main(void)
{
	RUN(test_conn_http2__streams_have_times_of_their_own);
	RUN(test_conn_http2__answers_wait_for_their_requests);
	RUN(test_conn_http2__every_way_to_end);
	RUN(test_conn_http2__a_head_that_never_ends_is_counted);
	RUN(test_conn_http2__open_streams_are_bounded);
	RUN(test_conn_http2__bodies_are_passed_over);
	RUN(test_conn_http2__what_was_passed_over_may_hold_messages);
	RUN(test_conn_http2__a_hole_leaves_streams_open);
	RUN(test_conn_http2__an_end_that_was_lost_is_given_up_by_time);
	RUN(test_conn_http2__long_streams_live_on_a_busy_connection);
	RUN(test_conn_http2__joined_in_the_middle);
	RUN(test_conn_http2__joined_among_long_frames);
	RUN(test_conn_http2__payload_is_not_taken_for_frames);
	RUN(test_conn_http2__an_upgrade_is_answered_on_stream_1);
	RUN(test_conn_http2__an_upgrade_to_what_is_not_wanted);
	RUN(test_conn_http2__every_split_gives_the_same);
	RUN(test_conn_http2__random_loss);
	return tap_done();
}
