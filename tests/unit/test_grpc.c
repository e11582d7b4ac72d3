// SPDX-License-Identifier: Apache-2.0
/* What spans say of gRPC calls: from whatever end they came to, and with whatever was not seen. */
#include "proto/grpc.h"

#include "base/scope.h"
#include "proto/semconv.h"
#include "tap.h"

static struct arena_pool pool;
static struct arena arena;
static struct description d;
static struct describe_config show;
static struct http2_message req, resp;
static struct call call;

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

/* A unary call that was answered with OK; tests change it. */
static void fresh(bool server)
{
	req = (struct http2_message){ .http = { .m = { .type = MSG_REQUEST }, .major = 2, .method = SLICE("POST"),
						.target = SLICE("/shop.v1.Cart/Add") } };
	resp = (struct http2_message){ .http = { .m = { .type = MSG_RESPONSE }, .major = 2, .status = 200 },
				       .trailers = true, .end = { .whole = true } };
	req.http.known[H1_CONTENT_TYPE] = SLICE("application/grpc+proto");
	req.http.known[H1_SCHEME] = SLICE("http");
	req.http.known[H1_AUTHORITY] = SLICE("cart.example:50051");
	resp.http.known[H1_CONTENT_TYPE] = SLICE("application/grpc");
	resp.http.known[H1_GRPC_STATUS] = SLICE("0");
	call = (struct call){ .req = &req.http.m, .resp = &resp.http.m, .server = server, .end = CALL_ANSWERED,
			      .conn = { .family = FAM_INET, .remote = { .addr = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 7 }, .port = 41000 } } };
}

static void describe(void)
{
	arena_fini(&arena);
	d = (struct description){ 0 };
	if (!describe_init(&d, &arena, &show))
		http_fill(&d, &call);
	semconv_apply(&d, call.server);
}

static void test_grpc__content_types(void)
{
	static const char *const yes[] = { "application/grpc", "application/grpc+proto", "application/grpc;x=y", "Application/gRPC+json",
					   "application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text",
					   "application/grpc-web-text+proto" };
	static const char *const no[] = { "", "application/grp", "application/grpcx", "application/grpc-webx", "application/json",
					  "application/grpc-web-textual" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		CHECK(grpc_content_type(slice_str(yes[i])));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		CHECK(!grpc_content_type(slice_str(no[i])));
}

static void test_grpc__a_call(void)
{
	for (int server = 0; server < 2; server++) {
		fresh(server);
		describe();
		CHECK_SLICE(d.name, "shop.v1.Cart/Add");
		IS("rpc.system.name", "grpc");
		IS("rpc.method", "shop.v1.Cart/Add");
		IS("rpc.response.status_code", "OK");
		IS("server.address", "cart.example");
		CHECK_INT(number_of("server.port"), 50051);
		IS("network.peer.address", "10.0.0.7");
		CHECK_INT(number_of("network.peer.port"), 41000);
		CHECK_INT(d.status, STATUS_UNSET);
		ABSENT("error.type");
		ABSENT("http.request.method");
		ABSENT("url.path");
		ABSENT("rpc.service");
	}
}

/* The table of the semantic conventions: which codes are a server's errors. A client's are all but OK. */
static void test_grpc__codes_by_kind(void)
{
	static const char *const names[GRPC_CODES] = {
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
		"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
		"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	};
	static const char servers[] = "00101000000011110";
	char text[8];

	for (int code = 0; code < GRPC_CODES; code++) {
		for (int server = 0; server < 2; server++) {
			bool error = server ? servers[code] == '1' : code != 0;

			fresh(server);
			snprintf(text, sizeof(text), "%d", code);
			resp.http.known[H1_GRPC_STATUS] = slice_str(text);
			resp.http.known[H1_GRPC_MESSAGE] = SLICE("as asked");
			describe();
			IS("rpc.response.status_code", names[code]);
			IS("rpc.method", "shop.v1.Cart/Add");
			CHECK_INT(d.status, error ? STATUS_ERROR : STATUS_UNSET);
			IS("error.type", error ? names[code] : "(none)");
		}
	}
}

static void test_grpc__strange_statuses(void)
{
	fresh(true);
	resp.http.known[H1_GRPC_STATUS] = SLICE("17");
	describe();
	IS("rpc.response.status_code", "17");
	CHECK_INT(d.status, STATUS_ERROR);
	resp.http.known[H1_GRPC_STATUS] = SLICE("-1");
	describe();
	IS("rpc.response.status_code", "UNKNOWN");
	resp.http.known[H1_GRPC_STATUS] = SLICE("99999999999999999999");
	describe();
	IS("rpc.response.status_code", "UNKNOWN");
}

static void test_grpc__no_status(void)
{
	static const struct {
		uint16_t http;
		const char *name;
	} rows[] = { { 200, "UNKNOWN" }, { 400, "INTERNAL" }, { 401, "UNAUTHENTICATED" }, { 403, "PERMISSION_DENIED" },
		     { 404, "UNIMPLEMENTED" }, { 429, "UNAVAILABLE" }, { 431, "INTERNAL" }, { 502, "UNAVAILABLE" },
		     { 503, "UNAVAILABLE" }, { 504, "UNAVAILABLE" }, { 500, "UNKNOWN" }, { 0, "(none)" } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fresh(false);
		resp.http.known[H1_GRPC_STATUS] = SLICE_NONE;
		resp.http.status = rows[i].http;
		describe();
		IS("rpc.response.status_code", rows[i].name);
	}
}

/* Where the trailers may have been there unseen there is no status to map. */
static void test_grpc__status_hidden(void)
{
	for (int way = 0; way < 5; way++) {
		fresh(false);
		resp.http.known[H1_GRPC_STATUS] = SLICE_NONE;
		if (way == 0)
			resp.unknown = HTTP2_UNKNOWN(H1_GRPC_STATUS);
		else if (way == 1)
			resp.unknown = HTTP2_UNKNOWN_NAMES;
		else if (way == 2)
			resp.http.m.truncated = true;
		else if (way == 3)
			resp.end.whole = false;
		else
			call.end = CALL_TIMEOUT;
		describe();
		ABSENT("rpc.response.status_code");
		ABSENT("error.type");
		CHECK_INT(d.status, STATUS_UNSET);
	}
}

static void test_grpc__resets(void)
{
	static const struct {
		uint8_t by;
		uint32_t code;
		const char *name;
	} rows[] = { { RESET_BY_SERVER, 0, "INTERNAL" }, { RESET_BY_SERVER, 1, "INTERNAL" }, { RESET_BY_SERVER, 2, "INTERNAL" },
		     { RESET_BY_SERVER, 5, "UNKNOWN" }, { RESET_BY_SERVER, 7, "UNAVAILABLE" }, { RESET_BY_SERVER, 8, "CANCELLED" },
		     { RESET_BY_SERVER, 11, "RESOURCE_EXHAUSTED" }, { RESET_BY_SERVER, 12, "PERMISSION_DENIED" },
		     { RESET_BY_SERVER, 99, "UNKNOWN" }, { RESET_BY_CLIENT, 8, "CANCELLED" }, { RESET_BY_GOAWAY, 0, "UNAVAILABLE" } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fresh(false);
		resp.http.known[H1_GRPC_STATUS] = SLICE_NONE;
		resp.http.status = 0;
		resp.end = (struct http2_end){ .reset = rows[i].by, .code = rows[i].code };
		describe();
		IS("rpc.response.status_code", rows[i].name);
		resp.http.known[H1_GRPC_STATUS] = SLICE("0"); /* what the server said first counts */
		describe();
		IS("rpc.response.status_code", "OK");
	}
}

static void test_grpc__deadlines(void)
{
	fresh(false);
	resp.http.known[H1_GRPC_STATUS] = SLICE_NONE;
	resp.end = (struct http2_end){ .reset = RESET_BY_CLIENT, .code = 8 };
	req.http.known[H1_GRPC_TIMEOUT] = SLICE("100m");
	call.took = 60000000;
	describe();
	IS("rpc.response.status_code", "CANCELLED");
	CHECK_INT(number_of("spandrel.grpc.timeout_ms"), 100);
	call.took = 99500000; /* the header was written some time before it was seen */
	describe();
	IS("rpc.response.status_code", "DEADLINE_EXCEEDED");
	call.server = true;
	describe();
	CHECK_INT(d.status, STATUS_ERROR);
}

static void test_grpc__timeouts(void)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} rows[] = { { "1H", 3600000000000 }, { "2M", 120000000000 }, { "3S", 3000000000 }, { "4m", 4000000 }, { "5u", 5000 },
		     { "6n", 6 }, { "99999999H", UINT64_MAX }, { "99999999S", 99999999000000000 }, { "0S", 0 }, { "", 0 }, { "S", 0 },
		     { "1", 0 }, { "1s", 0 }, { "123456789S", 0 }, { "-1S", 0 }, { "1 S", 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		CHECK_INT(grpc_timeout(slice_str(rows[i].text)), rows[i].ns);
}

static void test_grpc__broken_connection(void)
{
	fresh(false);
	call.resp = NULL;
	call.end = CALL_RESET;
	describe();
	IS("rpc.response.status_code", "UNAVAILABLE");
	IS("error.type", "UNAVAILABLE");
	call.server = true; /* what the server would have said was not sent */
	describe();
	ABSENT("rpc.response.status_code");
	IS("error.type", "connection_reset");
}

/* Joined in mid-connection: everything comes by references to a table that nobody saw being made. */
static void test_grpc__unknown_path(void)
{
	fresh(false);
	req.http.target = req.http.known[H1_CONTENT_TYPE] = req.http.known[H1_AUTHORITY] = SLICE_NONE;
	req.unknown = HTTP2_UNKNOWN_NAMES;
	describe();
	CHECK_SLICE(d.name, "grpc");
	IS("rpc.system.name", "grpc");
	IS("rpc.response.status_code", "OK");
	ABSENT("rpc.method");
	ABSENT("rpc.method_original");
	ABSENT("server.address"); /* and not the peer's */
	resp.http.known[H1_CONTENT_TYPE] = resp.http.known[H1_GRPC_STATUS] = SLICE_NONE;
	describe(); /* nothing says that it is gRPC */
	CHECK_SLICE(d.name, "POST");
	IS("http.request.method", "POST");
	ABSENT("url.full");
}

static void test_grpc__unknown_methods(void)
{
	fresh(true);
	resp.http.known[H1_GRPC_STATUS] = SLICE("12");
	resp.http.known[H1_GRPC_MESSAGE] = SLICE("Method not found!");
	describe();
	CHECK_SLICE(d.name, "grpc");
	IS("rpc.method", "_OTHER");
	IS("rpc.method_original", "shop.v1.Cart/Add");
	call.server = false; /* a client knows what it calls */
	describe();
	IS("rpc.method", "shop.v1.Cart/Add");
	fresh(true);
	req.http.target = SLICE("/nonsense");
	describe();
	IS("rpc.method", "_OTHER");
	IS("rpc.method_original", "/nonsense");
}

static void test_grpc__messages(void)
{
	fresh(true);
	resp.end.sent[0] = (struct grpc_count){ .messages = 3, .bytes = 30, .compressed = 2 };
	resp.end.sent[1] = (struct grpc_count){ .messages = 1, .bytes = 7 };
	describe();
	CHECK_INT(number_of("spandrel.grpc.request.messages"), 3);
	CHECK_INT(number_of("spandrel.grpc.request.bytes"), 30);
	CHECK_INT(number_of("spandrel.grpc.request.compressed"), 2);
	CHECK_INT(number_of("spandrel.grpc.response.messages"), 1);
	CHECK_INT(number_of("spandrel.grpc.response.bytes"), 7);
	ABSENT("spandrel.grpc.response.compressed");
	IS("spandrel.grpc.streaming", "client");
	resp.end.sent[1].messages = 2;
	describe();
	IS("spandrel.grpc.streaming", "bidi");
	resp.end.sent[0].lost = true; /* "server" would be half of it */
	describe();
	ABSENT("spandrel.grpc.streaming");
	ABSENT("spandrel.grpc.request.messages");
}

static struct http1_captured lines[2];

static void test_grpc__metadata(void)
{
	const struct attr *a;

	fresh(true);
	lines[0] = (struct http1_captured){ 0, SLICE("x-tenant-id"), SLICE("one") };
	lines[1] = (struct http1_captured){ 0, SLICE("x-tenant-id"), SLICE("two") };
	req.http.captured = lines;
	req.http.n_captured = 2;
	describe();
	a = describe_find(&d, "rpc.request.metadata.x-tenant-id");
	REQUIRE(a && a->type == ATTR_STRINGS && a->strings.n == 2);
	CHECK_SLICE(a->strings.v[1], "two");
	ABSENT("http.request.header.x-tenant-id");
}

static void test_grpc__older_names(void)
{
	fresh(false);
	resp.http.known[H1_GRPC_STATUS] = SLICE("5");
	req.http.captured = lines;
	req.http.n_captured = 1;
	show.semconv = SEMCONV_LEGACY;
	describe();
	IS("rpc.system", "grpc");
	IS("rpc.service", "shop.v1.Cart");
	IS("rpc.method", "Add");
	CHECK_INT(number_of("rpc.grpc.status_code"), 5);
	IS("net.peer.name", "cart.example");
	CHECK_INT(number_of("net.peer.port"), 50051);
	CHECK(describe_find(&d, "rpc.grpc.request.metadata.x-tenant-id"));
	ABSENT("rpc.system.name");
	ABSENT("rpc.response.status_code");
	ABSENT("server.address");
	show.semconv = SEMCONV_LEGACY | SEMCONV_STABLE;
	describe();
	IS("rpc.method", "shop.v1.Cart/Add");
	IS("rpc.service", "shop.v1.Cart");
	IS("rpc.system", "grpc");
	IS("rpc.system.name", "grpc");
	CHECK_INT(number_of("rpc.grpc.status_code"), 5);
	IS("rpc.response.status_code", "NOT_FOUND");
	show.semconv = 0;
}

static void test_grpc__older_names_of_http(void)
{
	fresh(true);
	req.http.known[H1_CONTENT_TYPE] = SLICE("application/json");
	req.http.known[H1_USER_AGENT] = SLICE("curl");
	req.http.target = SLICE("/a?b=c");
	req.http.captured = lines;
	req.http.n_captured = 1;
	show.semconv = SEMCONV_LEGACY;
	describe();
	IS("http.method", "POST");
	IS("http.target", "/a?b=REDACTED");
	IS("http.scheme", "http");
	IS("http.flavor", "2.0");
	IS("http.user_agent", "curl");
	IS("http.client_ip", "10.0.0.7");
	IS("net.host.name", "cart.example");
	CHECK_INT(number_of("net.host.port"), 50051);
	CHECK_INT(number_of("http.status_code"), 200);
	IS("net.sock.peer.addr", "10.0.0.7");
	CHECK(describe_find(&d, "http.request.header.x_tenant_id"));
	ABSENT("url.path");
	ABSENT("url.query");
	ABSENT("http.request.method");
	ABSENT("network.protocol.version");
	show.semconv = SEMCONV_LEGACY | SEMCONV_STABLE;
	describe();
	IS("url.path", "/a");
	IS("http.target", "/a?b=REDACTED");
	IS("network.protocol.version", "2");
	show.semconv = SEMCONV_LEGACY;
	req.http.method = SLICE("PURGE");
	describe();
	IS("http.method", "PURGE");
	ABSENT("http.request.method_original");
	show.semconv = 0;
}

/* ---- HTTP/2 that is no gRPC ---- */

static void plain(bool server)
{
	fresh(server);
	req.http.method = SLICE("GET");
	req.http.known[H1_CONTENT_TYPE] = SLICE_NONE;
	resp.http.known[H1_CONTENT_TYPE] = resp.http.known[H1_GRPC_STATUS] = SLICE_NONE;
}

static void test_grpc__http2(void)
{
	plain(false);
	describe();
	CHECK_SLICE(d.name, "GET");
	IS("url.full", "http://cart.example:50051/shop.v1.Cart/Add");
	IS("network.protocol.version", "2");
	CHECK_INT(number_of("http.response.status_code"), 200);
	plain(true);
	req.unknown = HTTP2_UNKNOWN_NAMES; /* a proxy may have named somebody else */
	describe();
	ABSENT("client.address");
	ABSENT("server.address");
	ABSENT("url.scheme");
	IS("url.path", "/shop.v1.Cart/Add");
	plain(false);
	req.http.method = req.http.target = SLICE_NONE;
	req.unknown = HTTP2_UNKNOWN_METHOD | HTTP2_UNKNOWN_PATH;
	describe();
	CHECK_SLICE(d.name, "HTTP");
	ABSENT("http.request.method");
	ABSENT("http.request.method_original");
	ABSENT("url.full");
}

static void test_grpc__http2_resets(void)
{
	plain(false);
	resp.end = (struct http2_end){ .reset = RESET_BY_CLIENT, .code = 8 };
	describe();
	CHECK_INT(d.status, STATUS_UNSET); /* on purpose */
	resp.end = (struct http2_end){ .reset = RESET_BY_SERVER, .code = 8 };
	describe();
	CHECK_INT(d.status, STATUS_ERROR);
	resp.end = (struct http2_end){ .reset = RESET_BY_SERVER, .code = 4711 };
	describe();
	IS("error.type", "stream_reset");
}

static void test_grpc__http2_connect(void)
{
	plain(false);
	req.http.method = SLICE("CONNECT");
	req.http.target = req.http.known[H1_SCHEME] = SLICE_NONE;
	describe();
	IS("server.address", "cart.example");
	req.http.target = SLICE("/chat"); /* extended: RFC 8441 */
	req.http.known[H1_SCHEME] = SLICE("https");
	call.server = true;
	describe();
	IS("url.path", "/chat");
	IS("url.scheme", "https");
}

int main(void)
{
	arena_pool_init(&pool, 1 << 20);
	arena_init(&arena, &pool);
	RUN(test_grpc__content_types);
	RUN(test_grpc__a_call);
	RUN(test_grpc__codes_by_kind);
	RUN(test_grpc__strange_statuses);
	RUN(test_grpc__no_status);
	RUN(test_grpc__status_hidden);
	RUN(test_grpc__resets);
	RUN(test_grpc__deadlines);
	RUN(test_grpc__timeouts);
	RUN(test_grpc__broken_connection);
	RUN(test_grpc__unknown_path);
	RUN(test_grpc__unknown_methods);
	RUN(test_grpc__messages);
	RUN(test_grpc__metadata);
	RUN(test_grpc__older_names);
	RUN(test_grpc__older_names_of_http);
	RUN(test_grpc__http2);
	RUN(test_grpc__http2_resets);
	RUN(test_grpc__http2_connect);
	arena_fini(&arena);
	arena_pool_fini(&pool);
	return tap_done();
}
