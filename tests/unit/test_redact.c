// SPDX-License-Identifier: Apache-2.0
/* Nothing secret passes the gate, whoever wrote the description. */
#include "tap.h"

#include "base/scope.h"
#include "proto/redact.h"

static struct arena_pool pool;
static struct arena arena;
static struct describe_config config;
static struct description d;

static const struct slice keep[] = { { "page", 4 } };
static const struct slice plain[] = { { "x-auth-mode", 11 } };

static void start(void)
{
	arena_fini(&arena);
	config = (struct describe_config){ .keep_query = keep, .n_keep_query = 1, .plain_headers = plain, .n_plain_headers = 1 };
	if (describe_init(&d, &arena, &config))
		d = (struct description){ 0 };
}

static struct slice url(const char *key, const char *value)
{
	start();
	describe_str(&d, key, slice_str(value));
	redact_description(&d);
	return d.attrs[0].s;
}

/* User info whose @ was cut off with what follows. */
static void test_redact__cut_values(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "/fetch/https://user:secret@h", "/fetch/https://REDACTED:REDACTED" },
		{ "/fetch/https://u@h/path/further", "/fetch/https://REDACTED@h/" },
		{ "/fetch/of/any/thing/at/all/more", "/fetch/of/any/thing/at/all" },
		{ "/https://host", "/https://host" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		start();
		config.max_value = i == 1 ? 19 : 26;
		describe_str(&d, "url.path", slice_str(cases[i].in));
		redact_description(&d);
		CHECK_SLICE(d.attrs[0].s, cases[i].out);
	}
}

static struct slice header(const char *key, const char *value)
{
	struct slice one = slice_str(value);

	start();
	describe_strs(&d, slice_str(key), &one, 1);
	redact_description(&d);
	return d.attrs[0].strings.v[0];
}

static void test_redact__urls(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "http://h/p", "http://h/p" },
		{ "http://h:80/p?a=1&page=2", "http://h:80/p?a=REDACTED&page=2" },
		{ "http://u:s@h/p", "http://REDACTED:REDACTED@h/p" },
		{ "http://s@h/p?x", "http://REDACTED@h/p?REDACTED" },
		{ "http://u:s@x@h?a=s", "http://REDACTED:REDACTED@h?a=REDACTED" },
		{ "//u:s@h/", "//REDACTED:REDACTED@h/" },
		{ "http://h/fetch/https://u:s@i/p", "http://h/fetch/https://REDACTED:REDACTED@i/p" },
		{ "http://u:s@h/https://v:s@i/;jsessionid=s;jsessionid=s",
		  "http://REDACTED:REDACTED@h/https://REDACTED:REDACTED@i/;jsessionid=REDACTED;jsessionid=REDACTED" },
		{ "/mail/a@b.c", "/mail/a@b.c" },
		{ "http://h/a@b", "http://h/a@b" },
		{ "/p;jsessionid=s", "/p;jsessionid=REDACTED" },
		{ "/p;JSESSIONID=s;v=1/q?a=s", "/p;JSESSIONID=REDACTED;v=1/q?a=REDACTED" },
		{ "/p;jsessionid=", "/p;jsessionid=" },
		{ "/cb#access_token=s", "/cb#REDACTED" },
		{ "/doc#chapter", "/doc#chapter" },
		{ "/doc?a=s#chapter", "/doc?a=REDACTED#chapter" },
		{ "?a=s", "?a=REDACTED" },
		{ "?", "?" },
		{ "", "" },
		{ "//@/?&;#", "//@/?&;#" },
	};
	static const char *const keys[] = { "url.full", "url.path", "http.url", "http.target", "rpc.method_original" };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			CHECK_SLICE(url(keys[k], cases[i].in), cases[i].out);
}

static void test_redact__queries_and_what_is_none(void)
{
	CHECK_SLICE(url("url.query", "a=s&page=1"), "a=REDACTED&page=1");
	CHECK_SLICE(url("user_agent.original", "bot (+http://h/?id=1; x@y)"), "bot (+http://h/?id=1; x@y)");
	CHECK_SLICE(url("client.address", "::1"), "::1");
	start();
	describe_name(&d, SLICE("GET /p?token=s"));
	redact_description(&d);
	CHECK_SLICE(d.name, "GET /p?token=REDACTED");
}

static void test_redact__headers_by_name(void)
{
	static const char *const secret[] = { "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-csrf-token",
					      "x-amz-security-token", "x-client-secret", "x-session-id", "x-hub-signature-256", "x_api_key", "x_access_key" };
	static const char *const open[] = { "x-request-id", "content-type", "x-tenant", "idempotency-key", "x-auth-mode", "x_auth_mode" };
	static const char *const kinds[] = { "http.request.header.", "http.response.header.", "rpc.request.metadata.",
					     "rpc.grpc.response.metadata." };
	char key[128];

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (size_t i = 0; i < ARRAY_SIZE(secret); i++) {
			snprintf(key, sizeof(key), "%s%s", kinds[k], secret[i]);
			CHECK_SLICE(header(key, "s"), "REDACTED");
		}
		for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
			snprintf(key, sizeof(key), "%s%s", kinds[k], open[i]);
			CHECK_SLICE(header(key, "s"), "s");
		}
	}
}

static void test_redact__headers_that_hold_a_url(void)
{
	CHECK_SLICE(header("http.request.header.referer", "https://u:s@h/p?q=s#a=b"), "https://REDACTED:REDACTED@h/p?q=REDACTED#REDACTED");
	CHECK_SLICE(header("http.response.header.location", "/next?code=s"), "/next?code=REDACTED");
	CHECK_SLICE(header("http.request.header.x-what", "is this a?b=c"), "is this a?b=c");
	CHECK_SLICE(header("http.request.header.x-auth-mode", "/plain?a=b"), "/plain?a=b");
}

/* Every value of a header, and twice through the gate is once. */
static void test_redact__all_values_and_again(void)
{
	const struct slice values[] = { SLICE("s1"), SLICE("s2") };

	start();
	describe_strs(&d, SLICE("http.request.header.cookie"), values, 2);
	describe_str(&d, "url.full", SLICE("http://u:s@h/?a=s#b=s"));
	redact_description(&d);
	redact_description(&d);
	CHECK_SLICE(d.attrs[0].strings.v[0], "REDACTED");
	CHECK_SLICE(d.attrs[0].strings.v[1], "REDACTED");
	CHECK_SLICE(d.attrs[1].s, "http://REDACTED:REDACTED@h/?a=REDACTED#REDACTED");
	CHECK_SLICE(values[0], "s1");
}

static void test_redact__no_memory_no_secret(void)
{
	struct arena_pool small;
	struct arena a;

	arena_pool_init(&small, 2 * ARENA_BLOCK);
	arena_init(&a, &small);
	config = (struct describe_config){ 0 };
	REQUIRE(describe_init(&d, &a, &config) == 0);
	while (arena_alloc(&a, 16))
		;
	describe_str(&d, "url.full", SLICE("http://u:secret@h/?a=secret"));
	describe_str(&d, "url.query", SLICE("a=secret"));
	redact_description(&d);
	CHECK_SLICE(d.attrs[0].s, "REDACTED");
	CHECK_SLICE(d.attrs[1].s, "REDACTED");
	arena_fini(&a);
	arena_pool_fini(&small);
}

int main(void)
{
	arena_pool_init(&pool, 64 << 20);
	arena_init(&arena, &pool);
	RUN(test_redact__urls);
	RUN(test_redact__cut_values);
	RUN(test_redact__queries_and_what_is_none);
	RUN(test_redact__headers_by_name);
	RUN(test_redact__headers_that_hold_a_url);
	RUN(test_redact__all_values_and_again);
	RUN(test_redact__no_memory_no_secret);
	arena_fini(&arena);
	arena_pool_fini(&pool);
	return tap_done();
}
