// SPDX-License-Identifier: Apache-2.0
/* W3C Trace Context, with the expectations of its own test suite; B3. */
#include "tap.h"

#include <errno.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/scope.h"
#include "trace/context.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"
#define TP(version, flags) version "-" TRACE "-" SPAN "-" flags

static struct arena_pool pool;

static bool parses(const char *s)
{
	struct trace_context t;

	return !traceparent_parse(slice_str(s), &t);
}

static void test_traceparent__valid_forms(void)
{
	static const uint8_t span[8] = { 0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7 };
	struct trace_context t = { 0 };

	CHECK_INT(traceparent_parse(SLICE(TP("00", "01")), &t), 0);
	CHECK(t.valid && t.trace_id[0] == 0x4b && t.trace_id[15] == 0x36 && !memcmp(t.span_id, span, 8));
	CHECK(t.flags == 1 && t.sampled == SAMPLED_YES);
	CHECK_INT(traceparent_parse(SLICE(TP("00", "02")), &t), 0);
	CHECK(t.flags == 2 && t.sampled == SAMPLED_NO);
	CHECK_INT(traceparent_parse(SLICE(TP("00", "ff")), &t), 0);
	CHECK(t.flags == 3 && t.sampled == SAMPLED_YES);
	CHECK(parses(" \t" TP("00", "00") "\t "));
	CHECK(parses(TP("cc", "01")));
	CHECK(parses(TP("cc", "01") "-"));
	CHECK(parses(TP("cc", "01") "-what-the-future-will-be-like"));
}

static void test_traceparent__invalid_forms(void)
{
	static const char *const bad[] = {
		"", "00", TP("00", "0"), TP("00", "01") ".", TP("00", "01") "-", TP("00", "01") "-more", TP("ff", "01"),
		TP("cc", "01") ".what", TP("cc", "01") "1", TP("CC", "01"), TP("0x", "01"), TP("00", "0A"), TP("00", ".0"), TP("00", "0."),
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", "00-" TRACE "-00F067AA0BA902B7-01",
		"00-00000000000000000000000000000000-" SPAN "-01", "00-" TRACE "-0000000000000000-01",
		"00-.bf92f3577b34da6a3ce929d0e0e4736-" SPAN "-01", "00-4bf92f3577b34da6a3ce929d0e0e473-" SPAN "-001",
		"00-" TRACE "1-" SPAN "-01", "00_" TRACE "_" SPAN "_01", "0 -" TRACE "-" SPAN "-01", "000-" TRACE "-" SPAN "-1",
	};
	struct trace_context t = { .flags = 77 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (traceparent_parse(slice_str(bad[i]), &t) != -EINVAL)
			printf("# taken: number %zu\n", i);
		CHECK_INT(traceparent_parse(slice_str(bad[i]), &t), -EINVAL);
	}
	CHECK_INT(t.flags, 77); /* untouched */
}

/* lines separated by LF; the result or NULL, until the next call */
static const char *state_of(const char *text)
{
	static char out[40000];
	struct slice rest = slice_str(text), lines[64], list = SLICE_NONE;
	struct arena a;
	size_t n = 0;
	int r;

	arena_init(&a, &pool);
	while (slice_split(&rest, '\n', &lines[n]))
		n++;
	r = tracestate_parse(lines, n, &a, &list);
	if (!r && list.n)
		memcpy(out, list.p, list.n);
	out[list.n] = '\0';
	arena_fini(&a);
	return r ? NULL : out;
}

#define CHECK_STATE(text, want)                                                             \
	do {                                                                                \
		const char *_got = state_of(text);                                          \
		CHECK_SLICE(slice_str(_got ? _got : "refused"), want);                      \
	} while (0)

static void test_tracestate__kept_in_order(void)
{
	CHECK_STATE("foo=1,bar=2", "foo=1,bar=2");
	CHECK_STATE("foo=1\nbar=2", "foo=1,bar=2");
	CHECK_STATE("foo=1 \t , \t bar=2, \t baz=3", "foo=1,bar=2,baz=3");
	CHECK_STATE("foo=1\t \t,\t \tbar=2,\t \tbaz=3", "foo=1,bar=2,baz=3");
	CHECK_STATE("\nfoo=1\n\nbar=2\n", "foo=1,bar=2");
	CHECK_STATE(",foo=1,,bar=2,", "foo=1,bar=2");
	CHECK_STATE("foo=1,foo=2", "foo=1,foo=2");
	CHECK_STATE("foo= 1", "foo= 1");
	CHECK_STATE("foo@=1,bar=2", "foo@=1,bar=2");
	CHECK_STATE("foo@@bar=1", "foo@@bar=1");
	CHECK_STATE("foo@bar@baz=1", "foo@bar@baz=1");
	CHECK_STATE("0_-*/@z=!\"#$%&'()*+-./0123456789:;<>?@[\\]^_`{|}~", "0_-*/@z=!\"#$%&'()*+-./0123456789:;<>?@[\\]^_`{|}~");
	CHECK_STATE("", "");
	CHECK_STATE(" , ", "");
}

static void test_tracestate__discarded_whole(void)
{
	static const char *const bad[] = { "foo =1", "FOO=1", "foo.bar=1", "foo=bar=baz", "foo=,bar=3", "foo", "=1",
					   "foo=1,bar", "@foo=1,bar=2", "_a=1", "foo=\x7f", "foo=a\tb", "foo=\xc3\xa4", "ok=1\nbad", "a= " };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (state_of(bad[i]))
			printf("# taken: number %zu\n", i);
		CHECK(!state_of(bad[i]));
	}
}

static void test_tracestate__limits(void)
{
	char text[40000], key[300];
	size_t n = 0;

	for (int i = 0; i < 32; i++)
		n += (size_t)sprintf(text + n, "%sm%d=%0256d", i % 8 ? "," : i ? "\n" : "", i, 1);
	CHECK(state_of(text) && strlen(state_of(text)) > 8000);
	sprintf(text + n, ",last=1");
	CHECK(!state_of(text));
	memset(key, 'k', sizeof(key));
	sprintf(text, "%.256s=1", key);
	CHECK(state_of(text) != NULL);
	sprintf(text, "%.257s=1", key);
	CHECK(!state_of(text));
	sprintf(text, "a=%.256s", key);
	CHECK(state_of(text) != NULL);
	sprintf(text, "a=%.257s", key);
	CHECK(!state_of(text));
}

static void test_tracestate__survives_without_memory(void)
{
	struct arena_pool none;
	struct arena a;
	struct slice lines[2] = { SLICE("a=1"), SLICE("b=2") }, out = SLICE("untouched");

	arena_pool_init(&none, 0);
	arena_init(&a, &none);
	CHECK_INT(tracestate_parse(lines, 2, &a, &out), -ENOMEM);
	CHECK_SLICE(out, "untouched");
	CHECK(!tracestate_with_th(SLICE("a=1"), SLICE("8"), &a).p);
	arena_fini(&a);
	arena_pool_fini(&none);
}

static void check_th(const char *state, const char *th, const char *want)
{
	struct arena a;

	arena_init(&a, &pool);
	CHECK_SLICE(tracestate_with_th(slice_str(state), slice_str(th), &a), want);
	arena_fini(&a);
}

static void test_tracestate__th_goes_to_the_front(void)
{
	char many[400], want[420], sub[400];
	size_t n = 0;

	check_th("", "8", "ot=th:8");
	check_th("a=1,b=2", "0", "ot=th:0,a=1,b=2");
	check_th("a=1,ot=rv:00112233445566;th:c;x9:y,b=2", "8", "ot=th:8;rv:00112233445566;x9:y,a=1,b=2");
	check_th("ot=th:c,b=2", "", "b=2");
	check_th("ot=th:c", "", "");
	check_th("ot=th:c;rv:1", "", "ot=rv:1");
	check_th("ot=junk;;Th:1;th:2", "8", "ot=th:8");
	check_th("a=1,b=2", "", "a=1,b=2");
	check_th("ot=a:1,ot=b:2", "8", "ot=th:8;a:1");
	check_th("ot=th:8;x: ;y:1", "", "ot=y:1"); /* "x: " would end the member with a space */
	for (int i = 0; i < 32; i++)
		n += (size_t)sprintf(many + n, "%sk%d=v", i ? "," : "", i);
	sprintf(want, "ot=th:8,%.*s", (int)(n - strlen(",k31=v")), many);
	check_th(many, "8", want);
	sprintf(sub, "ot=rv:00112233445566;z:%0230d", 1);
	sprintf(want, "ot=th:81;%s", sub + 3);
	check_th(sub, "81", want);
	check_th(sub, "812", "ot=th:812;rv:00112233445566"); /* what no longer fits in 256 goes */
}

static void test_tracestate__rv_and_th_are_read(void)
{
	uint64_t v = 5;

	CHECK_INT(tracestate_rv(SLICE("a=1,ot=th:8;rv:00000000000001"), &v), 0);
	CHECK_INT(v, 1);
	CHECK_INT(tracestate_rv(SLICE("ot=rv:ffffffffffffff"), &v), 0);
	CHECK(v == 0xffffffffffffffULL);
	v = 5;
	CHECK_INT(tracestate_rv(SLICE("ot=rv:0000000000001"), &v), -EINVAL);
	CHECK_INT(tracestate_rv(SLICE("ot=rv:0000000000000G"), &v), -EINVAL);
	CHECK_INT(tracestate_rv(SLICE("ot=rv:FFFFFFFFFFFFFF"), &v), -EINVAL);
	CHECK_INT(tracestate_rv(SLICE("ot=rv:00000000000001;rv:00000000000001"), &v), -EINVAL);
	CHECK_INT(tracestate_rv(SLICE("ot=th:8"), &v), -ENOENT);
	CHECK_INT(tracestate_rv(SLICE("to=rv:00000000000001"), &v), -ENOENT);
	CHECK_INT(tracestate_rv(SLICE_NONE, &v), -ENOENT);
	CHECK_INT(v, 5);
	CHECK_INT(tracestate_th(SLICE("ot=th:8"), &v), 0);
	CHECK(v == 1ULL << 55);
	CHECK_INT(tracestate_th(SLICE("ot=th:0"), &v), 0);
	CHECK_INT(v, 0);
	CHECK_INT(tracestate_th(SLICE("ot=th:"), &v), -EINVAL);
	CHECK_INT(tracestate_th(SLICE("ot=th:123456789012345"), &v), -EINVAL);
}

/* ---- whole carriers --------------------------------------------------------------------------- */

static struct trace_context got;
static struct arena got_arena;
static bool got_good;

static void parse(const struct carrier_field *fields, unsigned n, bool overflow)
{
	struct carrier c = { .n = (uint8_t)n, .overflow = overflow, .fields = (struct carrier_field *)fields };

	arena_fini(&got_arena);
	arena_init(&got_arena, &pool);
	got_good = context_parse(&c, &got_arena, &got);
}

#define F(id, text) { CARRIER_##id, { text, sizeof(text) - 1 } }
#define PARSE(...)                                                            \
	do {                                                                  \
		const struct carrier_field _f[] = { __VA_ARGS__ };            \
		parse(_f, ARRAY_SIZE(_f), false);                             \
	} while (0)

static void test_context__none(void)
{
	parse(NULL, 0, false);
	CHECK(got_good && !got.valid && got.sampled == SAMPLED_UNKNOWN);
	PARSE(F(TRACESTATE, "a=1"));
	CHECK(got_good && !got.valid && !got.tracestate.n);
}

static void test_context__w3c(void)
{
	const struct carrier_field two[] = { F(TRACEPARENT, TP("00", "01")), F(TRACESTATE, "a=1") };

	PARSE(F(TRACESTATE, "a=1"), F(TRACEPARENT, TP("00", "03")), F(TRACESTATE, " b=2 "));
	CHECK(got_good && got.valid && got.flags == 3 && got.sampled == SAMPLED_YES);
	CHECK_SLICE(got.tracestate, "a=1,b=2");
	PARSE(F(TRACEPARENT, TP("00", "00")), F(TRACESTATE, "A=1"));
	CHECK(got_good && got.valid && got.sampled == SAMPLED_NO && !got.tracestate.n);
	parse(two, 2, true);
	CHECK(got_good && got.valid && !got.tracestate.n);
	PARSE(F(TRACEPARENT, TP("00", "01")), F(TRACEPARENT, TP("00", "01")), F(TRACESTATE, "a=1"));
	CHECK(!got_good && !got.valid && !got.tracestate.n);
	PARSE(F(TRACEPARENT, "rubbish"), F(TRACESTATE, "a=1"));
	CHECK(!got_good && !got.valid && !got.tracestate.n && got.sampled == SAMPLED_UNKNOWN);
}

#define B3_TRACE "80f198ee56343ba864fe8b2a57d3eff7"
#define B3_SPAN "e457b5a2e4d86bd1"

static void test_context__b3_single(void)
{
	static const char *const bad[] = { "", "2", "D", "01", B3_TRACE, B3_TRACE "-", B3_TRACE "-" B3_SPAN "-", B3_TRACE "-" B3_SPAN "-2",
					   B3_TRACE "-" B3_SPAN "-1-", B3_TRACE "-" B3_SPAN "-1-05e3ac9a4f6e3b9", B3_TRACE "-" B3_SPAN "-1-05e3ac9a4f6e3b90-1",
					   "80f198ee56343ba864fe8b2a57d3eff-" B3_SPAN, B3_TRACE "-0000000000000000", "0000000000000000-" B3_SPAN,
					   "80F198ee56343ba864fe8b2a57d3eff7-" B3_SPAN };

	PARSE(F(B3, " " B3_TRACE "-" B3_SPAN "-1-05e3ac9a4f6e3b90"));
	CHECK(got_good && got.valid && got.sampled == SAMPLED_YES && got.flags == 1 && got.trace_id[0] == 0x80 && got.span_id[7] == 0xd1);
	PARSE(F(B3, B3_TRACE "-" B3_SPAN "-d"));
	CHECK(got.valid && got.sampled == SAMPLED_YES);
	PARSE(F(B3, B3_TRACE "-" B3_SPAN "-0"));
	CHECK(got.valid && got.sampled == SAMPLED_NO && got.flags == 0);
	PARSE(F(B3, "64fe8b2a57d3eff7-" B3_SPAN));
	CHECK(got.valid && got.sampled == SAMPLED_UNKNOWN && got.trace_id[7] == 0 && got.trace_id[8] == 0x64);
	PARSE(F(B3, "0"));
	CHECK(got_good && !got.valid && got.sampled == SAMPLED_NO);
	PARSE(F(B3, "d"));
	CHECK(got_good && !got.valid && got.sampled == SAMPLED_YES);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct carrier_field f = { CARRIER_B3, slice_str(bad[i]) };

		parse(&f, 1, false);
		if (got_good || got.valid)
			printf("# taken: number %zu\n", i);
		CHECK(!got_good && !got.valid && got.sampled == SAMPLED_UNKNOWN);
	}
	PARSE(F(B3, "0"), F(B3, "1"));
	CHECK(!got_good && got.sampled == SAMPLED_UNKNOWN);
}

static void test_context__b3_multi(void)
{
	PARSE(F(B3_TRACEID, B3_TRACE), F(B3_SPANID, B3_SPAN), F(B3_PARENT, "05e3ac9a4f6e3b90"), F(B3_SAMPLED, "1"));
	CHECK(got_good && got.valid && got.sampled == SAMPLED_YES && got.trace_id[15] == 0xf7);
	PARSE(F(B3_TRACEID, "64fe8b2a57d3eff7"), F(B3_SPANID, B3_SPAN), F(B3_SAMPLED, "false"));
	CHECK(got.valid && got.sampled == SAMPLED_NO && !got.trace_id[0]);
	PARSE(F(B3_TRACEID, B3_TRACE), F(B3_SPANID, B3_SPAN), F(B3_FLAGS, "1"));
	CHECK(got.valid && got.sampled == SAMPLED_YES);
	PARSE(F(B3_TRACEID, B3_TRACE), F(B3_SPANID, B3_SPAN), F(B3_FLAGS, "0"));
	CHECK(got.valid && got.sampled == SAMPLED_UNKNOWN);
	PARSE(F(B3_SAMPLED, "0"));
	CHECK(got_good && !got.valid && got.sampled == SAMPLED_NO);
	PARSE(F(B3_TRACEID, B3_TRACE));
	CHECK(!got_good && !got.valid);
	PARSE(F(B3_TRACEID, B3_TRACE), F(B3_TRACEID, B3_TRACE), F(B3_SPANID, B3_SPAN));
	CHECK(!got_good && !got.valid);
	PARSE(F(B3_SAMPLED, "maybe"));
	CHECK(!got_good && got.sampled == SAMPLED_UNKNOWN);
}

static void test_context__precedence(void)
{
	PARSE(F(B3, B3_TRACE "-" B3_SPAN "-0"), F(TRACEPARENT, TP("00", "01")));
	CHECK(got.valid && got.trace_id[0] == 0x4b && got.sampled == SAMPLED_YES);
	PARSE(F(B3, B3_TRACE "-" B3_SPAN "-0"), F(TRACEPARENT, TP("ff", "01")), F(TRACESTATE, "a=1"));
	CHECK(got_good && got.valid && got.trace_id[0] == 0x80 && !got.tracestate.n);
	PARSE(F(B3_TRACEID, TRACE), F(B3_SPANID, SPAN), F(B3, B3_TRACE "-" B3_SPAN));
	CHECK(got.valid && got.trace_id[0] == 0x80);
	PARSE(F(B3_TRACEID, TRACE), F(B3_SPANID, SPAN), F(B3, "x"), F(TRACEPARENT, "x"));
	CHECK(got_good && got.valid && got.trace_id[0] == 0x4b);
}

static void test_context__equal_needs_both_ids(void)
{
	struct trace_context a, b;

	traceparent_parse(SLICE(TP("00", "01")), &a);
	b = a;
	b.flags = 0;
	CHECK(context_equal(&a, &b));
	b.span_id[7] ^= 1;
	CHECK(!context_equal(&a, &b));
	b = a;
	b.trace_id[0] ^= 1;
	CHECK(!context_equal(&a, &b));
	a.valid = b.valid = false;
	CHECK(!context_equal(&a, &a));
}

/* Every output of the parser is accepted by it again, unchanged; no input crashes it. */
static void test_context__random_lists_are_stable(void)
{
	static const char alphabet[] = "ab0=,; \t@_-*/:AZ~\x7fotthrv";
	struct rng r;
	int kept = 0;

	rng_seed(&r, 3, 4);
	for (int i = 0; i < 20000; i++) {
		char text[64], *tight = NULL;
		size_t n = rng_next(&r) % (sizeof(text) - 1);
		struct arena a;
		struct slice out = SLICE_NONE, again = SLICE_NONE, line;
		uint64_t v;

		for (size_t k = 0; k < n; k++)
			text[k] = alphabet[rng_next(&r) % (sizeof(alphabet) - 1)];
		tight = malloc(n + 1); /* the end is guarded by the sanitizer */
		memcpy(tight, text, n);
		line = slice_of(tight, n);
		arena_init(&a, &pool);
		if (!tracestate_parse(&line, 1, &a, &out) && out.n) {
			kept++;
			CHECK_INT(tracestate_parse(&out, 1, &a, &again), 0);
			CHECK(slice_eq(out, again));
		}
		tracestate_rv(line, &v);
		tracestate_th(line, &v);
		again = tracestate_with_th(line, SLICE("8"), &a);
		CHECK(slice_starts(again, SLICE("ot=th:8")) && !tracestate_th(again, &v) && v == 1ULL << 55);
		arena_fini(&a);
		free(tight);
	}
	CHECK(kept > 20);
}

int main(void)
{
	arena_pool_init(&pool, 1 << 20);
	arena_init(&got_arena, &pool);
	RUN(test_traceparent__valid_forms);
	RUN(test_traceparent__invalid_forms);
	RUN(test_tracestate__kept_in_order);
	RUN(test_tracestate__discarded_whole);
	RUN(test_tracestate__limits);
	RUN(test_tracestate__survives_without_memory);
	RUN(test_tracestate__th_goes_to_the_front);
	RUN(test_tracestate__rv_and_th_are_read);
	RUN(test_context__none);
	RUN(test_context__w3c);
	RUN(test_context__b3_single);
	RUN(test_context__b3_multi);
	RUN(test_context__precedence);
	RUN(test_context__equal_needs_both_ids);
	RUN(test_context__random_lists_are_stable);
	arena_fini(&got_arena);
	CHECK_INT(pool.used, 0);
	arena_pool_fini(&pool);
	return tap_done();
}
