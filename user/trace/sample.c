// SPDX-License-Identifier: Apache-2.0
#include "trace/sample.h"

#include <math.h>
#include <stdio.h>

#define FULL (1ULL << 56)

void sampler_init(struct sampler *s, double ratio)
{
	size_t n;

	*s = (struct sampler){.threshold = FULL};
	if (!(ratio > 0))
		return;
	/* 2^56 (1 − ratio), without the bits that 1 − ratio would lose */
	s->threshold = ratio >= 1 ? 0 : FULL - (uint64_t)llround(ldexp(ratio, 56));
	if (s->threshold >= FULL)
		return; /* below 2^-56: nothing is kept, and nothing has to be said */
	n = (size_t)snprintf(s->th, sizeof(s->th), "%014llx", (unsigned long long)s->threshold);
	while (n > 1 && s->th[n - 1] == '0')
		s->th[--n] = '\0';
}

static uint64_t randomness(const uint8_t trace_id[16], const struct trace_context *parent)
{
	uint64_t r = 0;

	if (parent && !tracestate_rv(parent->tracestate, &r))
		return r;
	for (int i = 9; i < 16; i++)
		r = r << 8 | trace_id[i];
	return r;
}

/* th only while it agrees with the flag: otherwise the probability is not known. */
static struct sample_verdict keep_with_parent(const struct trace_context *parent, uint64_t r)
{
	struct sample_verdict v = {.keep = true};
	uint64_t threshold;

	if (!tracestate_th(parent->tracestate, &threshold) && r >= threshold)
		v.has_th = !tracestate_ot(parent->tracestate, SLICE("th"), &v.th);
	return v;
}

struct sample_verdict sample_decide(const struct sampler *s, const uint8_t trace_id[16],
				    const struct trace_context *parent)
{
	uint64_t r = randomness(trace_id, parent);

	if (parent && parent->sampled == SAMPLED_YES)
		return keep_with_parent(parent, r);
	if ((parent && parent->sampled == SAMPLED_NO) || r < s->threshold)
		return (struct sample_verdict){.keep = false};
	return (struct sample_verdict){.keep = true, .has_th = true, .th = slice_str(s->th)};
}
