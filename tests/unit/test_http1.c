// SPDX-License-Identifier: Apache-2.0
/* The HTTP/1 session: which message is next, where it ends, whose answer it is, and what a loss voids. */
#include "tap.h"

#include <errno.h>

#include "proto/http1.h"

#define REQ DIR_RECV
#define RESP DIR_SEND

static union {
	max_align_t align;
	char bytes[4096];
} memory;
static const struct proto_config config;
static struct proto_out out;

static void start(void)
{
	memset(&memory, 0, sizeof(memory));
	CHECK(http1_ops.session_size <= sizeof(memory));
	http1_ops.init(&memory, &config);
}

static int64_t feed(enum ev_dir from, const char *text)
{
	out = (struct proto_out){ 0 };
	return http1_ops.parse(&memory, from, slice_str(text), &out);
}

/* Everything is consumed, and these are the flags and the bytes to pass over. */
static bool gives(enum ev_dir from, const char *text, uint32_t flags, uint64_t skip)
{
	int64_t r = feed(from, text);

	if (r == (int64_t)strlen(text) && out.flags == flags && out.skip == skip)
		return true;
	printf("# %s -> %lld flags %u skip %llu\n", text, (long long)r, out.flags, (unsigned long long)out.skip);
	return false;
}

static bool asked(const char *method)
{
	char text[128];

	snprintf(text, sizeof(text), "%s /x HTTP/1.1\r\nHost: h\r\n\r\n", method);
	return gives(REQ, text, OUT_HEAD | OUT_END, 0);
}

#define WHOLE (OUT_HEAD | OUT_END)

static void test_http1__a_length_is_passed_over(void)
{
	start();
	CHECK(gives(REQ, "POST / HTTP/1.1\r\nContent-Length: 18\r\n\r\n", WHOLE, 18));
	CHECK_INT(out.type, MSG_REQUEST);
	CHECK_INT(out.key, 1);
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 07\r\n\r\n", WHOLE, 7));
	CHECK_INT(out.type, MSG_RESPONSE);
	CHECK_INT(out.key, 1);
	CHECK(asked("GET"));
	CHECK_INT(out.key, 2);
}

static void test_http1__chunks_need_not_be_captured(void)
{
	start();
	CHECK(gives(REQ, "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", OUT_HEAD, 0));
	CHECK(gives(REQ, "1000;x=\"y\"\r\n", 0, 4096));
	CHECK(gives(REQ, "\r\nA \r\n0123", 0, 6));
	CHECK(gives(REQ, "\r\n3\r\nabc\r\n0", 0, 0));
	CHECK(gives(REQ, "0\r\nA: b\r\nC: d\r\n", 0, 0));
	CHECK(gives(REQ, "\r\n", OUT_END, 0));
	CHECK_INT(out.key, 1);
	CHECK(asked("GET"));
}

static void test_http1__bad_chunks_are_out_of_step(void)
{
	static const char *const bad[] = { "g\r\n", "\r\n", ";x\r\n", "-1\r\n", "0x1\r\n", "1\r\nab\r\n", "1\r\na\rb", "1\rx",
					   "fffffffffffffffff\r\n", "1 2\r\n", "0\r\n\x01: y\r\n", "2;\x7f\r\n", "0\r\n: y\r\n" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start();
		feed(REQ, "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
		CHECK_INT(feed(REQ, bad[i]), -EPROTO);
		CHECK_INT(feed(REQ, "0\r\n\r\n"), -EPROTO); /* until resync */
	}
}

static void test_http1__the_request_frames_the_response(void)
{
	start();
	CHECK(asked("HEAD"));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", WHOLE, 0));
	CHECK(asked("GET"));
	CHECK(gives(RESP, "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", WHOLE, 0));
	CHECK(asked("GET"));
	CHECK(gives(RESP, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", WHOLE, 0));
	CHECK(asked("DELETE"));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", OUT_HEAD, 0));
	CHECK(gives(RESP, "0\r\n\r\n", OUT_END, 0));
	CHECK_INT(out.key, 4);
}

static void test_http1__pipelined_requests_are_answered_in_order(void)
{
	start();
	CHECK(asked("GET"));
	CHECK(asked("HEAD"));
	CHECK(asked("GET"));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", WHOLE, 5));
	CHECK_INT(out.key, 1);
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", WHOLE, 0));
	CHECK_INT(out.key, 2);
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", WHOLE, 5));
	CHECK_INT(out.key, 3);
}

static void test_http1__more_requests_than_remembered_stay_in_order(void)
{
	start();
	for (int i = 0; i < HTTP1_QUEUE_MAX + 10; i++)
		CHECK(asked(i % 2 ? "HEAD" : "GET"));
	for (int i = 0; i < HTTP1_QUEUE_MAX; i++) {
		CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", WHOLE, i % 2 ? 0 : 5));
		CHECK_INT(out.key, i + 1);
	}
	/* beyond, the kind is not known: what follows the head decides */
	for (int i = 0; i < 10; i++) {
		CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", OUT_HEAD, 0));
		CHECK_INT(out.key, HTTP1_QUEUE_MAX + i + 1);
		if (i % 2 == 0)
			CHECK(gives(RESP, "12345", OUT_END, 0));
	}
	CHECK(asked("GET")); /* known again */
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", WHOLE, 5));
}

static void test_http1__interim_responses_are_not_the_answer(void)
{
	start();
	CHECK(gives(REQ, "POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", WHOLE, 3));
	CHECK(gives(RESP, "HTTP/1.1 100 Continue\r\n\r\n", OUT_HEAD | OUT_INTERIM, 0));
	CHECK_INT(out.key, 1);
	CHECK(gives(RESP, "HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n", OUT_HEAD | OUT_INTERIM, 0));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", WHOLE, 1));
	CHECK_INT(out.key, 1);
}

static void test_http1__an_upgrade_ends_http(void)
{
	const char *ask = "GET / HTTP/1.1\r\nConnection: x, upgrade\r\nUpgrade: websocket\r\n\r\n";

	start();
	CHECK(gives(REQ, ask, WHOLE, 0));
	CHECK_INT(feed(REQ, "\x81\x80zzzz"), 0); /* the client may not wait: nothing is said yet */
	CHECK(gives(RESP, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", WHOLE | OUT_OPAQUE, 0));
	CHECK(gives(REQ, "\x81\x80zzzz", 0, SKIP_TO_END));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\n\r\n", 0, SKIP_TO_END));
	start();
	CHECK(gives(REQ, ask, WHOLE, 0));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", WHOLE, 1)); /* declined */
	CHECK(asked("GET"));
}

static void test_http1__connect_opens_a_tunnel(void)
{
	start();
	CHECK(gives(REQ, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", WHOLE, 0));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", WHOLE | OUT_OPAQUE, 0));
	start();
	CHECK(gives(REQ, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", WHOLE, 0));
	CHECK(gives(RESP, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 7\r\n\r\n", WHOLE, 7));
}

static void test_http1__a_body_may_last_until_the_end(void)
{
	start();
	CHECK(asked("GET"));
	CHECK(!http1_ops.finish(&memory, RESP, &out));
	CHECK(gives(RESP, "HTTP/1.0 200 OK\r\n\r\n", OUT_HEAD, SKIP_TO_END));
	CHECK(http1_ops.finish(&memory, RESP, &out));
	CHECK(out.flags == OUT_END && out.key == 1 && out.type == MSG_RESPONSE);
	CHECK(!http1_ops.finish(&memory, RESP, &out));
	start();
	CHECK(asked("GET"));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", OUT_HEAD, SKIP_TO_END));
}

static void test_http1__contradictions_are_out_of_step(void)
{
	static const char *const fields[] = {
		"Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5",
		"Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5, 6", "Content-Length: +5", "Content-Length: 5 5",
		"Content-Length:", "Content-Length: -1", "Content-Length: 0x5", "Content-Length: 18446744073709551616",
		"Transfer-Encoding: gzip", "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: chunked, chunked",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding:", "Transfer-Encoding: xchunked",
		"Content-Length : 5", "Transfer-Encoding : chunked", "Content Length: 5",
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		char text[256];

		start();
		snprintf(text, sizeof(text), "POST /%zu HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
			 i, fields[i]);
		if (feed(REQ, text) != -EPROTO) {
			printf("# believed: %s\n", fields[i]);
			tap_bad = true;
		}
		CHECK_INT(http1_ops.resync(&memory, REQ, slice_str(text)), -EAGAIN); /* nothing of it is believed */
		CHECK_INT(http1_ops.resync(&memory, REQ, SLICE("GET /next HTTP/1.1\r\n\r\n")), 0);
		CHECK(asked("GET"));
	}
}

static void test_http1__the_same_length_twice_is_one(void)
{
	start();
	CHECK(gives(REQ, "POST / HTTP/1.1\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n", WHOLE, 5));
	CHECK(gives(REQ, "POST / HTTP/1.1\r\nContent-Length: 5,5\r\n\r\n", WHOLE, 5));
}

static void test_http1__a_response_waits_for_its_request(void)
{
	start();
	CHECK_INT(feed(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), -EAGAIN);
	CHECK(asked("GET"));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE, 0));
	CHECK_INT(out.key, 1);
	CHECK_INT(feed(RESP, "HTTP/1.1 200 OK\r\n"), -EAGAIN);
	CHECK(http1_ops.answers(&memory, 0));
	CHECK_INT(feed(RESP, "HTTP/1.1 408 Requ"), 0);
	CHECK(gives(RESP, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", WHOLE | OUT_ORPHAN, 0));
	CHECK_INT(out.key, 0);
	CHECK_INT(feed(RESP, "HTTP/1.1 200 OK\r\n"), -EAGAIN); /* once */
	CHECK_INT(feed(RESP, "SSH-2.0-x"), -EPROTO);
}

static void test_http1__the_caller_knows_from_times_whose_answer_it_is(void)
{
	start();
	for (int i = 0; i < 3; i++)
		CHECK(asked("GET"));
	CHECK(http1_ops.answers(&memory, 0)); /* it began before all of them */
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE | OUT_ORPHAN, 0));
	CHECK(http1_ops.answers(&memory, 2));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE, 0));
	CHECK_INT(out.key, 2);
	CHECK(!http1_ops.answers(&memory, 2));
	CHECK(!http1_ops.answers(&memory, 4));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE, 0));
	CHECK_INT(out.key, 3);
}

static void test_http1__an_orphans_body_is_seen_from_what_follows(void)
{
	const char *head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";

	start();
	http1_ops.resync(&memory, RESP, SLICE("")); /* joined in the middle */
	CHECK_INT(http1_ops.resync(&memory, RESP, slice_str(head)), 0);
	CHECK(gives(RESP, head, OUT_HEAD | OUT_ORPHAN, 0));
	CHECK(gives(RESP, "ab", OUT_END, 3));
	CHECK(gives(RESP, head, OUT_HEAD | OUT_ORPHAN, 0)); /* to HEAD: the next one follows at once */
	CHECK_INT(feed(RESP, "HTTP"), 0);
	CHECK(gives(RESP, "HTTP/1.1 304 Not Modified\r\n\r\n", WHOLE | OUT_ORPHAN, 0));
}

static void test_http1__lost_responses_void_what_waits(void)
{
	start();
	CHECK(asked("GET"));
	CHECK(asked("GET"));
	CHECK_INT(http1_ops.resync(&memory, RESP, SLICE("rest of a body\r\n\r\nHTTP/1.1 200 OK\r\n")), 18);
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE | OUT_ORPHAN, 0));
	CHECK(asked("GET"));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE, 0));
	CHECK_INT(out.key, 3);
	CHECK_INT(feed(RESP, "HTTP/1.1 200 OK\r\n"), -EAGAIN);
}

static void test_http1__a_voided_request_can_be_named(void)
{
	start();
	for (int i = 0; i < 3; i++)
		CHECK(asked("GET"));
	CHECK_INT(http1_ops.resync(&memory, RESP, SLICE("HTTP/1.1 200 OK\r\n")), 0);
	CHECK(http1_ops.answers(&memory, 2));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE, 0));
	CHECK_INT(out.key, 2);
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE, 0));
	CHECK_INT(out.key, 3);
}

static void test_http1__lost_requests_leave_those_that_wait(void)
{
	start();
	CHECK(asked("GET"));
	CHECK_INT(http1_ops.resync(&memory, REQ, SLICE("")), -EAGAIN);
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE, 0));
	CHECK_INT(out.key, 1);
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE | OUT_ORPHAN, 0));
	CHECK_INT(http1_ops.resync(&memory, REQ, SLICE("GET / HTTP/1.1\r\n")), 0);
	CHECK(asked("GET"));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE, 0));
	CHECK_INT(out.key, 2);
}

static void test_http1__resync_does_not_invent(void)
{
	static const char *const none[] = {
		"", "plain text", "line\nGET / HTTP/1.1\r\n\r\n", "head: x\r\n\r\nGET / HTTP/1.1\r\n\r\n", "ET / HTTP/1.1\r\n",
		"GET / HTTP/2.0\r\n", "GET /\r\n", "get / HTTP/1.1\r\n", "OST", "GET  / HTTP/1.1\r\n", "the GET / HTTP/1.1\r\n",
		"GET / HTTP/1.1 \r\n", "HTTP/1.1 200 OK\r\n",
	};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		start();
		CHECK(asked("GET"));
		CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE, 0));
		CHECK_INT(http1_ops.resync(&memory, REQ, slice_str(none[i])), -EAGAIN);
	}
	CHECK_INT(http1_ops.resync(&memory, REQ, SLICE("PROPFIND /x HTTP/1.1\r\n")), 0);
	start();
	CHECK_INT(http1_ops.resync(&memory, REQ, SLICE("DEL")), 0); /* may become one */
}

static void test_http1__sides_taken_wrong_are_corrected(void)
{
	start();
	/* in the middle of a response whose body is a transcript of a request */
	CHECK_INT(http1_ops.resync(&memory, RESP, SLICE("GET /in-a-body HTTP/1.1\r\n\r\n")), 0);
	CHECK(gives(RESP, "GET /in-a-body HTTP/1.1\r\n\r\n", WHOLE, 0));
	CHECK_INT(feed(RESP, "HTTP/1.1 200 OK\r\n\r\n"), -EPROTO);
	http1_ops.resync(&memory, RESP, SLICE("HTTP/1.1 200 OK\r\n\r\n"));
	CHECK_INT(http1_ops.resync(&memory, RESP, SLICE("HTTP/1.1 200 OK\r\n\r\n")), 0);
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE | OUT_ORPHAN, 0));
	CHECK(asked("GET"));
	CHECK(gives(RESP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WHOLE, 0));
}

static enum sniff sniff(const char *text)
{
	return http1_ops.sniff(slice_str(text), REQ);
}

static void test_http1__sniffing(void)
{
	CHECK_INT(sniff("GET /"), SNIFF_YES);
	CHECK_INT(sniff("GET / HTTP/1.1\r\n"), SNIFF_YES);
	CHECK_INT(sniff("\r\nGET / HTTP/1.0\n"), SNIFF_YES);
	CHECK_INT(sniff("BREW /pot HTTP/1.1\r\n"), SNIFF_YES);
	CHECK_INT(sniff("CONNECT a:443 HTTP/1.1\r\n"), SNIFF_YES);
	CHECK_INT(sniff("HTTP/1.1 200 OK"), SNIFF_YES);
	CHECK_INT(sniff("HTTP/1.1 200\r"), SNIFF_YES);
	CHECK_INT(sniff(""), SNIFF_MORE);
	CHECK_INT(sniff("G"), SNIFF_MORE);
	CHECK_INT(sniff("H"), SNIFF_MORE);
	CHECK_INT(sniff("HTTP/1."), SNIFF_MORE);
	CHECK_INT(sniff("BREW /pot HTT"), SNIFF_MORE);
	CHECK_INT(sniff("GET http://a"), SNIFF_MORE);
	CHECK_INT(sniff("OPTIONS rtsp://a/b RTSP/1.0\r\n"), SNIFF_NO);
	CHECK_INT(sniff("GET /x ICE/1.0\r\n"), SNIFF_NO);
	CHECK_INT(sniff("GET /\r\n"), SNIFF_NO);
	CHECK_INT(sniff("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), SNIFF_NO);
	CHECK_INT(sniff("EHLO a.example\r\n"), SNIFF_NO);
	CHECK_INT(sniff("SSH-2.0-OpenSSH_9.2p1\r\n"), SNIFF_NO);
	CHECK_INT(sniff("*1\r\n$4\r\nPING\r\n"), SNIFF_NO);
	CHECK_INT(sniff("\x16\x03\x01\x02"), SNIFF_NO);
	CHECK_INT(sniff("HTTP/2.0 200"), SNIFF_NO);
	CHECK_INT(sniff("GET /a b HTTP/1.1\r\n"), SNIFF_NO);
	CHECK_INT(sniff("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ"), SNIFF_NO);
}

static void test_tls__sniffing(void)
{
	CHECK_INT(proto_sniff_tls(SLICE("\x16\x03\x01\x02\x00\x01")), SNIFF_YES);
	CHECK_INT(proto_sniff_tls(SLICE("\x17\x03\x03\x00\x20")), SNIFF_YES);
	CHECK_INT(proto_sniff_tls(SLICE("\x16\x03")), SNIFF_MORE);
	CHECK_INT(proto_sniff_tls(SLICE("")), SNIFF_MORE);
	CHECK_INT(proto_sniff_tls(SLICE("\x16\x04")), SNIFF_NO);
	CHECK_INT(proto_sniff_tls(SLICE("\x16\x03\x01\x7f\xff")), SNIFF_NO);
	CHECK_INT(proto_sniff_tls(SLICE("\x16\x03\x01\x00\x00")), SNIFF_NO);
	CHECK_INT(proto_sniff_tls(SLICE("GET")), SNIFF_NO);
}

static void test_proto__rows_are_found_by_name(void)
{
	CHECK(proto_find(SLICE("http1")) == &http1_ops);
	CHECK(!proto_find(SLICE("http")));
}

int main(void)
{
	RUN(test_http1__a_length_is_passed_over);
	RUN(test_http1__chunks_need_not_be_captured);
	RUN(test_http1__bad_chunks_are_out_of_step);
	RUN(test_http1__the_request_frames_the_response);
	RUN(test_http1__pipelined_requests_are_answered_in_order);
	RUN(test_http1__more_requests_than_remembered_stay_in_order);
	RUN(test_http1__interim_responses_are_not_the_answer);
	RUN(test_http1__an_upgrade_ends_http);
	RUN(test_http1__connect_opens_a_tunnel);
	RUN(test_http1__a_body_may_last_until_the_end);
	RUN(test_http1__contradictions_are_out_of_step);
	RUN(test_http1__the_same_length_twice_is_one);
	RUN(test_http1__a_response_waits_for_its_request);
	RUN(test_http1__the_caller_knows_from_times_whose_answer_it_is);
	RUN(test_http1__an_orphans_body_is_seen_from_what_follows);
	RUN(test_http1__lost_responses_void_what_waits);
	RUN(test_http1__a_voided_request_can_be_named);
	RUN(test_http1__lost_requests_leave_those_that_wait);
	RUN(test_http1__resync_does_not_invent);
	RUN(test_http1__sides_taken_wrong_are_corrected);
	RUN(test_http1__sniffing);
	RUN(test_tls__sniffing);
	RUN(test_proto__rows_are_found_by_name);
	return tap_done();
}
