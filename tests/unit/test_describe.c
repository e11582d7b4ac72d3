// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include <arpa/inet.h>

#include "base/stats.h"
#include "base/utf8.h"
#include "proto/describe.h"

static struct arena_pool pool;
static struct arena arena;
static struct describe_config config;
static struct description d;

static void start(size_t max_value)
{
	arena_fini(&arena);
	config = (struct describe_config){ .max_value = max_value };
	if (describe_init(&d, &arena, &config))
		d = (struct description){ 0 };
}

static struct slice value_of(const char *key)
{
	const struct attr *a = describe_find(&d, key);

	return a ? a->s : SLICE("(none)");
}

static void test_describe__values_are_cut_between_characters_and_counted(void)
{
	uint64_t before = stats[STAT_attrs_cut];

	start(5);
	describe_str(&d, "a", SLICE("12345"));
	describe_str(&d, "b", SLICE("123456"));
	describe_str(&d, "c", SLICE("1234\xc3\xa9"));	     /* é would end at 6 */
	describe_str(&d, "d", SLICE("12\xf0\x9f\x98\x80"));  /* so would the emoji */
	describe_str(&d, "e", SLICE("123\xff\xff"));	     /* becomes longer than it was */
	describe_str(&d, "f", SLICE("\x80\x80\x80\x80\x80\x80"));
	CHECK_SLICE(value_of("a"), "12345");
	CHECK_SLICE(value_of("b"), "12345");
	CHECK_SLICE(value_of("c"), "1234");
	CHECK_SLICE(value_of("d"), "12");
	CHECK_SLICE(value_of("e"), "123");
	CHECK_SLICE(value_of("f"), "\xef\xbf\xbd");
	CHECK_INT(stats[STAT_attrs_cut] - before, 5);
}

static void test_describe__bytes_that_are_no_utf8_are_replaced(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "caf\xe9", "caf\xef\xbf\xbd" },
		{ "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },		/* overlong / */
		{ "\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* surrogate */
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },		/* U+10FFFF */
		{ "12345678\xe2\x82", "12345678\xef\xbf\xbd\xef\xbf\xbd" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start(0);
		describe_str(&d, "v", slice_str(cases[i].in));
		CHECK_SLICE(value_of("v"), cases[i].out);
		CHECK(utf8_valid(value_of("v")));
	}
}

static void test_describe__the_first_value_of_a_key_stays(void)
{
	start(0);
	describe_str(&d, "k", SLICE("one"));
	describe_str(&d, "k", SLICE("two"));
	describe_int(&d, "n", 7);
	describe_bool(&d, "b", true);
	CHECK_INT(d.n_attrs, 3);
	CHECK_SLICE(value_of("k"), "one");
	CHECK(describe_find(&d, "n")->type == ATTR_INT && describe_find(&d, "n")->i == 7);
	CHECK(describe_find(&d, "b")->type == ATTR_BOOL && describe_find(&d, "b")->b);
	CHECK(!describe_find(&d, "x"));
}

static void test_describe__attributes_are_bounded(void)
{
	static char keys[DESCRIPTION_ATTRS + 3][8];

	start(0);
	for (int i = 0; i < DESCRIPTION_ATTRS + 3; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%d", i);
		describe_int(&d, keys[i], i);
	}
	CHECK_INT(d.n_attrs, DESCRIPTION_ATTRS);
	CHECK_INT(d.dropped_attrs, 3);
	for (int i = 0; i < DESCRIPTION_ATTRS; i++) { /* they have moved once */
		CHECK(describe_find(&d, keys[i]) == &d.attrs[i] && d.attrs[i].i == i);
		describe_int(&d, keys[i], -1);
		CHECK_INT(d.attrs[i].i, i);
	}
	CHECK_INT(d.dropped_attrs, 3); /* what is there already is not dropped */
}

static void test_describe__keys_alike_at_both_ends_are_two(void)
{
	start(0);
	describe_int(&d, "http.request.header.x-one", 1);
	describe_int(&d, "http.response.header.x-one", 2);
	describe_int(&d, "http.request_header.x-one", 3); /* its fingerprint is that of the first one */
	describe_int(&d, "http.request_header.x-one", 4);
	CHECK_INT(d.n_attrs, 3);
	CHECK_INT(describe_find(&d, "http.request_header.x-one")->i, 3);
	CHECK_INT(describe_find(&d, "http.request.header.x-one")->i, 1);
}

static void test_describe__lists_keep_their_order(void)
{
	static const struct slice values[] = { SLICE("a"), SLICE("\xff"), SLICE("") };
	const struct attr *a;

	start(0);
	describe_strs(&d, SLICE("http.request.header.x"), values, 3);
	a = describe_find(&d, "http.request.header.x");
	REQUIRE(a && a->type == ATTR_STRINGS && a->strings.n == 3);
	CHECK_SLICE(a->strings.v[0], "a");
	CHECK_SLICE(a->strings.v[1], "\xef\xbf\xbd");
	CHECK_SLICE(a->strings.v[2], "");
}

static void check_redacted(const char *in, const char *out)
{
	CHECK_SLICE(describe_redact_query(&d, slice_str(in)), out);
}

static void test_describe__query_values_are_redacted(void)
{
	struct slice query = SLICE("REDACTED&a=REDACTED;&");

	start(0);
	check_redacted("a=1", "a=REDACTED");
	check_redacted("a=1&b=2", "a=REDACTED&b=REDACTED");
	check_redacted("a=1;b=2&c", "a=REDACTED;b=REDACTED&REDACTED");
	check_redacted("a=b=c", "a=REDACTED");
	check_redacted("&a=1&&=x&", "&a=REDACTED&&=REDACTED&");
	check_redacted("a=", "a=REDACTED");
	check_redacted("eyJhbGciOiJIUzI1NiJ9.e30.c2VjcmV0", "REDACTED"); /* a value without a key */
	check_redacted("wsdl&&a", "REDACTED&&REDACTED");
	check_redacted("", "");
	CHECK(describe_redact_query(&d, query).p == query.p);
}

static void test_describe__keys_may_be_kept(void)
{
	static const struct slice keep[] = { SLICE("page"), SLICE("sort_*"), SLICE("?d") };

	start(0);
	config.keep_query = keep;
	config.n_keep_query = 3;
	check_redacted("page=2&token=x&sort_by=name&id=7&uid=8", "page=2&token=REDACTED&sort_by=name&id=7&uid=REDACTED");
	check_redacted("Page=2", "Page=REDACTED"); /* case-sensitive */
	check_redacted("page=2;secret=3", "page=2;secret=REDACTED");
	check_redacted("page&secret&id", "page&REDACTED&id");
}

static void check_address(const char *text, const char *want)
{
	uint8_t a[16];

	CHECK(inet_pton(AF_INET6, text, a) == 1);
	CHECK_SLICE(describe_addr(&d, a), want);
}

static void test_describe__addresses_are_rfc_5952(void)
{
	start(0);
	check_address("::ffff:192.0.2.1", "192.0.2.1");
	check_address("::ffff:0.10.255.100", "0.10.255.100");
	check_address("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1");
	check_address("2001:DB8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
	check_address("::1", "::1");
	check_address("fe80:0:0:1:0:0:0:1", "fe80:0:0:1::1");
}

static void test_describe__without_memory_attributes_are_counted(void)
{
	struct arena_pool small;
	struct arena a;

	arena_pool_init(&small, 2 * ARENA_BLOCK);
	arena_init(&a, &small);
	config = (struct describe_config){ 0 };
	REQUIRE(describe_init(&d, &a, &config) == 0);
	while (arena_alloc(&a, 16))
		;
	describe_str(&d, "borrowed", SLICE("fine"));
	describe_str(&d, "copied", SLICE("\xff"));
	describe_strs(&d, SLICE("list"), &(struct slice){ "x", 1 }, 1);
	CHECK_INT(d.n_attrs, 1);
	CHECK_INT(d.dropped_attrs, 2);
	CHECK_SLICE(describe_redact_query(&d, SLICE("a=secret")), "REDACTED");
	CHECK_INT(describe_init(&d, &a, &config), -12);
	arena_fini(&a);
	arena_pool_fini(&small);
}

int main(void)
{
	arena_pool_init(&pool, 1 << 20);
	arena_init(&arena, &pool);
	RUN(test_describe__values_are_cut_between_characters_and_counted);
	RUN(test_describe__bytes_that_are_no_utf8_are_replaced);
	RUN(test_describe__the_first_value_of_a_key_stays);
	RUN(test_describe__attributes_are_bounded);
	RUN(test_describe__keys_alike_at_both_ends_are_two);
	RUN(test_describe__lists_keep_their_order);
	RUN(test_describe__query_values_are_redacted);
	RUN(test_describe__keys_may_be_kept);
	RUN(test_describe__addresses_are_rfc_5952);
	RUN(test_describe__without_memory_attributes_are_counted);
	arena_fini(&arena);
	arena_pool_fini(&pool);
	return tap_done();
}
