/* SPDX-License-Identifier: Apache-2.0 */
/* Head sampling: the parent's flag first, else consistent probability (OpenTelemetry, "Probability Sampling"): keep iff R ≥ T. Pure. */
#ifndef SPANDREL_TRACE_SAMPLE_H
#define SPANDREL_TRACE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/context.h"

struct sampler {
	uint64_t threshold; /* T, 56 bits; 2^56: nothing is kept */
	char th[15];	    /* T as the tracestate wants it, without trailing zeros */
};

/* ratio 0 … 1. */
void sampler_init(struct sampler *s, double ratio);

struct sample_verdict {
	bool keep;
	bool has_th;	     /* the probability is known: `th` belongs in the tracestate */
	struct slice th;     /* borrowed from the sampler or from the parent's tracestate */
};

/* parent: the context the trace came with, or NULL for a root of ours. */
struct sample_verdict sample_decide(const struct sampler *s, const uint8_t trace_id[16], const struct trace_context *parent);

#endif
