// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include "cause_kit.h"
#include "host/process.h"

#define TP1 "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define TP2 "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-01"
#define MS NS_PER_MS

enum { P = 10, Q = 20, T = 11, U = 12, V = 13 }; /* processes and threads */

/* ---- headers ---------------------------------------------------------------------------------- */

static void test_header__no_context_is_a_root(void)
{
	uint64_t a, b;

	kit_start();
	a = end(inbound(P, T, 1, 10), 20);
	b = end(outgoing(P, T, 30), 40);
	CHECK(is_root(a) && is_root(b) && memcmp(results[a].p.trace_id, results[b].p.trace_id, 16));
	CHECK(!results[a].p.origin && results[a].p.start == 10);
	CHECK(!is_zero(results[a].p.span_id, 8));
	kit_stop();
}

static void test_header__gives_trace_and_parent(void)
{
	uint64_t a;

	kit_start();
	a = end(begin(with_field(with_parent(make(true, P, T, conn_remote(1), 10), TP1), CARRIER_TRACESTATE, "a=1")), 20);
	CHECK(is_remote_child(a, TP1));
	CHECK(results[a].origin.sampled == SAMPLED_YES && !strcmp(results[a].state, "a=1"));
	CHECK_INT(stats[STAT_links_header], 1);
	CHECK_INT(stats[STAT_ctx_invalid], 0);
	kit_stop();
}

static void test_header__malformed_is_counted_and_a_root(void)
{
	uint64_t a;

	kit_start();
	a = end(begin(with_parent(make(true, P, T, conn_remote(1), 10), "00-xx")), 20);
	CHECK(is_root(a));
	CHECK_INT(stats[STAT_ctx_invalid], 1);
	end(begin(with_parent(make(false, P, T, conn_remote(2), 30), "00-xx")), 40);
	CHECK_INT(stats[STAT_ctx_invalid], 1); /* not an incoming one */
	kit_stop();
}

static void test_header__decision_without_ids_goes_down_the_tree(void)
{
	struct exchange *a, *b;
	uint64_t ka, kb;

	kit_start();
	a = begin(with_field(make(true, P, T, conn_remote(1), 10), CARRIER_B3, "0"));
	b = outgoing(P, T, 12);
	kb = end(b, 14);
	ka = end(a, 20);
	CHECK(is_root(ka) && results[ka].p.origin && !results[ka].origin.valid && results[ka].origin.sampled == SAMPLED_NO);
	CHECK(is_child(kb, ka, LINK_THREAD) && results[kb].p.origin && results[kb].origin.sampled == SAMPLED_NO);
	kit_stop();
}

static void test_header__sdk_made_context_of_a_call_wins(void)
{
	struct exchange *a, *b;
	uint64_t ka, kb;

	kit_start();
	a = begin(with_parent(make(true, P, T, conn_remote(1), 10), TP1));
	b = begin(with_parent(make(false, P, T, conn_remote(2), 12), TP2));
	kb = end(b, 14);
	CHECK(is_remote_child(kb, TP2)); /* decided at once */
	ka = end(a, 20);
	CHECK(is_remote_child(ka, TP1));
	kit_stop();
}

static void test_header__copied_context_makes_a_child(void)
{
	struct exchange *a, *b;
	uint64_t ka, kb;

	kit_start();
	a = begin(with_parent(make(true, P, T, conn_remote(1), 10), TP1));
	b = begin(with_parent(make(false, P, U, conn_remote(2), 12), TP1)); /* whatever the thread */
	kb = end(b, 14);
	CHECK(!results[kb].placed);
	ka = end(a, 20);
	CHECK(is_remote_child(ka, TP1) && is_child(kb, ka, LINK_HEADER));
	CHECK(results[kb].origin.valid && results[kb].origin.sampled == SAMPLED_YES);
	kit_stop();
}

static void test_header__copied_after_the_end_or_elsewhere_is_remote(void)
{
	uint64_t kb, kc;
	struct exchange *a, *c;

	kit_start();
	end(begin(with_parent(make(true, P, T, conn_remote(1), 10), TP1)), 20);
	kb = end(begin(with_parent(make(false, P, T, conn_remote(2), 22), TP1)), 24);
	CHECK(is_remote_child(kb, TP1));
	a = begin(with_parent(make(true, P, T, conn_remote(1), 30), TP1));
	c = begin(with_parent(make(false, Q, T, conn_remote(3), 32), TP1)); /* another process */
	kc = end(c, 34);
	CHECK(is_remote_child(kc, TP1));
	end(a, 40);
	kit_stop();
}

static void test_header__copied_from_several_is_the_owners_or_remote(void)
{
	struct exchange *a, *b, *c, *d;
	uint64_t ka, kc, kd;

	kit_start();
	a = begin(with_parent(make(true, P, T, conn_remote(1), 10), TP1));
	b = begin(with_parent(make(true, P, U, conn_remote(2), 11), TP1));
	c = begin(with_parent(make(false, P, T, conn_remote(3), 12), TP1));
	d = begin(with_parent(make(false, P, V, conn_remote(4), 12), TP1)); /* owns nothing */
	kc = end(c, 14);
	kd = end(d, 14);
	CHECK(is_remote_child(kd, TP1));
	ka = end(a, 20);
	end(b, 21);
	CHECK(is_child(kc, ka, LINK_HEADER));
	kit_stop();
}

static void test_header__copied_from_several_in_a_loop_is_remote(void)
{
	struct exchange *a, *b, *c;
	uint64_t kc;

	kit_start();
	a = begin(with_parent(make(true, P, T, conn_remote(1), 10), TP1));
	b = begin(with_parent(make(true, P, U, conn_remote(2), 11), TP1));
	c = begin(with_parent(make(false, P, T, conn_remote(3), 12), TP1));
	kc = end(c, 14);
	CHECK(!results[kc].placed);
	end(inbound(P, T, 5, 15), 16); /* T is a loop */
	CHECK(is_remote_child(kc, TP1));
	end(a, 20);
	end(b, 21);
	kit_stop();
}

static void test_header__thousands_of_one_context_cost_nothing(void)
{
	static struct exchange *a[5000];
	uint64_t kc;

	kit_start();
	for (uint32_t i = 0; i < ARRAY_SIZE(a); i++)
		a[i] = begin(with_parent(make(true, P, 1000 + i, conn_remote(i), 10), TP1));
	for (uint32_t i = 0; i < ARRAY_SIZE(a); i++) {
		kc = end(begin(with_parent(make(false, P, V, conn_remote(9999), 12), TP1)), 14);
		CHECK(is_remote_child(kc, TP1));
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(a); i++)
		end(a[i], 20);
	kit_stop();
}

static void test_header__several_copies_and_the_thread_owns_another(void)
{
	struct exchange *a, *b, *d;
	uint64_t kc;

	kit_start();
	a = begin(with_parent(make(true, P, T, conn_remote(1), 10), TP1));
	b = begin(with_parent(make(true, P, U, conn_remote(2), 11), TP1));
	d = begin(with_parent(make(true, P, V, conn_remote(3), 11), TP2));
	kc = end(begin(with_parent(make(false, P, V, conn_remote(4), 12), TP1)), 14);
	CHECK(is_remote_child(kc, TP1));
	end(a, 20);
	end(b, 21);
	end(d, 22);
	kit_stop();
}

static void test_header__a_copy_that_began_before_is_remote(void)
{
	struct exchange *a;
	uint64_t ka, kb;

	kit_start();
	a = begin(with_parent(make(true, P, T, conn_remote(1), 10), TP1));
	kb = end(begin(with_parent(make(false, P, T, conn_remote(2), 5), TP1)), 14);
	ka = end(a, 20);
	CHECK(is_remote_child(kb, TP1) && is_remote_child(ka, TP1));
	CHECK_INT(results[ka].p.start, 10); /* a server's start is never changed */
	CHECK_INT(stats[STAT_links_ambiguous], 0);
	kit_stop();
}

static void test_header__a_copy_needs_no_thread(void)
{
	struct exchange *a, *b;
	uint64_t kb;

	kit_start();
	a = begin(with_parent(make(true, P, T, conn_remote(1), 10), TP1));
	b = begin(with_parent(make(false, P, T, conn_remote(2), 12), TP1));
	kb = end_by(b, P, U, 14); /* a reader's thread */
	CHECK(is_child(kb, end_by(a, P, V, 20), LINK_HEADER));
	kit_stop();
}

/* ---- threads ---------------------------------------------------------------------------------- */

static void test_thread__call_is_the_owners_child(void)
{
	struct exchange *a, *b, *c;
	uint64_t ka, kb, kc;

	kit_start();
	a = inbound(P, T, 1, 10);
	b = outgoing(P, T, 12);
	kb = end(b, 14);
	c = outgoing(P, T, 16);
	kc = end(c, 18);
	CHECK_INT(n_placed, 0); /* bound when the inbound exchange ends */
	ka = end(a, 20);
	CHECK(is_root(ka) && is_child(kb, ka, LINK_THREAD) && is_child(kc, ka, LINK_THREAD));
	CHECK_INT(stats[STAT_links_thread], 2);
	kit_stop();
}

static void test_thread__keep_alive_changes_owners(void)
{
	uint64_t ka[20], kb[20];

	kit_start();
	for (unsigned i = 0; i < 20; i++) {
		struct exchange *a = inbound(P, T, i / 5, 100 * i + 10), *b = outgoing(P, T, 100 * i + 20);

		kb[i] = end(b, 100 * i + 30);
		ka[i] = end(a, 100 * i + 40);
	}
	for (unsigned i = 0; i < 20; i++)
		CHECK(is_child(kb[i], ka[i], LINK_THREAD));
	CHECK_INT(stats[STAT_links_loop] + stats[STAT_links_ambiguous], 0);
	kit_stop();
}

static void test_thread__others_have_no_parent(void)
{
	struct exchange *a;
	uint64_t b, c, d;

	kit_start();
	b = end(outgoing(P, T, 8), 9); /* before */
	a = inbound(P, T, 1, 10);
	c = end(outgoing(P, U, 12), 14); /* other thread */
	d = end(outgoing(Q, T, 12), 14); /* other process */
	CHECK(is_root(b) && is_root(c) && is_root(d));
	end(a, 20);
	d = end(outgoing(P, T, 22), 24); /* after */
	CHECK(is_root(d));
	kit_stop();
}

static void test_thread__owner_is_who_completes_the_head(void)
{
	struct exchange *a, *b, *c;
	uint64_t ka, kb, kc;

	kit_start();
	a = make(true, P, T, conn_remote(1), 10);
	a->req_head = (struct mark){ .time = 11, .ctx = U, .pid = P, .tid = U };
	begin(a);
	b = outgoing(P, T, 12);
	c = outgoing(P, U, 12);
	kb = end(b, 14);
	kc = end(c, 14);
	ka = end(a, 20);
	CHECK(is_root(kb) && is_child(kc, ka, LINK_THREAD));
	kit_stop();
}

static void test_thread__what_began_before_is_no_child(void)
{
	struct exchange *a, *b;
	uint64_t kb;

	kit_start();
	a = inbound(P, T, 1, 10);
	b = outgoing(P, T, 9); /* seen late */
	kb = end(b, 14);
	end(a, 20);
	CHECK(is_root(kb));
	CHECK_INT(stats[STAT_links_ambiguous], 1);
	kit_stop();
}

static struct exchange *inbound_polled(uint32_t pid, uint32_t tid, uint64_t conn, uint64_t t, struct resource *r)
{
	struct exchange *x = make(true, pid, tid, conn_remote(conn), t);

	x->req_head.polled = true;
	x->resource = r;
	return begin(x);
}

static void test_thread__reader_of_a_polled_socket_is_a_loop(void)
{
	struct attr nginx = { .key = SLICE("process.executable.name"), .type = ATTR_STRING, .s = SLICE("nginx") };
	struct resource r = { .attrs = &nginx, .n_attrs = 1, .runs = RESOURCE_NGINX };
	struct exchange *a;
	uint64_t kb;

	kit_start();
	a = inbound_polled(P, T, 1, 10, NULL);
	kb = end(outgoing(P, T, 12), 14);
	CHECK(is_root(kb));
	CHECK_INT(stats[STAT_links_loop], 1);
	end(a, 20);
	a = inbound_polled(P + 1, T, 1, 30, &r); /* calls nobody but for a request */
	kb = end(outgoing(P + 1, T, 32), 34);
	CHECK(is_child(kb, end(a, 40), LINK_THREAD));
	kit_stop();
}

static void test_thread__overlap_is_a_loop_for_good(void)
{
	struct exchange *a, *b, *c;
	uint64_t kb, kc;

	kit_start();
	a = inbound(P, T, 1, 10);
	b = outgoing(P, T, 12);
	c = inbound(P, T, 2, 14);
	kb = end(b, 16);
	kc = end(outgoing(P, T, 17), 18);
	CHECK(is_root(kb) && is_root(kc));
	CHECK_INT(stats[STAT_links_loop], 2);
	end(a, 20);
	end(c, 22);
	a = inbound(P, T, 3, 30);
	kb = end(outgoing(P, T, 32), 34);
	CHECK(is_root(kb));
	end(a, 40);
	a = inbound(P, U, 3, 50); /* another thread of the process is believed */
	kb = end(outgoing(P, U, 52), 54);
	CHECK(is_child(kb, end(a, 60), LINK_THREAD));
	kit_stop();
}

static void test_thread__pipelining_is_ambiguous_while_two_are_open(void)
{
	struct exchange *a, *b;
	uint64_t ka, kb, kc;

	kit_start();
	a = inbound(P, T, 1, 10);
	b = inbound(P, T, 1, 10);
	kc = end(outgoing(P, T, 12), 14);
	CHECK(is_root(kc));
	CHECK_INT(stats[STAT_links_ambiguous], 1);
	ka = end(a, 20);
	kc = end(outgoing(P, T, 22), 24);
	kb = end(b, 30);
	CHECK(is_root(ka) && is_child(kc, kb, LINK_THREAD));
	CHECK_INT(stats[STAT_links_loop], 0);
	kit_stop();
}

static void test_thread__writing_the_answer_of_another_is_a_loop(void)
{
	struct exchange *a, *b;
	uint64_t kc, kd;

	kit_start();
	a = inbound(P, T, 1, 10);
	b = inbound(P, U, 2, 11);
	kc = end(outgoing(P, T, 12), 14);
	kd = end(outgoing(P, U, 12), 14);
	end_by(b, P, T, 16);
	CHECK(is_root(kc) && is_root(kd)); /* neither a's nor b's are believed */
	end(a, 20);
	CHECK_INT(stats[STAT_links_loop], 2);
	kit_stop();
}

static void test_thread__writing_the_answer_of_another_that_is_not_done(void)
{
	struct exchange *a, *b;
	uint64_t kc;

	kit_start();
	b = inbound(P, U, 2, 9);
	a = inbound(P, T, 1, 10);
	kc = end(outgoing(P, T, 12), 14);
	b->resp_first = b->resp_last = mark_like(&a->req_head, 16);
	end(a, 20);
	CHECK(is_root(kc));
	b->call.end = CALL_ANSWERED;
	cause_end(cause, b);
	a = inbound(P, T, 1, 30);
	kc = end(outgoing(P, T, 32), 34);
	CHECK(is_root(kc));
	end(a, 40);
	kit_stop();
}

static void test_thread__an_answer_written_meanwhile_tells_afterwards(void)
{
	struct exchange *a, *b;
	uint64_t kc;

	kit_start();
	b = inbound(P, U, 2, 9);
	a = inbound(P, T, 1, 10);
	end(a, 20); /* no call below it: nobody looked for b */
	end_by(b, P, T, 16);
	a = inbound(P, T, 1, 30);
	kc = end(outgoing(P, T, 32), 34);
	CHECK(is_root(kc));
	end(a, 40);
	kit_stop();
}

static void test_thread__an_answer_begun_before_does_not_count(void)
{
	struct exchange *a, *b;
	uint64_t kc;

	kit_start();
	b = inbound(P, U, 2, 5);
	b->resp_first = (struct mark){ .time = 7, .ctx = T, .pid = P, .tid = T };
	a = inbound(P, T, 1, 10);
	kc = end(outgoing(P, T, 12), 14);
	CHECK(is_child(kc, end(a, 20), LINK_THREAD));
	b->call.end = CALL_ANSWERED;
	b->resp_last = mark_like(&b->resp_first, 30);
	cause_end(cause, b);
	kit_stop();
}

static void test_thread__a_call_before_the_head_was_whole_is_no_child(void)
{
	struct exchange *a;
	uint64_t kc;

	kit_start();
	a = make(true, P, T, conn_remote(1), 10);
	a->req_head = mark_like(&a->req_first, 20);
	begin(a);
	kc = end(outgoing(P, T, 15), 25);
	CHECK(is_root(kc));
	end(a, 30);
	kit_stop();
}

static void test_thread__answered_by_another_is_not_owned(void)
{
	struct exchange *a;
	uint64_t kc;

	kit_start();
	a = inbound(P, T, 1, 10);
	kc = end(outgoing(P, T, 12), 14);
	end_by(a, P, U, 20);
	CHECK(is_root(kc));
	CHECK_INT(stats[STAT_links_loop], 1);
	kit_stop();
}

static void test_thread__worker_that_also_reads_is_still_believed(void)
{
	struct exchange *a;
	uint64_t kc;

	kit_start();
	a = inbound(P, U, 1, 10); /* a reader hands it to T */
	end_by(a, P, T, 20);
	a = inbound(P, T, 1, 30);
	kc = end(outgoing(P, T, 32), 34);
	CHECK(is_child(kc, end(a, 40), LINK_THREAD));
	kit_stop();
}

static void test_thread__answer_read_elsewhere_gives_no_edge(void)
{
	struct exchange *a, *b;
	uint64_t kb;

	kit_start();
	a = inbound(P, T, 1, 10);
	b = outgoing(P, T, 12);
	kb = end_by(b, P, U, 14);
	CHECK(is_root(kb));
	end(a, 20);
	a = inbound(P, T, 1, 30);
	b = outgoing(P, T, 32);
	end(a, 40);
	kb = end_by(b, P, U, 50); /* after the binding */
	CHECK(is_root(kb));
	CHECK_INT(stats[STAT_links_loop], 2);
	kit_stop();
}

static void test_thread__call_that_outlives_its_owner_is_its_child(void)
{
	struct exchange *a, *b;
	uint64_t ka, kb;

	kit_start();
	a = inbound(P, T, 1, 10);
	b = outgoing(P, T, 12);
	ka = end(a, 20);
	kb = end(b, 50);
	CHECK(is_child(kb, ka, LINK_THREAD));
	kit_stop();
}

static void test_thread__of_a_runtime_that_moves_tasks_owns_nothing(void)
{
	static struct attr attrs[] = { { .key = SLICE("process.pid"), .type = ATTR_INT, .i = 1 },
				       { .key = SLICE("telemetry.sdk.language"), .type = ATTR_STRING, .s = SLICE("go") } };
	static struct resource go = { .attrs = attrs, .n_attrs = 2 };
	struct exchange *a;
	uint64_t kb;

	for (int is_go = 0; is_go < 2; is_go++) {
		kit_start();
		a = make(true, P, T, conn_remote(1), 10);
		a->resource = is_go ? &go : NULL;
		begin(a);
		kb = end(outgoing(P, T, 12), 14);
		end(a, 20);
		CHECK(results[kb].p.link == (is_go ? LINK_NONE : LINK_THREAD));
		CHECK_INT(stats[STAT_links_loop], is_go);
		kit_stop();
	}
}

/* ---- UNIX sockets: the end of a close-delimited response is not seen ------------------------------ */

static struct exchange *begin_unix(uint64_t conn, uint64_t t)
{
	return begin(make(true, P, T, conn_unix(conn, conn * 10, true), t));
}

static void test_unix__next_request_ends_a_begun_response(void)
{
	struct exchange *a, *b;
	uint64_t ka, kb, kc, kd;

	kit_start();
	a = begin_unix(1, 10);
	kc = end(outgoing(P, T, 12), 13);
	a->resp_first = a->resp_last = mark_like(&a->req_head, 14);
	b = begin_unix(2, 20);
	kd = end(outgoing(P, T, 22), 23);
	kb = end(b, 30);
	a->call.end = CALL_ANSWERED;
	ka = a->key;
	cause_end(cause, a);
	cause_flush(cause);
	CHECK(is_child(kc, ka, LINK_THREAD) && is_child(kd, kb, LINK_THREAD));
	CHECK_INT(stats[STAT_links_loop], 0);
	kit_stop();
}

static void test_unix__end_of_the_released_leaves_the_next_its_owner(void)
{
	struct exchange *a, *b;
	uint64_t kb, kc;

	kit_start();
	a = begin_unix(1, 10);
	a->resp_first = a->resp_last = mark_like(&a->req_head, 14);
	b = begin_unix(2, 20);
	a->call.end = CALL_CLOSED;
	a->ended = 22;
	cause_end(cause, a);
	kc = end(outgoing(P, T, 24), 25);
	kb = end(b, 30);
	cause_flush(cause);
	CHECK(is_child(kc, kb, LINK_THREAD));
	kit_stop();
}

static void test_unix__overlap_where_nothing_excuses_it(void)
{
	struct exchange *a, *b;
	uint64_t kc;

	for (int how = 0; how < 3; how++) {
		kit_start();
		a = how == 2 ? inbound(P, T, 1, 10) : begin_unix(1, 10); /* 2: TCP */
		kc = end(outgoing(P, T, 12), 13);
		if (how) /* 0: no response yet; 1: written by another */
			a->resp_first = a->resp_last = (struct mark){ .time = 14, .ctx = how == 1 ? U : T, .pid = P, .tid = T };
		b = begin_unix(2, 20);
		CHECK(is_root(kc));
		CHECK_INT(stats[STAT_links_loop], 1);
		end(b, 30);
		end(a, 40);
		kit_stop();
	}
}

static void test_unix__response_that_went_on_was_an_overlap(void)
{
	struct exchange *a, *b;
	uint64_t kc;

	kit_start();
	a = begin_unix(1, 10);
	a->resp_first = mark_like(&a->req_head, 14);
	b = begin_unix(2, 20);
	kc = end(outgoing(P, T, 22), 23);
	a->resp_last = mark_like(&a->req_head, 25);
	a->call.end = CALL_ANSWERED;
	cause_end(cause, a);
	CHECK(is_root(kc));
	end(b, 30);
	kit_stop();
}

/* ---- connections ------------------------------------------------------------------------------ */

static struct exchange *tcp_end(bool server, uint16_t port, uint32_t seq, uint64_t t)
{
	struct exchange *x = make(server, server ? Q : P, server ? U : T, conn_local(server ? 1000u + port : 2000u + port, port, server), t);

	x->req_seq = seq;
	x->has_seq = true;
	return x;
}

static struct exchange *unix_end(bool server, uint64_t key, uint64_t off, uint64_t t)
{
	struct exchange *x = make(server, server ? Q : P, server ? U : T, conn_unix(server ? key + 1000 : key + 2000, key, server), t);

	x->req_off = off;
	return x;
}

static void test_connection__both_ends_in_every_order(void)
{
	/* c, s: begin; C, S: end. A send is seen when it returns, a receive cannot end before it began. */
	static const char *const orders[] = { "csSC", "csCS", "scSC", "scCS", "sScC", "cCsS" };

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		struct exchange *c, *s;
		uint64_t kc, ks;

		kit_start();
		c = tcp_end(false, 4000, 77, 12);
		s = tcp_end(true, 4000, 77, 10);
		kc = c->key;
		ks = s->key;
		for (const char *o = orders[i]; *o; o++) {
			if (*o == 'c')
				begin(c);
			else if (*o == 's')
				begin(s);
			else if (*o == 'C')
				end(c, 30);
			else
				end(s, 28);
		}
		CHECK(is_root(kc) && is_child(ks, kc, LINK_CONNECTION)); /* without waiting for a tick */
		CHECK_INT(results[kc].p.start, 10); /* moved back */
		CHECK_INT(results[ks].p.start, 10);
		CHECK_INT(stats[STAT_links_connection], 1);
		kit_stop();
	}
}

static void unref(void *resource)
{
	resource_unref(resource);
}

/* The client's span says what the server's resource says: it is kept for that. The client's is nothing to the server. */
static void test_connection__client_keeps_the_resource_it_met(void)
{
	static struct resource mine = { .refs = 1 }, its = { .refs = 1 };
	struct exchange *client, *server;

	kit_start();
	client = tcp_end(false, 4000, 77, 10);
	server = tcp_end(true, 4000, 77, 12);
	client->release = server->release = unref;
	client->resource = resource_ref(&mine);
	server->resource = resource_ref(&its);
	begin(client);
	CHECK(!client->peer);
	end(begin(server), 20);
	CHECK(client->peer == &its && !server->peer);
	end(client, 30);
	kit_stop();
	CHECK(mine.refs == 1 && its.refs == 1);
}

static void test_connection__start_of_an_earlier_client_stays(void)
{
	struct exchange *c, *s;
	uint64_t kc, ks;

	kit_start();
	c = begin(tcp_end(false, 4000, 77, 8));
	s = begin(tcp_end(true, 4000, 77, 10));
	ks = end(s, 20);
	kc = end(c, 22);
	CHECK(is_child(ks, kc, LINK_CONNECTION));
	CHECK_INT(results[kc].p.start, 8);
	CHECK_INT(results[ks].p.start, 10);
	kit_stop();
}

static void test_connection__unix_by_keys_and_offset(void)
{
	struct exchange *c, *s;
	uint64_t kc, ks;

	kit_start();
	c = begin(unix_end(false, 500, 33, 8));
	s = begin(unix_end(true, 500, 33, 10));
	ks = end(s, 20);
	kc = end(c, 22);
	CHECK(is_child(ks, kc, LINK_CONNECTION));
	kit_stop();
}

/* The addresses of a TLS session's socket, and a place in its plaintext. */
static struct exchange *tls_end(bool server, uint64_t off, uint64_t t)
{
	struct exchange *x = tcp_end(server, 4000, 0, t);

	x->has_seq = false;
	x->call.conn.tls = true;
	x->req_off = off;
	return x;
}

static void test_connection__tls_by_address_and_offset(void)
{
	for (int how = 0; how < 7; how++) {
		struct exchange *c, *s;
		uint64_t kc, ks;

		kit_start();
		c = tls_end(false, 33, 8);
		s = how == 6 ? tcp_end(true, 4000, 33, 10) : tls_end(true, 33, 10);
		switch (how) {
		case 1: s->req_off++; break;
		case 2: s->call.conn.mid = true; break;
		case 3: c->call.conn.mid = true; break;
		case 4: c->call.conn.family = s->call.conn.family = 0; break; /* the socket of neither is known */
		case 5: s->call.conn.remote.port++; break;
		case 6: s->req_off = 33; break; /* the ciphertext's, of all things */
		}
		begin(c);
		begin(s);
		ks = end(s, 20);
		kc = end(c, 22);
		cause_tick(cause, 1000 * MS);
		if (how)
			CHECK(is_root(kc) && is_root(ks));
		else
			CHECK(is_child(ks, kc, LINK_CONNECTION));
		kit_stop();
	}
}

static void test_connection__anything_different_is_no_match(void)
{
	for (int how = 0; how < 10; how++) {
		bool is_unix = how >= 6;
		struct exchange *c, *s;
		uint64_t kc, ks;

		kit_start();
		c = is_unix ? unix_end(false, 500, 33, 8) : tcp_end(false, 4000, 77, 8);
		s = is_unix ? unix_end(true, 500, 33, 10) : tcp_end(true, 4000, 77, 10);
		switch (how) {
		case 0: s->req_seq++; break;
		case 1: s->has_seq = false; break;
		case 2: c->has_seq = false; break;
		case 3: s->call.conn.remote.port++; break;
		case 4: s->call.conn.netns++; break; /* another pod's loopback */
		case 5: s->call.conn.local.addr[15]++; break;
		case 6: s->req_off++; break;
		case 7: s->call.conn.mid = true; break;
		case 8: c->call.conn.mid = true; break;
		case 9: s->call.conn.peer_key = c->call.conn.self_key = 0; break;
		}
		begin(c);
		begin(s);
		ks = end(s, 20);
		kc = end(c, 22);
		cause_tick(cause, 1000 * MS);
		CHECK(is_root(kc) && is_root(ks));
		kit_stop();
	}
}

static void test_connection__across_namespaces_by_real_addresses(void)
{
	struct exchange *c, *s;
	uint64_t kc, ks;

	kit_start();
	c = tcp_end(false, 4000, 77, 8);
	s = tcp_end(true, 4000, 77, 10);
	c->call.conn.local = s->call.conn.remote = endpoint4(0x0a010001, 4000);
	c->call.conn.remote = s->call.conn.local = endpoint4(0x0a010002, 80);
	s->call.conn.netns = 2;
	begin(c);
	begin(s);
	ks = end(s, 20);
	kc = end(c, 22);
	CHECK(is_child(ks, kc, LINK_CONNECTION));
	kit_stop();
}

static void test_connection__two_candidates_are_none(void)
{
	struct exchange *c, *d, *s;
	uint64_t kc, kd, ks;

	for (int order = 0; order < 3; order++) {
		kit_start();
		c = tcp_end(false, 4000, 77, 8);
		d = tcp_end(false, 4000, 77, 8);
		s = tcp_end(true, 4000, 77, 10);
		if (order == 0)
			begin(s);
		begin(c);
		if (order == 1)
			begin(s);
		begin(d);
		if (order == 2)
			begin(s);
		ks = end(s, 20);
		kc = end(c, 22);
		kd = end(d, 22);
		CHECK(is_root(kc) && is_root(kd) && is_root(ks));
		CHECK_INT(stats[STAT_links_ambiguous], 1);
		CHECK_INT(stats[STAT_links_connection], 0);
		kit_stop();
	}
}

static void test_connection__another_candidate_after_the_first_is_gone(void)
{
	struct exchange *c, *s;
	uint64_t ks;

	kit_start();
	c = begin(tcp_end(false, 4000, 77, 8));
	s = begin(tcp_end(true, 4000, 77, 10));
	end(c, 22); /* placed */
	c = begin(tcp_end(false, 4000, 77, 23));
	ks = end(s, 24);
	CHECK(is_root(ks));
	end(c, 26);
	CHECK_INT(stats[STAT_links_connection], 0);
	kit_stop();
}

static void test_connection__is_found_whatever_the_header_says(void)
{
	struct exchange *c, *s;
	uint64_t kc, ks;

	kit_start();
	c = begin(with_parent(tcp_end(false, 4000, 77, 8), TP1));
	s = begin(with_parent(tcp_end(true, 4000, 77, 10), TP1));
	ks = end(s, 20);
	kc = end(c, 22);
	CHECK(is_remote_child(kc, TP1) && is_child(ks, kc, LINK_CONNECTION));
	kit_stop();
}

static void test_connection__whole_path_is_one_trace(void)
{
	struct exchange *a, *c, *s, *d;
	uint64_t ka, kc, ks, kd;

	kit_start();
	a = begin(with_field(with_parent(make(true, P, T, conn_remote(1), 5), TP1), CARRIER_TRACESTATE, "ot=th:8"));
	c = begin(tcp_end(false, 4000, 77, 8));
	s = begin(tcp_end(true, 4000, 77, 10));
	d = outgoing(Q, U, 12);
	kd = end(d, 14);
	ks = end(s, 16);
	kc = end(c, 18);
	CHECK_INT(n_placed, 0);
	ka = end(a, 20);
	CHECK(is_remote_child(ka, TP1) && is_child(kc, ka, LINK_THREAD) && is_child(ks, kc, LINK_CONNECTION) && is_child(kd, ks, LINK_THREAD));
	CHECK(results[kd].origin.sampled == SAMPLED_YES && !strcmp(results[kd].state, "ot=th:8"));
	kit_stop();
}

static void test_connection__parent_of_a_moved_client_must_not_be_later(void)
{
	struct exchange *a, *c, *s;
	uint64_t ka, kc, ks;

	kit_start();
	a = inbound(P, T, 1, 11);
	c = begin(tcp_end(false, 4000, 77, 12));
	s = begin(tcp_end(true, 4000, 77, 10)); /* read before a was: c cannot be a's */
	ks = end(s, 16);
	kc = end(c, 18);
	ka = end(a, 20);
	CHECK(is_root(ka) && is_root(kc) && is_child(ks, kc, LINK_CONNECTION));
	CHECK_INT(stats[STAT_links_ambiguous], 1);
	kit_stop();
}

/* ---- grace ------------------------------------------------------------------------------------ */

static void test_grace__end_before_the_other_is_seen(void)
{
	struct exchange *c;
	uint64_t kc, ks;

	kit_start();
	ks = end(begin(tcp_end(true, 4000, 77, 10)), 20);
	cause_tick(cause, 190 * MS);
	CHECK(!results[ks].placed);
	c = begin(tcp_end(false, 4000, 77, 12));
	cause_tick(cause, 500 * MS); /* met: now only the client's end is awaited */
	CHECK(!results[ks].placed);
	kc = end(c, 510 * MS);
	CHECK(is_child(ks, kc, LINK_CONNECTION));

	ks = end(begin(tcp_end(true, 4000, 99, 600 * MS)), 610 * MS);
	cause_tick(cause, 811 * MS);
	CHECK(is_root(ks));
	cause_abandon(cause, begin(tcp_end(false, 4000, 99, 600 * MS)));
	kit_stop();
}

static void test_grace__client_end_waits_for_its_server(void)
{
	uint64_t kc, ks;

	kit_start();
	kc = end(begin(tcp_end(false, 4000, 77, 12)), 30);
	CHECK(!results[kc].placed);
	ks = end(begin(tcp_end(true, 4000, 77, 10)), 40);
	CHECK(is_root(kc) && is_child(ks, kc, LINK_CONNECTION));
	kit_stop();
}

static void test_grace__not_where_nobody_is_likely(void)
{
	struct exchange *s;

	kit_start();
	s = make(true, P, T, conn_remote(1), 10);
	s->has_seq = true;
	CHECK(is_root(end(begin(s), 20)));
	kit_stop();
}

static struct exchange *pod_end(bool server, uint32_t seq, uint64_t t)
{
	struct exchange *x = tcp_end(server, 4000, seq, t);
	struct endpoint a = endpoint4(0x0a010001, 4000), b = endpoint4(0x0a010002, 80);

	x->call.conn.local = server ? b : a;
	x->call.conn.remote = server ? a : b;
	return x;
}

static void test_grace__where_a_client_was_seen(void)
{
	uint64_t kc, ks;

	kit_start();
	CHECK(is_root(end(begin(pod_end(true, 1, 10)), 20))); /* nobody is known */
	end(begin(pod_end(false, 1, 10)), 20);
	ks = end(begin(pod_end(true, 2, 30)), 40);
	CHECK(!results[ks].placed);
	kc = end(begin(pod_end(false, 2, 31)), 41);
	CHECK(is_child(ks, kc, LINK_CONNECTION));
	ks = end(begin(pod_end(true, 3, 50)), 60);
	CHECK(!results[ks].placed);
	cause_tick(cause, 300 * MS); /* it did not come: the next does not wait */
	CHECK(is_root(ks) && is_root(end(begin(pod_end(true, 4, 310 * MS)), 320 * MS)));
	kit_stop();
}

static void test_grace__a_connection_waits_in_vain_once(void)
{
	uint64_t ks;

	kit_start();
	ks = end(begin(tcp_end(true, 4000, 77, 10)), 20);
	CHECK(!results[ks].placed);
	cause_tick(cause, 300 * MS);
	CHECK(is_root(ks));
	ks = end(begin(tcp_end(true, 4000, 99, 310 * MS)), 320 * MS);
	CHECK(is_root(ks));
	kit_stop();
}

static void test_grace__until_the_next_request_of_the_connection(void)
{
	uint64_t k1, k2;

	kit_start();
	k1 = end(begin(tcp_end(true, 4000, 77, 10)), 20);
	CHECK(!results[k1].placed);
	k2 = end(begin(tcp_end(true, 4000, 99, 30)), 40);
	CHECK(is_root(k1) && is_root(k2));
	k1 = end(begin(tcp_end(true, 4001, 77, 50)), 60); /* another connection starts anew */
	CHECK(!results[k1].placed);
	kit_stop();
}

static void test_grace__pipelined_requests_wait_each(void)
{
	struct exchange *a, *b, *c, *d;
	uint64_t ka, kb, kc, kd;

	kit_start();
	a = begin(tcp_end(true, 4000, 77, 10));
	b = begin(tcp_end(true, 4000, 99, 10));
	ka = end(a, 20);
	kb = end(b, 22);
	CHECK_INT(n_placed, 0);
	c = begin(tcp_end(false, 4000, 77, 12));
	d = begin(tcp_end(false, 4000, 99, 12));
	kc = end(c, 30);
	kd = end(d, 32);
	CHECK(is_child(ka, kc, LINK_CONNECTION) && is_child(kb, kd, LINK_CONNECTION));
	kit_stop();
}

static void test_grace__a_client_learns_that_nobody_is_at_an_address(void)
{
	uint64_t k, ks;

	kit_start();
	k = end(begin(tcp_end(false, 4000, 77, 10)), 20);
	CHECK(!results[k].placed);
	cause_tick(cause, 300 * MS);
	CHECK(is_root(k));
	CHECK(is_root(end(begin(tcp_end(false, 4001, 77, 310 * MS)), 320 * MS)));
	end(begin(tcp_end(true, 4002, 5, 330 * MS)), 340 * MS); /* somebody is */
	k = end(begin(tcp_end(false, 4003, 77, 350 * MS)), 360 * MS);
	CHECK(!results[k].placed);
	ks = end(begin(tcp_end(true, 4003, 77, 350 * MS)), 370 * MS);
	CHECK(is_child(ks, k, LINK_CONNECTION));
	kit_stop();
}

/* ---- bounds and ends -------------------------------------------------------------------------- */

static void test_bounds__link_timeout(void)
{
	struct exchange *a;
	uint64_t kb;

	kit_start_with(ALL_LINKS, 1000 * MS, 100);
	a = inbound(P, T, 1, 10);
	kb = end(outgoing(P, T, 12), 500 * MS);
	cause_tick(cause, 1499 * MS);
	CHECK(!results[kb].placed);
	cause_tick(cause, 1500 * MS);
	CHECK(is_root(kb));
	CHECK_INT(stats[STAT_links_timeout], 1);
	end(a, 2000 * MS);
	kit_stop();
}

static void test_bounds__copied_context_stays_a_parent_after_the_timeout(void)
{
	struct exchange *a;
	uint64_t kb;

	kit_start_with(ALL_LINKS, 1000 * MS, 100);
	a = begin(with_parent(make(true, P, T, conn_remote(1), 10), TP1));
	kb = end(begin(with_parent(make(false, P, T, conn_remote(2), 12), TP1)), 20);
	cause_tick(cause, 1500 * MS);
	CHECK(is_remote_child(kb, TP1));
	CHECK_INT(stats[STAT_links_timeout], 0);
	end(a, 2000 * MS);
	kit_stop();
}

static void test_bounds__max_waiting_places_the_oldest(void)
{
	struct exchange *a;
	uint64_t k[5], ka;

	kit_start_with(ALL_LINKS, 1000 * MS, 3);
	a = inbound(P, T, 1, 10);
	for (unsigned i = 0; i < 5; i++)
		k[i] = end(outgoing(P, T, 20 + i), 30 + i);
	CHECK(is_root(k[0]) && is_root(k[1]) && !results[k[2]].placed);
	CHECK_INT(stats[STAT_links_memory], 2);
	ka = end(a, 50);
	CHECK(is_child(k[2], ka, LINK_THREAD) && is_child(k[4], ka, LINK_THREAD));
	kit_stop();
}

static void test_bounds__abandoned_owner_leaves_no_edges(void)
{
	struct exchange *a, *s, *c;
	uint64_t kb, kc, ks;

	kit_start();
	a = inbound(P, T, 1, 10);
	kb = end(outgoing(P, T, 12), 14);
	cause_abandon(cause, a);
	CHECK(is_root(kb));
	CHECK_INT(stats[STAT_links_abandoned], 1);
	kc = end(outgoing(P, T, 16), 18);
	CHECK(is_root(kc));
	c = begin(tcp_end(false, 4000, 77, 20)); /* an abandoned client leaves its server */
	s = begin(tcp_end(true, 4000, 77, 22));
	ks = end(s, 24);
	cause_abandon(cause, c);
	CHECK(is_root(ks));
	c = begin(tcp_end(false, 4001, 77, 20)); /* an abandoned server leaves its client */
	s = begin(tcp_end(true, 4001, 77, 18));
	cause_abandon(cause, s);
	kc = end(c, 30);
	CHECK(is_root(kc));
	CHECK_INT(results[kc].p.start, 20);
	kit_stop();
}

static void test_bounds__flush_decides_all(void)
{
	struct exchange *a, *b;
	uint64_t kb, ks;

	kit_start();
	a = inbound(P, T, 1, 10);
	b = outgoing(P, T, 12);
	kb = end(b, 14);
	ks = end(begin(tcp_end(true, 4000, 77, 10)), 20);
	CHECK_INT(n_placed, 0);
	cause_flush(cause);
	CHECK(is_root(kb) && is_root(ks));
	cause_abandon(cause, a);
	kit_stop();
}

static void test_bounds__process_exit_voids_contexts(void)
{
	struct exchange *a, *b;
	uint64_t kb;

	kit_start();
	a = inbound(P, T, 1, 10);
	b = inbound(P, T, 2, 12); /* a loop */
	cause_exit(cause, P);
	end(a, 20);
	end(b, 22);
	a = inbound(P, T, 1, 30); /* the pid again, another program */
	kb = end(outgoing(P, T, 32), 34);
	CHECK(is_child(kb, end(a, 40), LINK_THREAD));
	a = inbound(P, T, 1, 50);
	kb = end(outgoing(P, T, 52), 54);
	cause_exit(cause, P); /* before the end is seen: what was found stays */
	CHECK(is_child(kb, end(a, 60), LINK_THREAD));
	cause_exit(cause, 12345);
	kit_stop();
}

static void test_bounds__many_loops_make_the_process_one(void)
{
	struct exchange *a, *b;
	uint64_t kb;

	kit_start();
	for (uint32_t i = 0; i < 300; i++) {
		a = inbound(P, 1000 + i, 1, 10);
		b = inbound(P, 1000 + i, 2, 12);
		end(a, 14);
		end(b, 16);
	}
	a = inbound(P, 5000, 1, 30);
	kb = end(outgoing(P, 5000, 32), 34);
	CHECK(is_root(kb));
	end(a, 40);
	cause_exit(cause, P);
	a = inbound(P, 5000, 1, 50);
	kb = end(outgoing(P, 5000, 52), 54);
	CHECK(is_child(kb, end(a, 60), LINK_THREAD));
	kit_stop();
}

static void test_bounds__more_threads_than_the_table(void)
{
	struct exchange *a;
	uint64_t kb;

	kit_start();
	for (uint32_t i = 0; i < 40000; i++) {
		a = inbound(P + i % 7, 100 + i, 1, 10 * i);
		end(a, 10 * i + 5);
	}
	a = inbound(P, T, 1, 500000);
	kb = end(outgoing(P, T, 500002), 500004);
	CHECK(is_child(kb, end(a, 500010), LINK_THREAD));
	kit_stop();
}

static void test_bounds__open_exchanges_fill_the_table(void)
{
	static struct exchange *a[20000];
	uint64_t kb;

	kit_start();
	for (uint32_t i = 0; i < ARRAY_SIZE(a); i++)
		a[i] = inbound(P, 100 + i, i, 10);
	kb = end(outgoing(P, 100 + 19999, 20), 30); /* no room for that context */
	CHECK(is_root(kb));
	kb = end(outgoing(P, 100, 20), 30);
	for (uint32_t i = 0; i < ARRAY_SIZE(a); i++)
		end(a[i], 40);
	CHECK(results[kb].p.link == LINK_THREAD);
	kit_stop();
}

static void test_bounds__without_memory_only_the_header_counts(void)
{
	struct exchange *x;
	uint64_t k;

	kit_start();
	x = with_parent(make(true, P, T, conn_remote(1), 10), TP1);
	while (arena_alloc(&x->arena, 1))
		kit_pool.limit = kit_pool.used;
	k = end(begin(x), 20);
	CHECK(is_remote_child(k, TP1));
	CHECK_INT(n_placed, 1);
	kit_stop();
}

/* Ten thousand hops on one host: each inbound exchange makes a call that the next process serves. */
static void test_bounds__a_long_chain_needs_no_stack(void)
{
	enum { N = 10000 };
	static struct exchange *in[N], *out[N];
	uint64_t first, ki[N], ko[N];

	kit_start();
	for (uint32_t i = 0; i < N; i++) {
		struct conn_info c = i ? conn_unix(i, 100000 + 10ULL * (i - 1), true) : conn_remote(1);

		in[i] = begin(make(true, 1000 + i, 1, c, 10 + 2 * i));
		out[i] = begin(make(false, 1000 + i, 1, conn_unix(20000 + i, 100000 + 10ULL * i, false), 11 + 2 * i));
		ki[i] = in[i]->key;
		ko[i] = out[i]->key;
	}
	first = 100000;
	for (uint32_t i = N; i-- > 0;) {
		end(out[i], first++);
		end(in[i], first++);
	}
	cause_flush(cause);
	for (uint32_t i = 0; i < N; i++) {
		CHECK(is_child(ko[i], ki[i], LINK_THREAD));
		if (i)
			CHECK(is_child(ki[i], ko[i - 1], LINK_CONNECTION));
	}
	CHECK_INT(n_placed, 2 * N);
	kit_stop();
}

/* A context that calls itself, by records that no kernel makes. */
static void test_bounds__a_circle_is_cut(void)
{
	struct exchange *s, *c;
	uint64_t s_key, c_key;

	kit_start();
	s = make(true, P, T, conn_unix(1, 10, true), 10);
	c = make(false, P, T, conn_unix(2, 10, false), 12);
	s_key = s->key;
	c_key = c->key;
	begin(s);
	begin(c); /* owned by s, and its other end */
	end(c, 20);
	end(s, 22);
	CHECK_INT(n_placed, 2); /* at once */
	CHECK(is_child(c_key, s_key, LINK_THREAD) != is_child(s_key, c_key, LINK_CONNECTION));
	kit_stop();
}

static void test_bounds__links_can_be_refused(void)
{
	struct exchange *a, *c, *s;
	uint64_t ka, kc, ks;

	kit_start_with(LINK_CONNECTION, NS_PER_S, 100);
	a = begin(with_parent(make(true, P, T, conn_remote(1), 5), TP1));
	c = begin(tcp_end(false, 4000, 77, 8));
	s = begin(tcp_end(true, 4000, 77, 10));
	ks = end(s, 16);
	kc = end(c, 18);
	ka = end(a, 20);
	CHECK(is_root(ka) && is_root(kc) && is_child(ks, kc, LINK_CONNECTION));
	kit_stop();
	kit_start_with(LINK_THREAD, NS_PER_S, 100);
	a = inbound(P, T, 1, 5);
	c = begin(tcp_end(false, 4000, 77, 8));
	s = begin(tcp_end(true, 4000, 77, 10));
	ks = end(s, 16);
	kc = end(c, 18);
	ka = end(a, 20);
	CHECK(is_root(ka) && is_child(kc, ka, LINK_THREAD) && is_root(ks));
	kit_stop();
}

/* ---- those who give no span ------------------------------------------------------------------- */

static bool hidden_below(uint64_t child, uint64_t above, enum link_kind link)
{
	return results[above].p.hidden && results[child].placed && results[child].p.link == link &&
	       !memcmp(results[child].p.parent_id, results[above].p.parent_id, 8) &&
	       !memcmp(results[child].p.trace_id, results[above].p.trace_id, 16);
}

/* P is hidden: what it calls hangs below who called it, however far. */
static void test_hidden__links_go_through(void)
{
	struct exchange *a, *c, *s;
	uint64_t ka, kc, ks;

	kit_start();
	kit_hidden = P;
	a = begin(with_parent(make(true, P, T, conn_remote(1), 5), TP1));
	c = begin(tcp_end(false, 4000, 77, 8));
	s = begin(tcp_end(true, 4000, 77, 10));
	ks = end(s, 16);
	kc = end(c, 18);
	ka = end(a, 20);
	CHECK(results[ka].p.hidden == STAT_drop_self_traced && results[kc].p.hidden && !results[ks].p.hidden);
	CHECK(hidden_below(kc, ka, LINK_THREAD) && hidden_below(ks, kc, LINK_CONNECTION));
	CHECK(results[ks].p.parent_remote && results[ks].origin.sampled == SAMPLED_YES);
	kit_stop();
}

/* What its SDK put into the call is where the other end belongs. */
static void test_hidden__the_sdks_context_is_the_parent(void)
{
	struct exchange *a, *c, *s;
	uint64_t kc, ks;

	kit_start();
	kit_hidden = P;
	a = inbound(P, T, 1, 5);
	c = begin(with_parent(tcp_end(false, 4000, 77, 8), TP2));
	s = begin(with_parent(tcp_end(true, 4000, 77, 10), TP2));
	ks = end(s, 16);
	kc = end(c, 18);
	end(a, 20);
	CHECK(is_remote_child(kc, TP2) && hidden_below(ks, kc, LINK_CONNECTION) && results[ks].p.parent_remote);
	kit_stop();
}

static void test_hidden__a_root_leaves_its_trace_and_no_parent(void)
{
	struct exchange *a, *c, *d, *s;
	uint64_t ka, kd, ks;

	kit_start();
	kit_hidden = P;
	a = inbound(P, T, 1, 5);
	c = begin(tcp_end(false, 4000, 77, 8));
	s = begin(tcp_end(true, 4000, 77, 10));
	d = outgoing(Q, U, 12);
	kd = end(d, 14);
	ks = end(s, 16);
	end(c, 18);
	ka = end(a, 20);
	CHECK(is_root(ka) && is_root(ks) && is_child(kd, ks, LINK_THREAD));
	CHECK(!memcmp(results[ks].p.trace_id, results[ka].p.trace_id, 16));
	kit_stop();
}

/* ... unless it has a header of its own, which the hidden end was not seen to send. */
static void test_hidden__below_a_root_the_own_header_counts(void)
{
	struct exchange *c, *s;
	uint64_t ks;

	kit_start();
	kit_hidden = P;
	c = begin(tcp_end(false, 4000, 77, 8));
	s = begin(with_parent(tcp_end(true, 4000, 77, 10), TP1));
	ks = end(s, 16);
	end(c, 18);
	CHECK(is_remote_child(ks, TP1));
	kit_stop();
}

static void test_ids__same_seed_same_ids(void)
{
	struct placement p[2][2];

	for (int i = 0; i < 2; i++) {
		struct exchange *a;
		uint64_t ka, kb;

		kit_start();
		a = inbound(P, T, 1, 5);
		kb = end(outgoing(P, T, 8), 9);
		ka = end(a, 20);
		p[i][0] = results[ka].p;
		p[i][1] = results[kb].p;
		kit_stop();
	}
	CHECK(!memcmp(p[0], p[1], sizeof(p[0])));
}

int main(void)
{
	RUN(test_header__no_context_is_a_root);
	RUN(test_header__gives_trace_and_parent);
	RUN(test_header__malformed_is_counted_and_a_root);
	RUN(test_header__decision_without_ids_goes_down_the_tree);
	RUN(test_header__sdk_made_context_of_a_call_wins);
	RUN(test_header__copied_context_makes_a_child);
	RUN(test_header__copied_after_the_end_or_elsewhere_is_remote);
	RUN(test_header__copied_from_several_is_the_owners_or_remote);
	RUN(test_header__copied_from_several_in_a_loop_is_remote);
	RUN(test_header__thousands_of_one_context_cost_nothing);
	RUN(test_header__several_copies_and_the_thread_owns_another);
	RUN(test_header__a_copy_that_began_before_is_remote);
	RUN(test_header__a_copy_needs_no_thread);
	RUN(test_thread__call_is_the_owners_child);
	RUN(test_thread__keep_alive_changes_owners);
	RUN(test_thread__others_have_no_parent);
	RUN(test_thread__owner_is_who_completes_the_head);
	RUN(test_thread__what_began_before_is_no_child);
	RUN(test_thread__reader_of_a_polled_socket_is_a_loop);
	RUN(test_thread__overlap_is_a_loop_for_good);
	RUN(test_thread__pipelining_is_ambiguous_while_two_are_open);
	RUN(test_thread__writing_the_answer_of_another_is_a_loop);
	RUN(test_thread__writing_the_answer_of_another_that_is_not_done);
	RUN(test_thread__an_answer_written_meanwhile_tells_afterwards);
	RUN(test_thread__an_answer_begun_before_does_not_count);
	RUN(test_thread__a_call_before_the_head_was_whole_is_no_child);
	RUN(test_thread__answered_by_another_is_not_owned);
	RUN(test_thread__worker_that_also_reads_is_still_believed);
	RUN(test_thread__answer_read_elsewhere_gives_no_edge);
	RUN(test_thread__call_that_outlives_its_owner_is_its_child);
	RUN(test_thread__of_a_runtime_that_moves_tasks_owns_nothing);
	RUN(test_unix__next_request_ends_a_begun_response);
	RUN(test_unix__end_of_the_released_leaves_the_next_its_owner);
	RUN(test_unix__overlap_where_nothing_excuses_it);
	RUN(test_unix__response_that_went_on_was_an_overlap);
	RUN(test_connection__both_ends_in_every_order);
	RUN(test_connection__client_keeps_the_resource_it_met);
	RUN(test_connection__start_of_an_earlier_client_stays);
	RUN(test_connection__unix_by_keys_and_offset);
	RUN(test_connection__tls_by_address_and_offset);
	RUN(test_connection__anything_different_is_no_match);
	RUN(test_connection__across_namespaces_by_real_addresses);
	RUN(test_connection__two_candidates_are_none);
	RUN(test_connection__another_candidate_after_the_first_is_gone);
	RUN(test_connection__is_found_whatever_the_header_says);
	RUN(test_connection__whole_path_is_one_trace);
	RUN(test_connection__parent_of_a_moved_client_must_not_be_later);
	RUN(test_grace__end_before_the_other_is_seen);
	RUN(test_grace__client_end_waits_for_its_server);
	RUN(test_grace__not_where_nobody_is_likely);
	RUN(test_grace__where_a_client_was_seen);
	RUN(test_grace__a_connection_waits_in_vain_once);
	RUN(test_grace__until_the_next_request_of_the_connection);
	RUN(test_grace__pipelined_requests_wait_each);
	RUN(test_grace__a_client_learns_that_nobody_is_at_an_address);
	RUN(test_bounds__link_timeout);
	RUN(test_bounds__copied_context_stays_a_parent_after_the_timeout);
	RUN(test_bounds__max_waiting_places_the_oldest);
	RUN(test_bounds__abandoned_owner_leaves_no_edges);
	RUN(test_bounds__flush_decides_all);
	RUN(test_bounds__process_exit_voids_contexts);
	RUN(test_bounds__many_loops_make_the_process_one);
	RUN(test_bounds__more_threads_than_the_table);
	RUN(test_bounds__open_exchanges_fill_the_table);
	RUN(test_bounds__without_memory_only_the_header_counts);
	RUN(test_bounds__a_long_chain_needs_no_stack);
	RUN(test_bounds__a_circle_is_cut);
	RUN(test_bounds__links_can_be_refused);
	RUN(test_hidden__links_go_through);
	RUN(test_hidden__the_sdks_context_is_the_parent);
	RUN(test_hidden__a_root_leaves_its_trace_and_no_parent);
	RUN(test_hidden__below_a_root_the_own_header_counts);
	RUN(test_ids__same_seed_same_ids);
	return tap_done();
}
