// SPDX-License-Identifier: Apache-2.0
/* What a span says of an HTTP/1 call: names, status, attributes, and what must never stand in it. */
#include "tap.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/stats.h"
#include "proto/call.h"
#include "proto/describe.h"
#include "proto/http1.h"

static struct arena_pool pool;
static struct arena arena;
static struct description d;
static struct conn_info conn;
static const struct slice capture[] = { SLICE("x-request-id"), SLICE("x-correlation-id"), SLICE("content-type") };
static const struct proto_config config = { capture, 3 };
static struct describe_config show;
static char *session;

static const struct message *head_of(enum ev_dir from, const char *text)
{
	struct proto_out out;

	if (!text)
		return NULL;
	if (http1_ops.parse(session, from, slice_str(text), &out) <= 0) {
		printf("# not parsed: %s\n", text);
		tap_bad = true;
		return NULL;
	}
	return http1_ops.keep(out.msg, &arena);
}

/* Describes a call; response NULL: none was seen. */
static void call(bool server, const char *request, const char *response, enum call_end end)
{
	struct call c = { .proto = &http1_ops, .server = server, .end = (uint8_t)end, .conn = conn };

	arena_fini(&arena);
	memset(session, 0, http1_ops.session_size);
	http1_ops.init(session, &config);
	c.req = head_of(DIR_RECV, request);
	c.resp = head_of(DIR_SEND, response);
	d = (struct description){ 0 };
	if (c.req && !describe_init(&d, &arena, &show))
		http1_ops.fill(&d, &c);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static void server(const char *request)
{
	call(true, request, OK, CALL_ANSWERED);
}

static void client(const char *request)
{
	call(false, request, OK, CALL_ANSWERED);
}

#define IS(key, want) CHECK_SLICE(text_of(key), want)
#define ABSENT(key) CHECK(!describe_find(&d, key))

static struct slice text_of(const char *key)
{
	const struct attr *a = describe_find(&d, key);

	return a && a->type == ATTR_STRING ? a->s : SLICE("(none)");
}

static long long number_of(const char *key)
{
	const struct attr *a = describe_find(&d, key);

	return a && a->type == ATTR_INT ? a->i : -1;
}

static void remote(const char *text, uint16_t port)
{
	conn = (struct conn_info){ .family = strchr(text, '.') ? FAM_INET : FAM_INET6 };
	inet_pton(AF_INET6, text, conn.remote.addr);
	conn.remote.port = port;
}

static void test_fill__a_server_span(void)
{
	server("POST /cart/add?item=42&token=SECRET HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: curl/8\r\n\r\n");
	CHECK_SLICE(d.name, "POST");
	CHECK_INT(d.status, STATUS_UNSET);
	IS("http.request.method", "POST");
	CHECK_INT(number_of("http.response.status_code"), 200);
	IS("url.path", "/cart/add");
	IS("url.query", "item=REDACTED&token=REDACTED");
	IS("url.scheme", "http");
	IS("server.address", "shop.example");
	CHECK_INT(number_of("server.port"), 8080);
	IS("client.address", "192.0.2.1");
	IS("network.peer.address", "192.0.2.1");
	CHECK_INT(number_of("network.peer.port"), 40000);
	IS("network.protocol.version", "1.1");
	IS("user_agent.original", "curl/8");
	ABSENT("url.full");
	ABSENT("http.route");
	ABSENT("error.type");
	ABSENT("http.request.method_original");
	ABSENT("network.transport");
}

static void test_fill__a_client_span(void)
{
	client("GET /a/b?q=SECRET#part HTTP/1.0\r\nHost: api.example\r\nUser-Agent: x\r\n\r\n");
	CHECK_SLICE(d.name, "GET");
	IS("url.full", "http://api.example/a/b?q=REDACTED");
	IS("server.address", "api.example");
	CHECK_INT(number_of("server.port"), 80);
	IS("network.protocol.version", "1.0");
	IS("network.peer.address", "192.0.2.1");
	ABSENT("url.path");
	ABSENT("url.query");
	ABSENT("url.scheme");
	ABSENT("client.address");
	ABSENT("user_agent.original");
}

static void test_fill__unknown_methods(void)
{
	server("get / HTTP/1.1\r\nHost: h\r\n\r\n"); /* case-sensitive */
	CHECK_SLICE(d.name, "HTTP");
	IS("http.request.method", "_OTHER");
	IS("http.request.method_original", "get");
	server("QUERY / HTTP/1.1\r\nHost: h\r\n\r\n");
	CHECK_SLICE(d.name, "QUERY");
}

/* error: "" for none */
static void check_status(bool is_server, const char *response, enum call_end end, int status, const char *error)
{
	call(is_server, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", response, end);
	CHECK_INT(d.status, status);
	if (*error)
		IS("error.type", error);
	else
		ABSENT("error.type");
}

static void test_fill__status_by_kind(void)
{
	const char *s101 = "HTTP/1.1 101 Switching Protocols\r\n\r\n", *s302 = "HTTP/1.1 302 Found\r\n\r\n";
	const char *s404 = "HTTP/1.1 404 x\r\n\r\n", *s503 = "HTTP/1.1 503 x\r\n\r\n";

	for (int is_server = 0; is_server < 2; is_server++) {
		check_status(is_server, s101, CALL_ANSWERED, STATUS_UNSET, "");
		check_status(is_server, s302, CALL_ANSWERED, STATUS_UNSET, "");
		check_status(is_server, s503, CALL_ANSWERED, STATUS_ERROR, "503");
		check_status(is_server, NULL, CALL_CLOSED, STATUS_ERROR, "connection_closed");
		check_status(is_server, NULL, CALL_RESET, STATUS_ERROR, "connection_reset");
		check_status(is_server, s302, CALL_RESET, STATUS_ERROR, "connection_reset");
		CHECK_INT(number_of("http.response.status_code"), 302);
		check_status(is_server, NULL, CALL_TIMEOUT, STATUS_UNSET, "");
		check_status(is_server, NULL, CALL_CUT, STATUS_UNSET, "");
		CHECK_INT(number_of("http.response.status_code"), -1);
		check_status(is_server, s503, CALL_CUT, STATUS_ERROR, "503");
	}
	check_status(true, s404, CALL_ANSWERED, STATUS_UNSET, "");
	check_status(false, s404, CALL_ANSWERED, STATUS_ERROR, "404");
}

static void test_fill__forwarded_first_then_x_forwarded(void)
{
	server("GET / HTTP/1.1\r\nHost: in.example\r\nX-Forwarded-For: 203.0.113.9:1234, 10.0.0.1\r\n"
	       "X-Forwarded-Proto: https\r\nX-Forwarded-Host: out.example, other\r\n\r\n");
	IS("client.address", "203.0.113.9");
	IS("url.scheme", "https");
	IS("server.address", "out.example");
	CHECK_INT(number_of("server.port"), 443);
	IS("network.peer.address", "192.0.2.1");
	server("GET / HTTP/1.1\r\nHost: in.example\r\nX-Forwarded-For: 203.0.113.9\r\n"
	       "Forwarded: For=\"[2001:db8::7]:4711\";Proto=HTTPS ; host=\"f.example:8443\", for=10.0.0.1;host=no\r\n\r\n");
	IS("client.address", "2001:db8::7");
	IS("url.scheme", "https");
	IS("server.address", "f.example");
	CHECK_INT(number_of("server.port"), 8443);
}

static void test_fill__a_client_that_is_not_named_is_not_guessed(void)
{
	server("GET / HTTP/1.1\r\nHost: h\r\nForwarded: for=_hidden\r\n\r\n");
	ABSENT("client.address");
	server("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: unknown, 10.0.0.1\r\n\r\n");
	ABSENT("client.address");
	server("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: javascript\r\n\r\n");
	IS("url.scheme", "http");
}

/* client: address and port, or "" */
static void check_host(const char *host, const char *address, int port)
{
	char text[256];

	snprintf(text, sizeof(text), "GET /p HTTP/1.1\r\n%s%s\r\n\r\n", host ? "Host: " : "X: ", host ? host : "");
	client(text);
	if (*address) {
		IS("server.address", address);
		CHECK_INT(number_of("server.port"), port);
	} else {
		ABSENT("server.address");
		ABSENT("server.port");
		ABSENT("url.full");
	}
}

static void test_fill__hosts(void)
{
	check_host("a.example", "a.example", 80);
	check_host("a.example:", "a.example", 80);
	check_host("A_b-c.example:65535", "A_b-c.example", 65535);
	check_host("[2001:db8::1]", "2001:db8::1", 80);
	check_host("[2001:db8::1]:81", "2001:db8::1", 81);
	IS("url.full", "http://[2001:db8::1]:81/p");
	check_host("user:SECRET@a.example", "", 0);
	check_host("a.example:0", "", 0);
	check_host("a.example:99999", "", 0);
	check_host("a.example:8x", "", 0);
	check_host("a/b", "", 0);
	check_host("a b", "", 0);
	check_host("[::g]", "", 0);
	check_host("[::1", "", 0);
	check_host("2001:db8::1", "", 0);
	check_host(NULL, "192.0.2.1", 40000); /* a client asked at least this address */
	IS("url.full", "http://192.0.2.1:40000/p");
	remote("2001:db8::5", 80);
	check_host(NULL, "2001:db8::5", 80);
	IS("url.full", "http://[2001:db8::5]/p");
	remote("::ffff:192.0.2.1", 40000);
	server("GET / HTTP/1.0\r\n\r\n");
	ABSENT("server.address");
}

static void test_fill__target_forms(void)
{
	client("GET http://u:SECRET@abs.example:81/p?x=SECRET#SECRET HTTP/1.1\r\nHost: other\r\n\r\n");
	IS("url.full", "http://REDACTED:REDACTED@abs.example:81/p?x=REDACTED");
	IS("server.address", "abs.example");
	CHECK_INT(number_of("server.port"), 81);
	client("GET https://SECRET@abs.example HTTP/1.1\r\nHost: other\r\n\r\n");
	IS("url.full", "https://REDACTED@abs.example/");
	CHECK_INT(number_of("server.port"), 443);
	client("OPTIONS * HTTP/1.1\r\nHost: h:8080\r\n\r\n");
	IS("url.full", "http://h:8080");
	server("OPTIONS * HTTP/1.1\r\nHost: h:8080\r\n\r\n");
	IS("url.path", "*");
	server("GET http://a:SECRET@b@abs.example/x HTTP/1.1\r\nHost: other\r\n\r\n");
	IS("server.address", "abs.example");
	IS("url.path", "/x");
	client("CONNECT db.example:5432 HTTP/1.1\r\nHost: x\r\n\r\n");
	IS("server.address", "db.example");
	CHECK_INT(number_of("server.port"), 5432);
	client("GET u:SECRET@h/p HTTP/1.1\r\nHost: h\r\n\r\n"); /* no form at all */
	ABSENT("url.full");
}

static void test_fill__captured_headers(void)
{
	const struct attr *a;

	call(true, "GET / HTTP/1.1\r\nHost: h\r\nX-REQUEST-ID: one\r\nX-Correlation-Id: c\r\nx-request-id: two\r\n\r\n",
	     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: SECRET\r\n\r\n", CALL_ANSWERED);
	a = describe_find(&d, "http.request.header.x-request-id");
	REQUIRE(a && a->type == ATTR_STRINGS && a->strings.n == 2);
	CHECK_SLICE(a->strings.v[0], "one");
	CHECK_SLICE(a->strings.v[1], "two");
	a = describe_find(&d, "http.response.header.content-type");
	REQUIRE(a && a->strings.n == 1);
	CHECK_SLICE(a->strings.v[0], "text/plain");
	ABSENT("http.request.header.content-type");
}

static void test_fill__unix_sockets(void)
{
	conn = (struct conn_info){ .family = FAM_UNIX, .path_len = 13, .path = "/run/app.sock" };
	server("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	IS("network.transport", "unix");
	ABSENT("network.peer.address");
	ABSENT("network.peer.port");
	ABSENT("client.address");
	client("GET / HTTP/1.0\r\n\r\n");
	IS("server.address", "/run/app.sock");
	ABSENT("url.full");
	conn.path[0] = 0;
	client("GET / HTTP/1.0\r\n\r\n");
	IS("server.address", "@run/app.sock");
	remote("::ffff:192.0.2.1", 40000);
}

static bool shows(const char *secret)
{
	size_t n = strlen(secret);

	for (unsigned i = 0; i < d.n_attrs; i++) {
		const struct attr *a = &d.attrs[i];

		if (a->type == ATTR_STRING && memmem(a->s.p, a->s.n, secret, n))
			return true;
		for (size_t j = 0; a->type == ATTR_STRINGS && j < a->strings.n; j++)
			if (memmem(a->strings.v[j].p, a->strings.v[j].n, secret, n))
				return true;
	}
	return memmem(d.name.p, d.name.n, secret, n);
}

static void test_fill__planted_secrets_are_never_shown(void)
{
	static const char *const targets[] = {
		"/p?password=SECRET", "/p?a=1&b=SECRET&c", "/p?a=1;b=SECRET", "/p?=SECRET", "http://SECRET:SECRET@h/p",
		"http://SECRET@h/p?x=SECRET", "/p#SECRET", "/p?a=b#SECRET", "http://a:SECRET@b@h/?x=SECRET", "u:SECRET@h",
		"/p?x=SECRET?SECRET", "/p?x==SECRET", "https://h?SECRET_FREE&t=SECRET", "//h/p?x=SECRET",
	};
	char text[1024];

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		for (int is_server = 0; is_server < 2; is_server++) {
			snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer S3CRET\r\n"
				 "Cookie: a=S3CRET\r\nProxy-Authorization: S3CRET\r\nX-Api-Key: S3CRET\r\n"
				 "Referer: http://h/?x=S3CRET\r\nContent-Length: 7\r\n\r\nS3CRET!", targets[i]);
			call(is_server, text, "HTTP/1.1 200 OK\r\nSet-Cookie: S3CRET\r\nLocation: /?S3CRET\r\n\r\nS3CRET",
			     CALL_ANSWERED);
			CHECK(d.n_attrs > 5);
			if (strstr(targets[i], "SECRET_FREE")) /* a key without a value is a key */
				CHECK(!shows("t=SECRET"));
			else
				CHECK(!shows("SECRET"));
			CHECK(!shows("S3CRET"));
		}
	}
}

static void test_fill__kept_queries_and_long_values(void)
{
	static const struct slice keep[] = { SLICE("page") };
	uint64_t before = stats[STAT_attrs_cut];

	show = (struct describe_config){ .max_value = 12, .keep_query = keep, .n_keep_query = 1 };
	server("GET /0123456789abcdef?page=2&x=SECRET HTTP/1.1\r\nHost: h\r\n\r\n");
	IS("url.path", "/0123456789a");
	IS("url.query", "page=2&x=RED");
	CHECK_INT(stats[STAT_attrs_cut] - before, 2);
	show = (struct describe_config){ 0 };
}

int main(void)
{
	session = calloc(1, http1_ops.session_size);
	arena_pool_init(&pool, 1 << 20);
	arena_init(&arena, &pool);
	remote("::ffff:192.0.2.1", 40000);
	RUN(test_fill__a_server_span);
	RUN(test_fill__a_client_span);
	RUN(test_fill__unknown_methods);
	RUN(test_fill__status_by_kind);
	RUN(test_fill__forwarded_first_then_x_forwarded);
	RUN(test_fill__a_client_that_is_not_named_is_not_guessed);
	RUN(test_fill__hosts);
	RUN(test_fill__target_forms);
	RUN(test_fill__captured_headers);
	RUN(test_fill__unix_sockets);
	RUN(test_fill__planted_secrets_are_never_shown);
	RUN(test_fill__kept_queries_and_long_values);
	arena_fini(&arena);
	arena_pool_fini(&pool);
	free(session);
	return tap_done();
}
