// SPDX-License-Identifier: Apache-2.0
/* TLS sessions and the connections that carry them, in every order in which records of them may come. */
#include "tap.h"

#include "conn_kit.h"

#define HELLO "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define GRACE (5001 * MS) /* nobody claims it any more */
#define LATE (201 * MS)

/* A session of a server, and its socket. */
static const struct synth_conn server = { .id = 2, .pid = 10 }, socket_ = { .id = 1, .pid = 10 };

static void ask(struct bench *b, struct synth_conn *c, const char *path)
{
	char text[128];

	snprintf(text, sizeof(text), GET("%s"), path);
	synth_send(&b->s, c, DIR_RECV, text);
	synth_send(&b->s, c, DIR_SEND, OK);
}

static void one_answered(struct bench *b, const char *name, bool bound)
{
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_SLICE(slice_str(b->seen[0].name), name);
	CHECK_INT(b->seen[0].status, 200);
	CHECK_INT(b->seen[0].end, CALL_ANSWERED);
	CHECK(b->seen[0].tls && b->seen[0].server);
	CHECK_INT(b->seen[0].family, bound ? FAM_INET : 0);
	CHECK_INT(b->seen[0].remote.port, bound ? 40001 : 0);
	CHECK_INT(COUNT(b, sessions_seen), 1);
}

static void test_session__bound_before_its_data(void)
{
	struct bench *b = setup();
	struct synth_conn c = socket_, s = server;

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_session(&b->s, &s, &c, NULL);
	ask(b, &s, "/a");
	one_answered(b, "GET /a", true);
	CHECK(b->skip_to[0] == UINT64_MAX && b->skip_to[1] == UINT64_MAX); /* the carrier is off */
	synth_end(&b->s, &s, 3, EVF_FINAL);
	synth_end(&b->s, &c, 3, EVF_FINAL);
	play(b);
	CHECK_INT(conn_count(b->t), 0);
	CHECK_INT(COUNT(b, conns_tls), 0);
	CHECK_INT(COUNT(b, sessions_unbound), 0);
	CHECK_INT(COUNT(b, conns_opened), 1); /* the session is no connection more */
	teardown(b);
}

static void test_session__bound_after_ciphertext_was_seen(void)
{
	struct bench *b = setup();
	struct synth_conn c = socket_, s = server;

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_bytes(&b->s, &c, DIR_RECV, HELLO, 11);
	synth_session(&b->s, &s, &c, NULL);
	synth_bytes(&b->s, &c, DIR_SEND, HELLO, 11);
	synth_tick(&b->s, GRACE);
	ask(b, &s, "/a");
	one_answered(b, "GET /a", true);
	CHECK_INT(COUNT(b, conns_tls), 0);
	teardown(b);
}

static void test_session__bound_in_the_middle_of_a_request(void)
{
	struct bench *b = setup();
	struct synth_conn c = socket_, s = server;

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_session(&b->s, &s, NULL, NULL);
	synth_send(&b->s, &s, DIR_RECV, GET("/a"));
	synth_session(&b->s, &s, &c, "http/1.1");
	synth_send(&b->s, &s, DIR_SEND, OK);
	one_answered(b, "GET /a", true);
	CHECK_INT(b->begun, 1);
	teardown(b);
}

static void test_session__never_bound(void)
{
	struct bench *b = setup();
	struct synth_conn c = socket_, s = server;

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_bytes(&b->s, &c, DIR_RECV, HELLO, 11);
	synth_session(&b->s, &s, NULL, NULL);
	ask(b, &s, "/a");
	one_answered(b, "GET /a", false);
	synth_tick(&b->s, GRACE);
	synth_end(&b->s, &s, 3, EVF_FINAL);
	play(b);
	CHECK_INT(COUNT(b, sessions_unbound), 1);
	CHECK_INT(COUNT(b, conns_tls), 1); /* for all we know */
	synth_end(&b->s, &c, 3, EVF_FINAL);
	play(b);
	CHECK_INT(COUNT(b, conns_tls), 1);
	teardown(b);
}

static void test_session__an_unknown_carrier_is_none(void)
{
	struct bench *b = setup();
	struct synth_conn c = socket_, s = server, other = { .id = 3, .pid = 10 };

	synth_session(&b->s, &s, &c, NULL);
	synth_session(&b->s, &other, &s, NULL); /* a session carries none */
	ask(b, &s, "/a");
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].family, 0);
	ask(b, &other, "/b");
	play(b);
	CHECK_INT(b->ended, 2);
	teardown(b);
}

static void test_session__plain_bytes_before_it(void)
{
	struct bench *b = setup();
	struct synth_conn c = { .id = 1, .pid = 10 }, s = { .id = 2, .pid = 10 };

	synth_open(&b->s, &c, FAM_INET, ROLE_CLIENT);
	synth_bytes(&b->s, &c, DIR_SEND, "\0\0\0\x08\x04\xd2\x16\x2f", 8);
	synth_send(&b->s, &c, DIR_RECV, "S");
	synth_session(&b->s, &s, &c, NULL);
	synth_send(&b->s, &s, DIR_SEND, GET("/a"));
	synth_send(&b->s, &s, DIR_RECV, OK);
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK(!b->seen[0].server && b->seen[0].tls);
	CHECK_INT(b->seen[0].remote.port, 8080);
	teardown(b);
}

static void test_session__older_than_the_tracer(void)
{
	struct bench *b = setup();
	struct synth_conn c = socket_, s = { .id = 2, .pid = 10, .off = { 700, 900 } };

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER)->h.flags = EVF_MID;
	synth_session(&b->s, &s, &c, NULL)->h.flags = EVF_MID;
	synth_send(&b->s, &s, DIR_RECV, "rest of a body");
	synth_send(&b->s, &s, DIR_SEND, OK);
	synth_send(&b->s, &s, DIR_RECV, GET("/a"));
	synth_send(&b->s, &s, DIR_SEND, OK);
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_SLICE(slice_str(b->seen[0].name), "GET /a");
	teardown(b);
}

/* What the library had deciphered before its socket ended comes after that. */
static void test_session__its_carrier_ends_first(void)
{
	struct bench *b = setup();
	struct synth_conn c = socket_, s = server;

	synth_open(&b->s, &c, FAM_INET, ROLE_CLIENT);
	synth_session(&b->s, &s, &c, NULL);
	synth_send(&b->s, &s, DIR_SEND, GET("/a"));
	synth_send(&b->s, &s, DIR_RECV, "HTTP/1.1 200 OK\r\n\r\nuntil the ");
	synth_end(&b->s, &c, 1 << DIR_RECV, 0);
	synth_send(&b->s, &s, DIR_RECV, "end");
	synth_end(&b->s, &c, 3, EVF_FINAL);
	synth_tick(&b->s, MS);
	play(b);
	CHECK_INT(b->ended, 0);
	synth_tick(&b->s, LATE);
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].end, CALL_ANSWERED);
	CHECK(!b->seen[0].truncated);
	CHECK_INT(conn_count(b->t), 0);
	teardown(b);
}

static void test_session__a_reset_of_its_carrier(void)
{
	struct bench *b = setup();
	struct synth_conn c = socket_, s = server;

	synth_open(&b->s, &c, FAM_INET, ROLE_CLIENT);
	synth_session(&b->s, &s, &c, NULL);
	synth_send(&b->s, &s, DIR_SEND, GET("/a"));
	synth_end(&b->s, &c, 3, EVF_FINAL | EVF_RESET);
	synth_tick(&b->s, LATE);
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].end, CALL_RESET);
	CHECK_INT(conn_count(b->t), 0);
	teardown(b);
}

static void test_session__its_handle_is_used_again(void)
{
	struct bench *b = setup();
	struct synth_conn c = socket_, s = server, c2 = { .id = 3, .pid = 10 }, s2 = { .id = 4, .pid = 10 };

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_session(&b->s, &s, &c, NULL);
	ask(b, &s, "/a");
	synth_end(&b->s, &c, 3, EVF_FINAL);
	synth_end(&b->s, &s, 3, EVF_FINAL); /* told once the handle is met at another socket */
	synth_open(&b->s, &c2, FAM_INET, ROLE_SERVER);
	synth_session(&b->s, &s2, &c2, NULL);
	ask(b, &s2, "/b");
	synth_tick(&b->s, LATE);
	play(b);
	CHECK_INT(b->ended, 2);
	CHECK_SLICE(slice_str(b->seen[1].name), "GET /b");
	CHECK_INT(b->seen[1].remote.port, 40003);
	CHECK_INT(conn_count(b->t), 2);
	teardown(b);
}

/* A new session on a socket that had one: the end of the old one's is not the new one's. */
static void test_session__its_socket_is_used_again(void)
{
	struct bench *b = setup();
	struct synth_conn c = socket_, s = server, s2 = { .id = 3, .pid = 11 };

	synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
	synth_session(&b->s, &s, &c, NULL);
	ask(b, &s, "/a");
	synth_session(&b->s, &s2, &c, NULL);
	synth_end(&b->s, &s, 3, EVF_FINAL);
	ask(b, &s2, "/b");
	synth_end(&b->s, &c, 3, EVF_FINAL);
	synth_tick(&b->s, LATE);
	play(b);
	CHECK_INT(b->ended, 2);
	CHECK_INT(conn_count(b->t), 0);
	teardown(b);
}

static void test_session__ends_with_its_process(void)
{
	struct bench *b = setup();
	struct synth_conn c = socket_, s = server, other = { .id = 5, .pid = 11 };

	synth_open(&b->s, &c, FAM_INET, ROLE_CLIENT);
	synth_session(&b->s, &s, &c, NULL);
	synth_session(&b->s, &other, NULL, NULL);
	synth_send(&b->s, &s, DIR_SEND, GET("/a"));
	synth_exit(&b->s, 10);
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_INT(b->seen[0].end, CALL_CLOSED);
	CHECK_INT(conn_count(b->t), 2); /* the socket may be another's as well; the other's session */
	teardown(b);
}

static void test_session__speaks_what_was_agreed_on(void)
{
	struct bench *b = setup();
	struct synth_conn s = server, s2 = { .id = 3, .pid = 10 };

	synth_session(&b->s, &s, NULL, "h2");
	ask(b, &s, "/a"); /* is no HTTP/2 */
	synth_session(&b->s, &s2, NULL, "http/1.1");
	ask(b, &s2, "/b");
	play(b);
	CHECK_INT(b->ended, 1);
	CHECK_SLICE(slice_str(b->seen[0].name), "GET /b");
	CHECK_INT(COUNT(b, conns_opaque), 1);
	teardown(b);
}

static void test_session__tls_inside_tls_is_not_read(void)
{
	struct bench *b = setup();
	struct synth_conn s = server;

	synth_session(&b->s, &s, NULL, NULL);
	synth_bytes(&b->s, &s, DIR_RECV, HELLO, 11);
	synth_tick(&b->s, GRACE);
	play(b);
	CHECK_INT(COUNT(b, conns_tls), 0);
	CHECK_INT(COUNT(b, conns_opaque), 1);
	teardown(b);
}

/* Whatever is lost or comes in another order, nothing is counted twice and nothing is left behind. */
static void test_session__survives_any_order(void)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct bench *b = setup();
		struct synth_conn c = socket_, s = server;
		struct rng r;

		rng_seed(&r, seed, ~seed);
		synth_open(&b->s, &c, FAM_INET, ROLE_SERVER);
		synth_bytes(&b->s, &c, DIR_RECV, HELLO, 11);
		synth_session(&b->s, &s, NULL, NULL);
		ask(b, &s, "/a");
		synth_session(&b->s, &s, &c, "http/1.1");
		ask(b, &s, "/b");
		synth_end(&b->s, &c, 1 << DIR_RECV, 0);
		synth_tick(&b->s, LATE);
		synth_end(&b->s, &s, 3, EVF_FINAL);
		synth_end(&b->s, &c, 3, EVF_FINAL);
		synth_exit(&b->s, 10);
		for (int i = 0; i < 3; i++)
			synth_swap(&b->s, rng_next(&r) % b->s.n, rng_next(&r) % b->s.n);
		if (seed % 2)
			synth_drop(&b->s, rng_next(&r) % b->s.n);
		play(b);
		CHECK(b->ended <= 2);
		CHECK(COUNT(b, conns_tls) <= 1);
		teardown(b);
	}
}

int main(void)
{
	RUN(test_session__bound_before_its_data);
	RUN(test_session__bound_after_ciphertext_was_seen);
	RUN(test_session__bound_in_the_middle_of_a_request);
	RUN(test_session__never_bound);
	RUN(test_session__an_unknown_carrier_is_none);
	RUN(test_session__plain_bytes_before_it);
	RUN(test_session__older_than_the_tracer);
	RUN(test_session__its_carrier_ends_first);
	RUN(test_session__a_reset_of_its_carrier);
	RUN(test_session__its_handle_is_used_again);
	RUN(test_session__its_socket_is_used_again);
	RUN(test_session__ends_with_its_process);
	RUN(test_session__speaks_what_was_agreed_on);
	RUN(test_session__tls_inside_tls_is_not_read);
	RUN(test_session__survives_any_order);
	return tap_done();
}
