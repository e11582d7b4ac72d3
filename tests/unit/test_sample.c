// SPDX-License-Identifier: Apache-2.0
/* OpenTelemetry, TraceState: Probability Sampling. */
#include "tap.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/scope.h"
#include "trace/sample.h"

/* A trace id whose low 7 bytes are r; the rest must not count. */
static void make_id(uint8_t id[16], uint64_t r)
{
	memset(id, 0xff, 16);
	for (int i = 15; i > 8; i--, r >>= 8)
		id[i] = (uint8_t)r;
}

static void test_sampler__thresholds(void)
{
	/* ratio, th to 4 digits after leading f's as the specification prints it */
	static const struct {
		double ratio;
		const char *th;
	} known[] = { { 1, "0" }, { 0.5, "8" }, { 0.25, "c" }, { 0.1, "e666" }, { 0.01, "fd70a" }, { 0.001, "ffbe77" }, { 0.9, "199a" } };
	struct sampler s;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		uint64_t want = strtoull(known[i].th, NULL, 16) << 4 * (14 - strlen(known[i].th));
		int digits = (int)strlen(known[i].th);

		sampler_init(&s, known[i].ratio);
		CHECK(fabs((double)s.threshold - (double)want) <= ldexp(1, 4 * (14 - digits)));
		CHECK(fabsl((long double)s.threshold - ldexpl(1 - (long double)known[i].ratio, 56)) <= 0.5L);
		CHECK(s.th[strlen(s.th) - 1] != '0' || !strcmp(s.th, "0"));
		CHECK(strtoull(s.th, NULL, 16) << 4 * (14 - strlen(s.th)) == s.threshold);
	}
	sampler_init(&s, 0.5);
	CHECK(!strcmp(s.th, "8"));
	sampler_init(&s, 1);
	CHECK(!strcmp(s.th, "0"));
}

static void test_sampler__edges_of_the_ratio(void)
{
	uint8_t lowest[16], highest[16];
	struct sample_verdict v;
	struct sampler s;

	make_id(lowest, 0);
	make_id(highest, (1ULL << 56) - 1);
	sampler_init(&s, 0);
	CHECK(!sample_decide(&s, highest, NULL).keep);
	sampler_init(&s, NAN);
	CHECK(!sample_decide(&s, highest, NULL).keep);
	sampler_init(&s, -1);
	CHECK(!sample_decide(&s, highest, NULL).keep);
	sampler_init(&s, ldexp(1, -56));
	CHECK(sample_decide(&s, highest, NULL).keep);
	CHECK_SLICE(sample_decide(&s, highest, NULL).th, "ffffffffffffff");
	sampler_init(&s, ldexp(1, -60));
	CHECK(!sample_decide(&s, highest, NULL).keep);
	sampler_init(&s, 1);
	v = sample_decide(&s, lowest, NULL);
	CHECK(v.keep && v.has_th);
	CHECK_SLICE(v.th, "0");
	sampler_init(&s, 2);
	CHECK(sample_decide(&s, lowest, NULL).keep);
}

static void test_sample__keeps_iff_r_reaches_t(void)
{
	struct sampler s;
	uint8_t id[16];

	sampler_init(&s, 0.3);
	make_id(id, s.threshold);
	CHECK(sample_decide(&s, id, NULL).keep);
	CHECK_SLICE(sample_decide(&s, id, NULL).th, s.th);
	make_id(id, s.threshold - 1);
	CHECK(!sample_decide(&s, id, NULL).keep);
}

static void test_sample__ratio_is_met(void)
{
	struct sampler s;
	struct rng r;
	int kept = 0;

	rng_seed(&r, 1, 2);
	sampler_init(&s, 0.1);
	for (int i = 0; i < 100000; i++) {
		uint8_t id[16];

		make_id(id, rng_next(&r) >> 8);
		kept += sample_decide(&s, id, NULL).keep;
	}
	CHECK(kept > 9600 && kept < 10400);
}

static struct sample_verdict with_parent(double ratio, uint64_t r, enum sampled sampled, const char *state)
{
	static struct sampler s;
	struct trace_context parent = { .valid = true, .sampled = (uint8_t)sampled, .tracestate = slice_str(state) };
	uint8_t id[16];

	sampler_init(&s, ratio);
	make_id(id, r);
	return sample_decide(&s, id, &parent);
}

static void test_sample__parent_decides_first(void)
{
	struct sample_verdict v = with_parent(0, 1ULL << 55, SAMPLED_YES, "a=1,ot=th:8");

	CHECK(v.keep && v.has_th);
	CHECK_SLICE(v.th, "8");
	CHECK(!with_parent(1, 1ULL << 55, SAMPLED_NO, "").keep);
	v = with_parent(0, 5, SAMPLED_YES, "");
	CHECK(v.keep && !v.has_th);
}

static void test_sample__inconsistent_th_is_dropped(void)
{
	struct sample_verdict v = with_parent(1, (1ULL << 55) - 1, SAMPLED_YES, "ot=th:8");

	CHECK(v.keep && !v.has_th);
	v = with_parent(1, 0, SAMPLED_YES, "ot=th:8;rv:80000000000000"); /* rv, not the id, is the randomness */
	CHECK(v.keep && v.has_th);
	v = with_parent(1, 1ULL << 55, SAMPLED_YES, "ot=th:8;rv:7fffffffffffff");
	CHECK(v.keep && !v.has_th);
	v = with_parent(1, 1ULL << 55, SAMPLED_YES, "ot=th:xyz");
	CHECK(v.keep && !v.has_th);
}

static void test_sample__deferring_parent_leaves_it_to_the_ratio(void)
{
	struct sample_verdict v = with_parent(0.5, 1ULL << 55, SAMPLED_UNKNOWN, "");

	CHECK(v.keep && v.has_th);
	CHECK_SLICE(v.th, "8");
	CHECK(!with_parent(0.5, (1ULL << 55) - 1, SAMPLED_UNKNOWN, "").keep);
}

int main(void)
{
	RUN(test_sampler__thresholds);
	RUN(test_sampler__edges_of_the_ratio);
	RUN(test_sample__keeps_iff_r_reaches_t);
	RUN(test_sample__ratio_is_met);
	RUN(test_sample__parent_decides_first);
	RUN(test_sample__inconsistent_th_is_dropped);
	RUN(test_sample__deferring_parent_leaves_it_to_the_ratio);
	return tap_done();
}
