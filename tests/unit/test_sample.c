// SPDX-License-Identifier: Apache-2.0
/* OpenTelemetry, TraceState: Probability Sampling; the order of parent, rules, ratio, cap and outcome. */
#include "tap.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rng.h"
#include "base/scope.h"
#include "base/stats.h"
#include "host/process.h"
#include "trace/sample.h"
#include "trace/span.h"

#define HALF (1ULL << 55)

/* A trace id whose low 7 bytes are r; the rest must not count. */
static void make_id(uint8_t id[16], uint64_t r)
{
	memset(id, 0xff, 16);
	for (int i = 15; i > 8; i--, r >>= 8)
		id[i] = (uint8_t)r;
}

static struct sampler *sampler;
static char error[512];

static int start(const struct sample_config *c)
{
	sampler_free(TAKE_PTR(sampler));
	return sampler_new(&sampler, c, error, sizeof(error));
}

static int configure(const struct sample_config *c)
{
	struct sampler *fresh;
	int r = sampler_new(&fresh, c, error, sizeof(error));

	if (!r)
		sampler_replace(sampler, fresh);
	return r;
}

static void start_ratio(double ratio)
{
	start(&(struct sample_config){ .ratio = ratio });
}

static struct sample_verdict decide(const uint8_t id[16])
{
	return sample_decide(sampler, id, NULL);
}

/* ---- ratio ---- */

static void test_threshold__as_specified(void)
{
	/* ratio, th to 4 digits after leading f's as the specification prints it */
	static const struct {
		double ratio;
		const char *th;
	} known[] = { { 1, "0" }, { 0.5, "8" }, { 0.25, "c" }, { 0.1, "e666" }, { 0.01, "fd70a" }, { 0.001, "ffbe77" }, { 0.9, "199a" } };
	char th[THRESHOLD_TEXT];

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		uint64_t want = strtoull(known[i].th, NULL, 16) << 4 * (14 - strlen(known[i].th)), t = threshold_of(known[i].ratio);
		int digits = (int)strlen(known[i].th);

		CHECK(fabs((double)t - (double)want) <= ldexp(1, 4 * (14 - digits)));
		CHECK(fabsl((long double)t - ldexpl(1 - (long double)known[i].ratio, 56)) <= 0.5L);
		threshold_text(t, th);
		CHECK(th[strlen(th) - 1] != '0' || !strcmp(th, "0"));
		CHECK(strtoull(th, NULL, 16) << 4 * (14 - strlen(th)) == t);
	}
	threshold_text(HALF, th);
	CHECK(!strcmp(th, "8"));
	threshold_text(0, th);
	CHECK(!strcmp(th, "0"));
	threshold_text(1, th);
	CHECK(!strcmp(th, "00000000000001"));
}

static void test_sampler__edges_of_the_ratio(void)
{
	uint8_t lowest[16], highest[16];
	struct sample_verdict v;

	make_id(lowest, 0);
	make_id(highest, (1ULL << 56) - 1);
	start_ratio(0);
	CHECK(!decide(highest).keep);
	start_ratio(NAN);
	CHECK(!decide(highest).keep);
	start_ratio(-1);
	CHECK(!decide(highest).keep);
	start_ratio(ldexp(1, -56));
	v = decide(highest);
	CHECK(v.keep && v.has_th && v.threshold == (1ULL << 56) - 1);
	start_ratio(ldexp(1, -60));
	CHECK(!decide(highest).keep);
	start_ratio(1);
	v = decide(lowest);
	CHECK(v.keep && v.has_th && !v.threshold);
	start_ratio(2);
	CHECK(decide(lowest).keep);
}

static void test_sample__keeps_iff_r_reaches_t(void)
{
	uint64_t t = threshold_of(0.3);
	uint8_t id[16];

	start_ratio(0.3);
	make_id(id, t);
	CHECK(decide(id).keep && decide(id).threshold == t);
	make_id(id, t - 1);
	CHECK(!decide(id).keep);
}

static void test_sample__ratio_is_met(void)
{
	struct rng r;
	int kept = 0;

	rng_seed(&r, 1, 2);
	start_ratio(0.1);
	for (int i = 0; i < 100000; i++) {
		uint8_t id[16];

		make_id(id, rng_next(&r) >> 8);
		kept += decide(id).keep;
	}
	CHECK(kept > 9600 && kept < 10400);
}

/* ---- parent ---- */

static struct sample_verdict with_parent(double ratio, uint64_t r, enum sampled sampled, const char *state)
{
	struct trace_context parent = { .valid = true, .sampled = (uint8_t)sampled, .tracestate = slice_str(state) };
	uint8_t id[16];

	start_ratio(ratio);
	make_id(id, r);
	return sample_decide(sampler, id, &parent);
}

static void test_sample__parent_decides_first(void)
{
	struct sample_verdict v = with_parent(0, HALF, SAMPLED_YES, "a=1,ot=th:8");

	CHECK(v.keep && v.has_th && v.threshold == HALF);
	CHECK(!with_parent(1, HALF, SAMPLED_NO, "").keep);
	v = with_parent(0, 5, SAMPLED_YES, "");
	CHECK(v.keep && !v.has_th);
}

static void test_sample__inconsistent_th_is_dropped(void)
{
	struct sample_verdict v = with_parent(1, HALF - 1, SAMPLED_YES, "ot=th:8");

	CHECK(v.keep && !v.has_th);
	v = with_parent(1, 0, SAMPLED_YES, "ot=th:8;rv:80000000000000"); /* rv, not the id, is the randomness */
	CHECK(v.keep && v.has_th);
	v = with_parent(1, HALF, SAMPLED_YES, "ot=th:8;rv:7fffffffffffff");
	CHECK(v.keep && !v.has_th);
	v = with_parent(1, HALF, SAMPLED_YES, "ot=th:xyz");
	CHECK(v.keep && !v.has_th);
}

static void test_sample__deferring_parent_leaves_it_to_the_ratio(void)
{
	struct sample_verdict v = with_parent(0.5, HALF, SAMPLED_UNKNOWN, "");

	CHECK(v.keep && v.has_th && v.threshold == HALF);
	CHECK(!with_parent(0.5, HALF - 1, SAMPLED_UNKNOWN, "").keep);
}

static void test_sample__ignored_parent(void)
{
	struct trace_context parent = { .valid = true, .sampled = SAMPLED_YES, .tracestate = SLICE("ot=th:0") };
	struct sample_verdict v;
	uint8_t id[16];

	start(&(struct sample_config){ .ratio = 0.5, .ignore_parent = true });
	make_id(id, HALF - 1);
	CHECK(!sample_decide(sampler, id, &parent).keep);
	make_id(id, HALF);
	parent.sampled = SAMPLED_NO;
	v = sample_decide(sampler, id, &parent);
	CHECK(v.keep && v.has_th && v.threshold == HALF);
}

/* ---- local traces ---- */

static struct attr attrs[16];
static struct resource shop = { .refs = 1, .service = { "shop", 4 } };

/* A span of the trace with this R. */
static struct span span_of(uint64_t r, int64_t status, uint64_t ms)
{
	struct span s = { .kind = SPAN_SERVER, .start = 1000, .end = 1000 + ms * NS_PER_MS, .resource = &shop };

	make_id(s.trace_id, r);
	s.d.attrs = attrs;
	s.d.status = status >= 500 ? STATUS_ERROR : STATUS_UNSET;
	attrs[0] = (struct attr){ .key = SLICE("http.response.status_code"), .type = ATTR_INT, .i = status };
	attrs[1] = (struct attr){ .key = SLICE("url.path"), .type = ATTR_STRING, .s = SLICE("/api/pay") };
	attrs[2] = (struct attr){ .key = SLICE("http.request.method"), .type = ATTR_STRING, .s = SLICE("POST") };
	s.d.n_attrs = 3;
	return s;
}

static struct sample_verdict judge(const struct span *s)
{
	struct evidence e = { 0 };

	evidence_span(&e, sampler, s);
	return sample_judge(sampler, &e, NULL, NS_PER_S);
}

#define RULES(...) .rules = (const char *const[]){ __VA_ARGS__ }, .n_rules = ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ }))

static void test_rules__the_first_match_wins(void)
{
	struct span s = span_of(HALF, 200, 1);
	struct sample_verdict v;

	REQUIRE(!start(&(struct sample_config){ .ratio = 0, RULES("service=cart", "route=/api/*,ratio=0.5", "service=shop,ratio=0.1") }));
	CHECK(sampler_is_local(sampler));
	v = judge(&s);
	CHECK(v.keep && v.has_th && v.threshold == HALF && v.reason == KEPT_RULE);
	s = span_of(HALF - 1, 200, 1);
	CHECK(!judge(&s).keep);
	REQUIRE(!start(&(struct sample_config){ .ratio = 0.5, RULES("service=cart,ratio=0") }));
	s = span_of(HALF, 200, 1);
	v = judge(&s);
	CHECK(v.keep && v.reason == KEPT_RATIO);
}

static void test_rules__parent_before_rules(void)
{
	struct span s = span_of(HALF, 200, 1);
	struct sample_verdict v;

	REQUIRE(!start(&(struct sample_config){ .ratio = 1, RULES("service=shop,ratio=1") }));
	s.origin = SAMPLED_NO;
	CHECK(!judge(&s).keep);
	REQUIRE(!start(&(struct sample_config){ .ratio = 1, RULES("service=shop,ratio=0") }));
	s.origin = SAMPLED_YES;
	s.trace_state = SLICE("ot=th:8");
	v = judge(&s);
	CHECK(v.keep && v.has_th && v.threshold == HALF && v.reason == KEPT_PARENT);
}

static void test_rules__outcome_adds_to_the_parent(void)
{
	struct span s = span_of(HALF, 503, 1);
	struct sample_verdict v;

	s.origin = SAMPLED_NO;
	REQUIRE(!start(&(struct sample_config){ .ratio = 0, RULES("status=5xx") }));
	v = judge(&s);
	CHECK(v.keep && v.has_th && !v.threshold && v.reason == KEPT_RULE);
	REQUIRE(!start(&(struct sample_config){ .ratio = 0, RULES("status=5xx,ratio=0.5") }));
	v = judge(&s);
	CHECK(v.keep && !v.has_th); /* the parent's share is not known */
	s.origin = SAMPLED_YES;
	s.trace_state = SLICE("ot=th:4");
	v = judge(&s);
	CHECK(v.keep && v.has_th && v.threshold == HALF / 2); /* either keeps it, both by the same R */
	s.trace_state = SLICE("");
	v = judge(&s);
	CHECK(v.keep && !v.has_th);
	REQUIRE(!start(&(struct sample_config){ .ratio = 0, RULES("status=5xx") }));
	v = judge(&s);
	CHECK(v.keep && v.has_th && !v.threshold);
	REQUIRE(!start(&(struct sample_config){ .ratio = 0, RULES("service=shop,ratio=0", "status=5xx") })); /* the first match wins */
	s.origin = SAMPLED_NO;
	CHECK(!judge(&s).keep);
}

static void test_keep__adds_to_everything(void)
{
	struct span s = span_of(0, 503, 1);
	struct sample_verdict v;

	s.origin = SAMPLED_NO;
	REQUIRE(!start(&(struct sample_config){ .keep_errors = true, .rate = "0/s", RULES("service=shop,ratio=0") }));
	v = judge(&s);
	CHECK(v.keep && v.has_th && !v.threshold && v.reason == KEPT_ERROR);
	s = span_of(0, 404, 1000);
	CHECK(!judge(&s).keep);
	REQUIRE(!start(&(struct sample_config){ .keep_slower_than = NS_PER_S }));
	CHECK(!judge(&s).keep);
	s.end++;
	v = judge(&s);
	CHECK(v.keep && v.has_th && !v.threshold && v.reason == KEPT_SLOW);
}

static void test_rate__caps_and_hides_the_probability(void)
{
	struct span s = span_of(HALF, 200, 1), bad = span_of(0, 500, 1);
	struct sample_verdict v;

	bad.d.status = STATUS_ERROR;
	REQUIRE(!start(&(struct sample_config){ .ratio = 0.5, .rate = "2/s", .keep_errors = true }));
	v = judge(&s);
	CHECK(v.keep && !v.has_th);
	CHECK(judge(&bad).keep && judge(&bad).has_th); /* not charged */
	CHECK(judge(&s).keep);
	v = judge(&s);
	CHECK(!v.keep && v.over_rate);
	CHECK(judge(&bad).keep);
	REQUIRE(!start(&(struct sample_config){ .ratio = 0.5, RULES("service=shop,rate=1/m") }));
	CHECK(judge(&s).keep && !judge(&s).keep);
}

/* SIGHUP: what a limit has let through counts on, wherever its rule stands now; another limit begins anew. */
static void test_rate__outlives_a_new_configuration(void)
{
	struct span s = span_of(HALF, 200, 1);

	REQUIRE(!start(&(struct sample_config){ .ratio = 1, RULES("service=shop,rate=1/m") }));
	CHECK(judge(&s).keep && !judge(&s).keep);
	CHECK(!configure(&(struct sample_config){ .ratio = 1, RULES("service=x", "service=shop,rate=1/m") }));
	CHECK(!judge(&s).keep);
	CHECK(!configure(&(struct sample_config){ .ratio = 1, RULES("service=shop,rate=2/m") }));
	CHECK(judge(&s).keep);
}

static void test_judge__later_spans_follow(void)
{
	struct span s = span_of(HALF - 1, 200, 1);
	struct sample_verdict kept = { .keep = true, .has_th = true, .threshold = 5, .reason = KEPT_RULE };
	struct sample_verdict over = { .over_rate = true }, v;
	struct evidence e = { 0 };

	REQUIRE(!start(&(struct sample_config){ .ratio = 0.5, .keep_errors = true }));
	evidence_span(&e, sampler, &s);
	v = sample_judge(sampler, &e, &kept, 1);
	CHECK(v.keep && v.threshold == 5);
	CHECK(!sample_judge(sampler, &e, &over, 1).keep);
	e.error = true;
	v = sample_judge(sampler, &e, &over, 1);
	CHECK(v.keep && v.has_th && !v.threshold);
	CHECK(sample_judge(sampler, &e, &kept, 1).threshold == 0);
}

/* Kept with the first part or on its own: the probability is that of either. */
static void test_judge__the_probability_of_a_later_part(void)
{
	struct span s = span_of(HALF, 200, 1);
	struct sample_verdict before = { .keep = true, .has_th = true, .threshold = HALF, .reason = KEPT_RATIO }, v;
	struct evidence e = { 0 };

	REQUIRE(!start(&(struct sample_config){ .ratio = 0.5, RULES("service=shop,ratio=0.75") }));
	evidence_span(&e, sampler, &s);
	v = sample_judge(sampler, &e, &before, 1);
	CHECK(v.keep && v.has_th && v.threshold == HALF / 2);
	REQUIRE(!start(&(struct sample_config){ .ratio = 0.5, RULES("service=shop,ratio=0.25") }));
	v = sample_judge(sampler, &e, &before, 1);
	CHECK(v.keep && v.has_th && v.threshold == HALF);
	REQUIRE(!start(&(struct sample_config){ .ratio = 0.5, RULES("service=shop,rate=5/s") }));
	v = sample_judge(sampler, &e, &before, 1);
	CHECK(v.keep && !v.has_th);
	before.threshold = 0;
	v = sample_judge(sampler, &e, &before, 1);
	CHECK(v.keep && v.has_th && !v.threshold);
}

/* ---- configuration ---- */

static void test_sampler__errors_name_the_rule(void)
{
	static const struct {
		const char *a, *b, *said;
	} bad[] = {
		{ "service", NULL, "expected KEY=VALUE" },
		{ "", NULL, "expected KEY=VALUE" },
		{ "service=a,,ratio=1", NULL, "expected KEY=VALUE" },
		{ "colour=red", NULL, "got \"colour\"" },
		{ "service=a,service=b", NULL, "service is there twice" },
		{ "service=", NULL, "service: expected a glob" },
		{ "status=6xx", NULL, "status: expected 100 to 599" },
		{ "status=99", NULL, "status: expected" },
		{ "status=17", NULL, "status: expected" },
		{ "status=not_found", NULL, "status: expected" },
		{ "min-duration=5", NULL, "min-duration: expected a duration" },
		{ "ratio=1.5", NULL, "ratio: expected 0 to 1" },
		{ "ratio=", NULL, "ratio: expected 0 to 1" },
		{ "rate=5", NULL, "rate: expected N/s" },
		{ "rate=-1/s", NULL, "rate: expected N/s" },
		{ "ratio=0,rate=5/s", NULL, "rate contradicts ratio=0" },
		{ "service=a,ratio=1", "ratio=0.5,service=a", "contradicts \"service=a,ratio=1\"" },
		{ "status=5xx,rate=1/s", "status=5xx,rate=2/s", "contradicts" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct sample_config c = { .ratio = 1, .rules = (const char *const[]){ bad[i].a, bad[i].b }, .n_rules = bad[i].b ? 2 : 1 };
		struct sampler *s = NULL;
		int r = sampler_new(&s, &c, error, sizeof(error));

		CHECK(r == -22 && !s && strstr(error, "--sample-rule \"") && strstr(error, bad[i].said));
		if (r != -22 || !strstr(error, bad[i].said))
			printf("# %s: %d %s\n", bad[i].a, r, error);
	}
	CHECK(start(&(struct sample_config){ .rate = "many" }) == -22 && strstr(error, "--sample-rate: expected N/s"));
	CHECK(start(&(struct sample_config){ RULES("a\nb=c") }) == -22);
}

static void test_sampler__shadowed_rules(void)
{
	const char *rule, *by;

	REQUIRE(!start(&(struct sample_config){ RULES("service=a,route=/x", "service=a", "route=/*,service=a*", "service=a,status=5xx") }));
	CHECK(sampler_shadowed(sampler, &rule, &by) && !strcmp(rule, "service=a,status=5xx") && !strcmp(by, "service=a"));
	REQUIRE(!start(&(struct sample_config){ RULES("status=5xx", "status=500,route=/x", "ratio=0.5") }));
	CHECK(sampler_shadowed(sampler, &rule, &by) && !strcmp(by, "status=5xx"));
	REQUIRE(!start(&(struct sample_config){ RULES("service=a?", "service=a*", "min-duration=2s", "min-duration=1s", "route=*", "ratio=0.5") }));
	CHECK(!sampler_shadowed(sampler, &rule, &by));
}

static void test_sampler__temporary_rules(void)
{
	struct span s = span_of(HALF, 200, 1);
	struct sample_verdict v;

	memset(stats, 0, sizeof(stats));
	REQUIRE(!start(&(struct sample_config){ .ratio = 0, RULES("service=cart") }));
	CHECK(!judge(&s).keep);
	CHECK(!sampler_add(sampler, SLICE("service=shop"), 1000, error, sizeof(error)));
	v = judge(&s);
	CHECK(v.keep && v.reason == KEPT_TEMPORARY);
	CHECK(!sampler_add(sampler, SLICE("route=/api/*,ratio=0"), 500, error, sizeof(error)));
	CHECK(!judge(&s).keep); /* the newest comes first */
	CHECK(!configure(&(struct sample_config){ .ratio = 1, RULES("service=x", "service=y") }));
	CHECK(!judge(&s).keep);
	CHECK(configure(&(struct sample_config){ RULES("bad") }) == -22);
	sampler_expire(sampler, 500);
	v = judge(&s);
	CHECK(v.keep && v.reason == KEPT_TEMPORARY);
	sampler_expire(sampler, 1000);
	CHECK(judge(&s).keep && judge(&s).reason == KEPT_RATIO);
	CHECK(sampler_add(sampler, SLICE("service=a,"), 1, error, sizeof(error)) == -22);
	for (int i = 0; i < SAMPLE_TEMPORARY_MAX; i++)
		CHECK(!sampler_add(sampler, SLICE("service=shop"), 1000, error, sizeof(error)));
	CHECK(sampler_add(sampler, SLICE("service=shop"), 1000, error, sizeof(error)) == -28);
	CHECK_INT(sampler_clear(sampler), SAMPLE_TEMPORARY_MAX);
	CHECK_INT(stats[STAT_rules_set], SAMPLE_TEMPORARY_MAX + 2);
	CHECK_INT(stats[STAT_rules_ended], SAMPLE_TEMPORARY_MAX + 2);
}

int main(void)
{
	RUN(test_threshold__as_specified);
	RUN(test_sampler__edges_of_the_ratio);
	RUN(test_sample__keeps_iff_r_reaches_t);
	RUN(test_sample__ratio_is_met);
	RUN(test_sample__parent_decides_first);
	RUN(test_sample__inconsistent_th_is_dropped);
	RUN(test_sample__deferring_parent_leaves_it_to_the_ratio);
	RUN(test_sample__ignored_parent);
	RUN(test_rules__the_first_match_wins);
	RUN(test_rules__parent_before_rules);
	RUN(test_rules__outcome_adds_to_the_parent);
	RUN(test_keep__adds_to_everything);
	RUN(test_rate__caps_and_hides_the_probability);
	RUN(test_rate__outlives_a_new_configuration);
	RUN(test_judge__later_spans_follow);
	RUN(test_judge__the_probability_of_a_later_part);
	RUN(test_sampler__errors_name_the_rule);
	RUN(test_sampler__shadowed_rules);
	RUN(test_sampler__temporary_rules);
	sampler_free(sampler);
	return tap_done();
}
