// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include "conn_kit.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK(n, body) "HTTP/1.1 200 OK\r\nContent-Length: " #n "\r\n\r\n" body

static void test_conn__a_server_exchange(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10, .tid = 11, .seq = true, .isn = { 500, 9000 } };
	struct seen *x = &b->seen[0];
	uint64_t t0;

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	t0 = b->s.now;
	synth_send(&b->s, &c, DIR_RECV, "GET /a HTTP/1.1\r\n");
	synth_send(&b->s, &c, DIR_RECV, "Host: a\r\n\r\n");
	synth_send(&b->s, &c, DIR_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	synth_send(&b->s, &c, DIR_SEND, "hel");
	play(b);
	CHECK_INT(b->begun, 1);
	CHECK_INT(b->ended, 0);
	synth_send(&b->s, &c, DIR_SEND, "lo");
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK(!strcmp(x->name, "GET /a"));
	CHECK_INT(x->status, 200);
	CHECK_INT(x->end, CALL_ANSWERED);
	CHECK(x->server && !x->truncated);
	CHECK_INT(x->req_first.time, t0);
	CHECK_INT(x->req_head.time, t0 + 1000);
	CHECK_INT(x->req_last.time, t0 + 1000);
	CHECK_INT(x->resp_first.time, t0 + 2000);
	CHECK_INT(x->resp_last.time, t0 + 4000);
	CHECK_INT(x->req_head.tid, 11);
	CHECK(x->has_seq);
	CHECK_INT(x->req_seq, 500);
	teardown(b);
}

static void test_conn__a_client_on_a_unix_socket(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10, .self_key = 5, .peer_key = 6 };

	synth_open(&b->s, &c, FAM_UNIX, ROLE_UNKNOWN);
	for (int i = 0; i < 3; i++) {
		synth_send(&b->s, &c, DIR_SEND, GET("/a"));
		synth_send(&b->s, &c, DIR_RECV, OK(2, "ab"));
	}
	play(b);
	CHECK_INT(b->ended, 3);
	CHECK(!b->seen[2].server);
	CHECK(!b->seen[2].has_seq);
	CHECK_INT(b->seen[2].req_off, 2 * strlen(GET("/a")));
	teardown(b);
}

/* Everything about a conversation but its times is the same at every cut. */
static void test_conn__every_split_gives_the_same(void)
{
	const char *in = "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n"
			 GET("/q") "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n";
	const char *out = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nxyz"
			  "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
			  "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n";
	struct bench *b = setup();
	unsigned rounds = 0;

	for (size_t piece = 1; piece < 200; piece++) {
		struct synth_conn c = { .id = piece, .pid = 1 };

		b->s.piece = piece;
		b->ended = 0;
		synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
		synth_send(&b->s, &c, DIR_RECV, in);
		synth_send(&b->s, &c, DIR_SEND, out);
		play(b);
		REQUIRE(b->ended == 3);
		CHECK(!strcmp(b->seen[0].name, "POST /p") && b->seen[0].status == 201);
		CHECK(!strcmp(b->seen[1].name, "GET /q") && b->seen[1].status == 404);
		CHECK(!strcmp(b->seen[2].name, "HEAD /h") && b->seen[2].status == 200);
		rounds += 3;
	}
	b->begun -= rounds - 3;
	memcpy(b->before, stats, sizeof(stats)); /* the ends of earlier rounds were not kept apart */
	stats[STAT_requests_seen] += 3;
	teardown(b);
	stats[STAT_requests_seen] -= 3;
}

static void test_conn__an_answer_may_be_seen_before_its_request(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	synth_open(&b->s, &c, FAM_INET, ROLE_CLIENT);
	for (int i = 0; i < 3; i++) {
		synth_send(&b->s, &c, DIR_SEND, GET("/a"));
		synth_send(&b->s, &c, DIR_RECV, OK(2, "ab"));
		synth_swap(&b->s, b->s.n - 1, b->s.n - 2);
	}
	play(b);
	CHECK_INT(b->ended, 3);
	CHECK_INT(b->seen[2].status, 200);
	CHECK_INT(COUNT(b, orphan_responses), 0);
	teardown(b);
}

static void test_conn__an_answer_without_request_is_an_orphan(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	synth_open(&b->s, &c, FAM_INET, ROLE_CLIENT);
	synth_send(&b->s, &c, DIR_SEND, GET("/a"));
	synth_send(&b->s, &c, DIR_RECV, OK(2, "ab"));
	synth_send(&b->s, &c, DIR_RECV, OK(2, "cd"));
	synth_tick(&b->s, 10 * MS);
	play(b);
	CHECK_INT(COUNT(b, orphan_responses), 0);
	synth_tick(&b->s, 100 * MS);
	play(b);
	CHECK_INT(COUNT(b, orphan_responses), 1);
	synth_send(&b->s, &c, DIR_SEND, GET("/b"));
	synth_send(&b->s, &c, DIR_RECV, "HTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n");
	play(b);
	CHECK_INT(b->ended, 2);
	CHECK_INT(b->seen[1].status, 201);
	teardown(b);
}

static void test_conn__close_and_reset_end_what_is_open(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 }, d = { .id = 2, .pid = 10 };

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &c, DIR_RECV, GET("/a") GET("/b") "GET /unfinished HT");
	synth_end(&b->s, &c, 1 << DIR_RECV, 0); /* half closed: answers may still come */
	play(b);
	CHECK_INT(b->ended, 0);
	CHECK_INT(COUNT(b, drop_incomplete), 1);
	synth_send(&b->s, &c, DIR_SEND, OK(0, ""));
	synth_end(&b->s, &c, 3, EVF_FINAL);
	play(b);
	CHECK_INT(b->ended, 2);
	CHECK_INT(b->seen[0].end, CALL_ANSWERED);
	CHECK_INT(b->seen[1].end, CALL_CLOSED);
	CHECK(!strcmp(b->seen[1].name, "GET /b"));
	CHECK_INT(b->seen[1].status, 0);
	synth_open(&b->s, &d, FAM_INET, ROLE_CLIENT);
	synth_send(&b->s, &d, DIR_SEND, GET("/c"));
	synth_send(&b->s, &d, DIR_RECV, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly");
	synth_end(&b->s, &d, 3, EVF_RESET | EVF_FINAL);
	play(b);
	CHECK_INT(b->ended, 3);
	CHECK_INT(b->seen[2].end, CALL_RESET);
	CHECK_INT(b->seen[2].status, 200);
	CHECK(b->seen[2].ended > 0);
	CHECK_INT(conn_count(b->t), 0);
	synth_send(&b->s, &d, DIR_RECV, "late");
	play(b);
	CHECK_INT(COUNT(b, conns_unknown), 0);
	teardown(b);
}

static void test_conn__a_body_may_last_until_the_end(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };
	uint64_t last;

	synth_open(&b->s, &c, FAM_INET, ROLE_CLIENT);
	synth_send(&b->s, &c, DIR_SEND, GET("/a"));
	synth_send(&b->s, &c, DIR_RECV, "HTTP/1.1 200 OK\r\n\r\n");
	synth_hole(&b->s, &c, DIR_RECV, 1 << 20, HOLE_BUDGET);
	last = b->s.now;
	synth_hole(&b->s, &c, DIR_RECV, 1 << 20, HOLE_SKIPPED);
	b->s.now += 10 * MS;
	synth_end(&b->s, &c, 1 << DIR_RECV, 0);
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].end, CALL_ANSWERED);
	CHECK_INT(b->seen[0].resp_last.time, last);
	synth_end(&b->s, &c, 2, EVF_FINAL);
	play(b);
	CHECK_INT(b->ended, 1);
	teardown(b);
}

static void test_conn__bodies_are_passed_over(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };
	const char *head = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
	uint64_t off = strlen(head), last;

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &c, DIR_RECV, head);
	play(b);
	CHECK_INT(b->skip_to[DIR_RECV], off + 1000000);
	CHECK_INT(b->skip_to[DIR_SEND], 0);
	CHECK_INT(b->sets, 1);
	c.off[DIR_RECV] += 990000; /* the kernel said nothing of these */
	last = b->s.now;
	synth_hole(&b->s, &c, DIR_RECV, 10000, HOLE_SKIPPED);
	synth_send(&b->s, &c, DIR_SEND, OK(2, "ab"));
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].req_last.time, last);
	CHECK_INT(b->seen[0].status, 200);
	CHECK(!b->seen[0].truncated);
	CHECK_INT(b->sets, 1);
	teardown(b);
}

static void test_conn__one_turn_gets_more_than_its_budget(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };
	char *many = calloc(1, 200 * 1024);

	for (unsigned i = 0; i < 1000; i++) /* pipelined: 55 KB in one turn */
		strcat(many, "GET /0123456789 HTTP/1.1\r\nHost: a\r\nX: 0123456789\r\n\r\n");
	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &c, DIR_RECV, many);
	play(b);
	CHECK(b->grant_to[DIR_RECV] >= c.off[DIR_RECV] + 32 * 1024);
	CHECK_INT(b->begun, 1000);
	CHECK_INT(COUNT(b, drop_pipeline), 0);
	synth_send(&b->s, &c, DIR_RECV, many);
	play(b);
	CHECK_INT(COUNT(b, drop_pipeline), 1000 - 24);
	CHECK_INT(COUNT(b, requests_seen), 2000);
	free(many);
	teardown(b);
}

static void test_conn__other_protocols_are_left_alone(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 }, d = { .id = 2, .pid = 10 }, e = { .id = 3, .pid = 10 };

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_bytes(&b->s, &c, DIR_RECV, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
	play(b);
	CHECK_INT(COUNT(b, conns_tls), 0); /* a session may claim it */
	CHECK(b->skip_to[0] == UINT64_MAX && b->skip_to[1] == UINT64_MAX);
	synth_bytes(&b->s, &c, DIR_SEND, "\x16\x03\x03\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
	synth_open(&b->s, &d, FAM_INET, ROLE_SERVER);
	synth_bytes(&b->s, &d, DIR_SEND, "\x00\x01\x02\x03\x04\x05\x06\x07 binary greeting", 24);
	synth_send(&b->s, &d, DIR_RECV, GET("/not"));
	play(b);
	CHECK_INT(COUNT(b, conns_tls), 0);
	synth_end(&b->s, &c, 3, EVF_FINAL);
	play(b);
	CHECK_INT(COUNT(b, conns_tls), 1);
	CHECK_INT(COUNT(b, conns_opaque), 1);
	CHECK_INT(b->begun, 0);
	synth_open(&b->s, &e, FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &e, DIR_RECV, "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
	synth_send(&b->s, &e, DIR_SEND, "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x05hello");
	synth_send(&b->s, &e, DIR_RECV, GET("/not"));
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].status, 101);
	CHECK_INT(COUNT(b, conns_opaque), 2);
	teardown(b);
}

static void test_conn__joined_in_the_middle(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10, .off = { 5000, 7000 } };
	struct synth_conn d = { .id = 2, .pid = 10, .off = { 1, 1 } };
	char body[1000];

	synth_open(&b->s, &c, FAM_INET, ROLE_UNKNOWN)->h.flags = EVF_MID;
	synth_send(&b->s, &c, DIR_SEND, "end of some body, ");
	synth_send(&b->s, &c, DIR_SEND, "and more of it");
	synth_send(&b->s, &c, DIR_RECV, GET("/a"));
	synth_send(&b->s, &c, DIR_SEND, OK(2, "ab"));
	synth_send(&b->s, &c, DIR_RECV, GET("/b"));
	synth_send(&b->s, &c, DIR_SEND, "HTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n");
	play(b);
	CHECK_INT(b->ended, 2);
	CHECK_INT(b->seen[0].status, 200);
	CHECK_INT(b->seen[1].status, 201);
	CHECK_INT(COUNT(b, orphan_responses), 0);

	synth_open(&b->s, &d, FAM_INET, ROLE_UNKNOWN)->h.flags = EVF_MID;
	memset(body, 'x', sizeof(body));
	for (unsigned i = 0; i < 400; i++)
		synth_bytes(&b->s, &d, DIR_RECV, body, sizeof(body));
	play(b);
	CHECK_INT(COUNT(b, conns_opaque), 1);
	CHECK(b->skip_to[0] == UINT64_MAX && b->skip_to[1] == UINT64_MAX);
	teardown(b);
}

/* The first answer after joining is lost, with the next request: what comes then is nobody's answer that we know. */
static void test_conn__joined_and_lost(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10, .off = { 500, 700 } };
	size_t lost;

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER)->h.flags = EVF_MID;
	synth_send(&b->s, &c, DIR_RECV, GET("/a"));
	lost = b->s.n;
	synth_send(&b->s, &c, DIR_SEND, OK(2, "ab"));
	synth_send(&b->s, &c, DIR_RECV, GET("/b"));
	synth_send(&b->s, &c, DIR_SEND, "HTTP/1.1 410 x\r\nContent-Length: 0\r\n\r\n");
	synth_drop(&b->s, lost);
	synth_drop(&b->s, lost);
	synth_tick(&b->s, 500 * MS);
	synth_send(&b->s, &c, DIR_RECV, GET("/c"));
	synth_tick(&b->s, 500 * MS);
	synth_send(&b->s, &c, DIR_SEND, "HTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n");
	play(b);
	for (unsigned i = 0; i < b->ended; i++)
		CHECK(b->seen[i].status != 410);
	teardown(b);
}

/* One request at a time, every single record lost in turn: no span is ever wrong, and nothing is lost without a word. */
static void test_conn__loss_of_any_record_makes_nothing_wrong(void)
{
	for (int client = 0; client < 2; client++) {
		int in = client ? DIR_SEND : DIR_RECV;

		for (size_t lost = 1;; lost++) {
			struct bench *b = setup();
			struct synth_conn c = { .id = 1, .pid = 10 };
			unsigned right = 0;
			size_t records;

			synth_open(&b->s, &c, FAM_INET, client ? ROLE_CLIENT : ROLE_SERVER);
			for (unsigned i = 0; i < 8; i++) {
				char text[200];

				snprintf(text, sizeof(text), "POST /%u HTTP/1.1\r\nHost: a\r\n", 210 + i);
				synth_send(&b->s, &c, in, text);
				synth_send(&b->s, &c, in, "Transfer-Encoding: chunked\r\n\r\n");
				synth_send(&b->s, &c, in, "3\r\nabc\r\n0\r\n\r\n");
				snprintf(text, sizeof(text), "HTTP/1.1 %u OK\r\nContent-Length: 10\r\n", 210 + i);
				synth_send(&b->s, &c, !in, text);
				synth_send(&b->s, &c, !in, "\r\nabcde");
				synth_send(&b->s, &c, !in, "fghij");
				b->s.now += 100 * MS;
			}
			records = b->s.n;
			if (lost < records)
				synth_drop(&b->s, lost);
			synth_tick(&b->s, 1000 * MS);
			synth_end(&b->s, &c, 3, EVF_FINAL);
			play(b);
			for (unsigned i = 0; i < b->ended; i++) {
				int64_t want = atoi(strchr(b->seen[i].name, ' ') + (client ? 10 : 2));

				if (b->seen[i].status)
					CHECK_INT(b->seen[i].status, want);
				right += b->seen[i].status == want;
			}
			CHECK(right >= (lost < records ? 5 : 8));
			teardown(b);
			if (tap_bad)
				printf("# record %zu of %zu lost, %s\n", lost, records, client ? "client" : "server");
			REQUIRE(!tap_bad);
			if (lost >= records)
				break;
		}
	}
}

static unsigned number(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? (unsigned)atoi(slash + 1) : 0;
}

/*
 * Clients that pipeline or not, bodies of every kind, records lost and exchanged: an answer carries its request's number
 * in its status.
 */
static void test_conn__random_losses_make_nothing_wrong(void)
{
	struct rng r;
	unsigned spans = 0, all = 0;

	rng_seed(&r, 77, 78);
	for (unsigned round = 0; round < 400; round++) {
		struct bench *b = setup();
		struct synth_conn c = { .id = 1, .pid = 10 };
		bool client = rng_next(&r) & 1, pipelines = round % 4 == 0;
		int in = client ? DIR_SEND : DIR_RECV;
		unsigned n = 300;

		synth_open(&b->s, &c, FAM_INET, client ? ROLE_CLIENT : ROLE_SERVER);
		while (n < 400) {
			unsigned batch = pipelines ? 2 + rng_next(&r) % 3 : 1;
			char text[400] = "", *t = text;

			for (unsigned i = 0; i < batch; i++)
				t += sprintf(t, "GET /%u HTTP/1.1\r\nHost: a\r\n\r\n", n + i + (n + i == 304));
			b->s.piece = rng_next(&r) % 3 ? 0 : 1 + rng_next(&r) % 40;
			synth_send(&b->s, &c, in, text);
			for (unsigned i = 0; i < batch; i++, n++) {
				unsigned status = n + (n == 304);
				const char *const body[] = { "Content-Length: 7\r\n\r\nHTTP/1.",
							     "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
							     "Content-Length: 0\r\n\r\n" };

				sprintf(text, "HTTP/1.1 %u OK\r\n%s", status, body[rng_next(&r) % 3]);
				b->s.piece = rng_next(&r) % 3 ? 0 : 1 + rng_next(&r) % 40;
				synth_send(&b->s, &c, !in, text);
			}
			b->s.now += rng_next(&r) % (20 * MS);
		}
		for (unsigned i = rng_next(&r) % 6; i; i--)
			synth_drop(&b->s, 1 + rng_next(&r) % (b->s.n - 1));
		for (unsigned i = rng_next(&r) % 6; i; i--) {
			size_t at = 1 + rng_next(&r) % (b->s.n - 2);

			synth_swap(&b->s, at, at + 1);
		}
		synth_tick(&b->s, 1000 * MS);
		synth_end(&b->s, &c, 3, EVF_FINAL);
		play(b);
		for (unsigned i = 0; i < b->ended; i++)
			if (b->seen[i].status)
				CHECK_INT(b->seen[i].status, number(b->seen[i].name));
		spans += b->ended;
		all += 100;
		teardown(b);
		if (tap_bad)
			printf("# round %u\n", round);
		REQUIRE(!tap_bad);
	}
	CHECK(spans > all / 2);
}

static void test_conn__lost_answers_are_not_replaced_by_others(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };
	size_t answer;

	synth_open(&b->s, &c, FAM_INET, ROLE_CLIENT);
	synth_send(&b->s, &c, DIR_SEND, GET("/a"));
	answer = b->s.n;
	synth_send(&b->s, &c, DIR_RECV, OK(2, "ab"));
	synth_send(&b->s, &c, DIR_SEND, GET("/b"));
	synth_send(&b->s, &c, DIR_RECV, "HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n");
	synth_drop(&b->s, answer);
	synth_tick(&b->s, 500 * MS);
	synth_send(&b->s, &c, DIR_SEND, GET("/c"));
	synth_send(&b->s, &c, DIR_RECV, "HTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n");
	play(b);
	CHECK_INT(b->ended, 1); /* two requests, one answer: nobody can tell whose */
	CHECK_INT(COUNT(b, drop_gap), 2);
	CHECK_INT(COUNT(b, orphan_responses), 1);
	CHECK_INT(b->seen[0].status, 201);
	teardown(b);
}

static void test_conn__a_pipelined_connection_ends_with_its_first_loss(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &c, DIR_RECV, GET("/a") GET("/b") GET("/c"));
	synth_send(&b->s, &c, DIR_SEND, OK(0, ""));
	synth_hole(&b->s, &c, DIR_SEND, 100, HOLE_FAULT);
	synth_send(&b->s, &c, DIR_SEND, OK(0, ""));
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_INT(COUNT(b, drop_gap), 2);
	CHECK_INT(COUNT(b, conns_opaque), 1);
	CHECK_INT(COUNT(b, gap_bytes), 100);
	teardown(b);
}

static void test_conn__out_of_step_and_back(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &c, DIR_RECV, GET("/a"));
	synth_send(&b->s, &c, DIR_SEND, OK(0, ""));
	synth_send(&b->s, &c, DIR_RECV,
		   "POST /evil HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n");
	synth_send(&b->s, &c, DIR_SEND, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
	synth_tick(&b->s, 100 * MS);
	synth_send(&b->s, &c, DIR_RECV, GET("/b"));
	synth_send(&b->s, &c, DIR_SEND, OK(0, ""));
	play(b);
	CHECK_INT(b->ended, 2);
	CHECK(!strcmp(b->seen[1].name, "GET /b"));
	CHECK_INT(b->seen[1].status, 200);
	CHECK_INT(COUNT(b, out_of_step), 1);
	CHECK_INT(COUNT(b, resyncs), 1);
	CHECK_INT(COUNT(b, drop_out_of_step), 1);
	CHECK_INT(COUNT(b, orphan_responses), 1);
	teardown(b);
}

static void test_conn__heads_too_long(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };
	char line[1001];

	memset(line, 'x', 998);
	memcpy(line, "X: ", 3);
	memcpy(line + 998, "\r\n", 3);
	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &c, DIR_RECV, "GET /long HTTP/1.1\r\nHost: a\r\n");
	for (unsigned i = 0; i < 100; i++)
		synth_send(&b->s, &c, DIR_RECV, line);
	synth_send(&b->s, &c, DIR_RECV, "\r\n");
	synth_send(&b->s, &c, DIR_SEND, "HTTP/1.1 431 x\r\nContent-Length: 0\r\n\r\n");
	synth_tick(&b->s, 100 * MS);
	synth_send(&b->s, &c, DIR_RECV, GET("/b"));
	synth_send(&b->s, &c, DIR_SEND, OK(0, ""));
	play(b);
	CHECK_INT(COUNT(b, drop_head_too_long), 1);
	CHECK_INT(COUNT(b, requests_seen), 2);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].status, 200);
	teardown(b);
}

static void test_conn__a_hole_in_a_head_drops_one_request(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_op(&b->s, &c, DIR_RECV, "GET /a HTTP/1.1\r\nHo", 19, 300, HOLE_FAULT);
	synth_send(&b->s, &c, DIR_SEND, OK(0, ""));
	synth_tick(&b->s, 100 * MS);
	synth_send(&b->s, &c, DIR_RECV, GET("/b"));
	synth_send(&b->s, &c, DIR_SEND, "HTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n");
	play(b);
	CHECK_INT(COUNT(b, drop_gap), 1);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].status, 201);
	CHECK_INT(COUNT(b, gap_bytes), 281);
	teardown(b);
}

static void test_conn__no_byte_for_too_long(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &c, DIR_RECV, GET("/slow"));
	synth_tick(&b->s, 299000 * MS);
	play(b);
	CHECK_INT(b->ended, 0);
	CHECK_INT(b->asks, 0);
	synth_tick(&b->s, 1001 * MS);
	play(b);
	CHECK_INT(b->asks, 1);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].end, CALL_TIMEOUT);
	CHECK(b->seen[0].truncated);
	CHECK_INT(COUNT(b, requests_timed_out), 1);
	/* the late answer is nobody's, least of all the next request's */
	synth_send(&b->s, &c, DIR_RECV, GET("/next"));
	synth_send(&b->s, &c, DIR_SEND, OK(4, "late"));
	synth_send(&b->s, &c, DIR_SEND, "HTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n");
	play(b);
	CHECK_INT(b->ended, 2);
	CHECK_INT(b->seen[1].status, 201);
	CHECK_INT(COUNT(b, orphan_responses), 1);
	teardown(b);
}

static void test_conn__bytes_passed_over_are_signs_of_life(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };
	uint64_t start;

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &c, DIR_RECV, GET("/slow"));
	synth_send(&b->s, &c, DIR_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
	start = b->s.now;
	b->progress = (struct ev_progress){ .h = { .type = EV_PROGRESS, .len = sizeof(b->progress) },
					    .conn = 1,
					    .seen = { 0, c.off[DIR_SEND] + 500000 },
					    .time = start + 200000 * MS };
	synth_tick(&b->s, 301000 * MS);
	play(b);
	CHECK_INT(b->asks, 1);
	CHECK_INT(b->ended, 0);
	synth_tick(&b->s, 200000 * MS); /* asked again, nothing new */
	play(b);
	CHECK_INT(b->asks, 2);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].end, CALL_TIMEOUT);
	CHECK_INT(b->seen[0].status, 200);
	CHECK_INT(b->seen[0].resp_last.time, start + 200000 * MS);
	teardown(b);
}

static void test_conn__beyond_the_limit_the_idlest_goes(void)
{
	struct bench *b;
	struct synth_conn c[4] = { { .id = 1, .pid = 1 }, { .id = 2, .pid = 1 }, { .id = 3, .pid = 1 }, { .id = 4, .pid = 1 } };

	b = setup();
	conn_table_free(b->t);
	b->config.max_connections = 2;
	b->t = conn_table_new(&b->config, &(struct exchange_sink){ on_begin, on_done, on_abandon, b },
			      &(struct verdict_sink){ .set = on_verdict, .ask = on_ask, .arg = b });
	synth_open(&b->s, &c[0], FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &c[0], DIR_RECV, GET("/a"));
	synth_open(&b->s, &c[1], FAM_INET, ROLE_SERVER);
	synth_open(&b->s, &c[2], FAM_INET, ROLE_SERVER);
	play(b);
	CHECK_INT(conn_count(b->t), 2);
	CHECK_INT(COUNT(b, conns_evicted), 1);
	CHECK_INT(COUNT(b, drop_evicted), 0);
	CHECK(b->skip_to[0] == UINT64_MAX);
	synth_send(&b->s, &c[2], DIR_RECV, GET("/b"));
	synth_open(&b->s, &c[3], FAM_INET, ROLE_SERVER);
	play(b);
	CHECK_INT(COUNT(b, drop_evicted), 1);
	synth_send(&b->s, &c[0], DIR_SEND, OK(0, ""));
	synth_send(&b->s, &c[2], DIR_SEND, OK(0, ""));
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK(!strcmp(b->seen[0].name, "GET /b"));
	CHECK_INT(COUNT(b, conns_unknown), 0);
	synth_send(&b->s, &(struct synth_conn){ .id = 99 }, DIR_SEND, "x");
	play(b);
	CHECK_INT(COUNT(b, conns_unknown), 1);
	teardown(b);
}

static void test_conn__ends_of_unix_sockets(void)
{
	struct bench *b = setup();
	struct synth_conn server = { .id = 1, .pid = 10, .self_key = 100, .peer_key = 200 };
	struct synth_conn client = { .id = 2, .pid = 20, .self_key = 200, .peer_key = 100 };
	struct synth_conn other = { .id = 3, .pid = 20, .self_key = 300 }, third = { .id = 4, .pid = 30, .self_key = 400 };
	struct ev_live *live;

	synth_open(&b->s, &server, FAM_UNIX, ROLE_UNKNOWN);
	synth_open(&b->s, &client, FAM_UNIX, ROLE_UNKNOWN);
	synth_open(&b->s, &other, FAM_UNIX, ROLE_UNKNOWN);
	synth_open(&b->s, &third, FAM_UNIX, ROLE_UNKNOWN);
	synth_send(&b->s, &client, DIR_SEND, GET("/a"));
	synth_send(&b->s, &server, DIR_RECV, GET("/a"));
	synth_send(&b->s, &server, DIR_SEND, OK(0, ""));
	synth_send(&b->s, &client, DIR_RECV, OK(0, ""));
	play(b);
	CHECK_INT(b->ended, 2);
	CHECK_INT(conn_count(b->t), 4);
	synth_end(&b->s, &server, 1 << DIR_RECV, 0); /* end of file: the client is gone */
	play(b);
	CHECK_INT(conn_count(b->t), 3);
	synth_send(&b->s, &other, DIR_SEND, GET("/b"));
	synth_exit(&b->s, 20);
	play(b);
	CHECK_INT(conn_count(b->t), 2);
	CHECK_INT(b->ended, 3);
	CHECK_INT(b->seen[2].end, CALL_CLOSED);
	live = synth_add(&b->s, EV_LIVE, sizeof(*live) + 8);
	live->netns = 1;
	live->count = 1;
	live->conn[0] = 1;
	play(b);
	CHECK_INT(conn_count(b->t), 1);
	teardown(b);
}

static void test_conn__what_is_open_at_the_end_is_counted(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &c, DIR_RECV, GET("/a") "GET /half");
	play(b);
	conn_table_close(b->t);
	CHECK_INT(COUNT(b, drop_shutdown), 2);
	CHECK_INT(b->ended, 0);
	teardown(b);
}

static void test_conn__without_memory_requests_are_counted(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 };

	b->pool.limit = 0;
	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_send(&b->s, &c, DIR_RECV, GET("/a"));
	synth_send(&b->s, &c, DIR_SEND, OK(0, ""));
	play(b);
	CHECK_INT(COUNT(b, drop_memory), 1);
	b->pool.limit = 1 << 20;
	synth_send(&b->s, &c, DIR_RECV, GET("/b"));
	synth_send(&b->s, &c, DIR_SEND, "HTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n");
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].status, 201);
	teardown(b);
}

/* Records lost, doubled, exchanged, cut and holed at random: bounded, accounted for, alive. */
static void test_conn__survives_a_bad_day(void)
{
	struct rng r;

	rng_seed(&r, 5, 6);
	for (unsigned round = 0; round < 60; round++) {
		struct bench *b = setup();
		struct synth_conn c[8];

		for (unsigned i = 0; i < 8; i++) {
			c[i] = (struct synth_conn){ .id = i + 1, .pid = 10, .self_key = i + 1, .peer_key = (i ^ 1) + 1 };
			synth_open(&b->s, &c[i], i & 1 ? FAM_UNIX : FAM_INET, (int)(rng_next(&r) % 3))->h.flags =
				rng_next(&r) % 4 == 0;
		}
		for (unsigned i = 0; i < 600; i++) {
			struct synth_conn *k = &c[rng_next(&r) % 8];
			int dir = rng_next(&r) & 1;

			b->s.piece = rng_next(&r) % 3 ? 0 : 1 + rng_next(&r) % 30;
			switch (rng_next(&r) % 12) {
			case 0:
				synth_hole(&b->s, k, dir, (uint32_t)(rng_next(&r) % 100), HOLE_FAULT);
				break;
			case 1:
				synth_tick(&b->s, rng_next(&r) % (2 * 60000 * MS));
				break;
			case 2:
				if (rng_next(&r) % 16 == 0)
					synth_end(&b->s, k, (int)(rng_next(&r) % 4), (int)(rng_next(&r) % 4));
				break;
			case 3:
				synth_send(&b->s, k, dir, "POST /x HTTP/1.1\r\nContent-Length: 40\r\n\r\n0123456789");
				break;
			case 4:
				synth_send(&b->s, k, dir, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab");
				break;
			case 5:
				synth_send(&b->s, k, dir, "\r\n\r\n0\r\n\r\n");
				break;
			case 6:
				k->off[dir] += rng_next(&r) % 50;
				break;
			default:
				synth_send(&b->s, k, dir, dir ? OK(3, "abc") : GET("/a"));
			}
		}
		for (unsigned i = 0; i < 100; i++) {
			size_t at = 8 + rng_next(&r) % (b->s.n - 9);

			if (rng_next(&r) & 1)
				synth_drop(&b->s, at);
			else
				synth_swap(&b->s, at, at + (at + 1 < b->s.n));
		}
		teardown(b);
		REQUIRE(!tap_bad);
	}
}

int main(void)
{
	RUN(test_conn__a_server_exchange);
	RUN(test_conn__a_client_on_a_unix_socket);
	RUN(test_conn__every_split_gives_the_same);
	RUN(test_conn__an_answer_may_be_seen_before_its_request);
	RUN(test_conn__an_answer_without_request_is_an_orphan);
	RUN(test_conn__close_and_reset_end_what_is_open);
	RUN(test_conn__a_body_may_last_until_the_end);
	RUN(test_conn__bodies_are_passed_over);
	RUN(test_conn__one_turn_gets_more_than_its_budget);
	RUN(test_conn__other_protocols_are_left_alone);
	RUN(test_conn__joined_in_the_middle);
	RUN(test_conn__joined_and_lost);
	RUN(test_conn__loss_of_any_record_makes_nothing_wrong);
	RUN(test_conn__random_losses_make_nothing_wrong);
	RUN(test_conn__lost_answers_are_not_replaced_by_others);
	RUN(test_conn__a_pipelined_connection_ends_with_its_first_loss);
	RUN(test_conn__out_of_step_and_back);
	RUN(test_conn__heads_too_long);
	RUN(test_conn__a_hole_in_a_head_drops_one_request);
	RUN(test_conn__no_byte_for_too_long);
	RUN(test_conn__bytes_passed_over_are_signs_of_life);
	RUN(test_conn__beyond_the_limit_the_idlest_goes);
	RUN(test_conn__ends_of_unix_sockets);
	RUN(test_conn__what_is_open_at_the_end_is_counted);
	RUN(test_conn__without_memory_requests_are_counted);
	RUN(test_conn__survives_a_bad_day);
	return tap_done();
}
