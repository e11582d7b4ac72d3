/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which local traces to keep: the spans of one trace that this node sees below one of its requests are kept or left out
 * together. In this order:
 *
 *  1. parent   a sampled flag that came in a header decides, both ways; --sample-ignore-parent leaves this out
 *  2. rules    else the first --sample-rule that matches any span of the local trace: its ratio, then its rate. A rule on
 *              the outcome (status, min-duration) that would keep adds to what a parent decided, too
 *  3. ratio    else --sample-ratio
 *  4. cap      --sample-rate lets only so many of these through
 *  5. outcome  --keep-errors and --keep-slower-than add, whatever came before
 *
 * A ratio decides by the trace id (or rv in the tracestate), so that agents agree without talking: keep iff R >= T
 * (threshold.h). A kept span says its T as `th` while its probability is known: 0 for what 5 or a rule on the outcome with
 * ratio 1 keeps; the parent's for what the parent keeps, unless it contradicts the flag; none where a rate had a say.
 * Rates count local traces, in event time: the same recording gives the same decisions.
 */
#ifndef SPANDREL_TRACE_SAMPLE_H
#define SPANDREL_TRACE_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/context.h"
#include "trace/threshold.h"

#define SAMPLE_RULES_MAX 256
#define SAMPLE_TEMPORARY_MAX 16

struct sample_config { /* borrowed for the call */
	double ratio;	       /* 0 … 1 */
	bool ignore_parent, keep_errors;
	uint64_t keep_slower_than; /* ns; 0: off */
	const char *rate;	   /* NULL: no cap */
	const char *const *rules;
	size_t n_rules;
};

struct sampler;
struct span;

/* -EINVAL with one line in `error` that names the option and the rule, or -ENOMEM. */
int sampler_new(struct sampler **out, const struct sample_config *c, char *error, size_t size);
void sampler_free(struct sampler *s); /* NULL is fine */
/* Another configuration: that of `fresh`, which is gone then; temporary rules stay. */
void sampler_replace(struct sampler *s, struct sampler *fresh);
/* The first rule that can never match as an earlier one takes all that it would; false if there is none. */
bool sampler_shadowed(const struct sampler *s, const char **rule, const char **by);

/* A rule before all others until then; the newest comes first. 0, -EINVAL or -ENOSPC with one line, -ENOMEM. */
int sampler_add(struct sampler *s, struct slice rule, uint64_t until, char *error, size_t size);
size_t sampler_clear(struct sampler *s); /* all temporary rules; how many there were */
void sampler_expire(struct sampler *s, uint64_t now);

/* Do decisions need whole local traces (rules, outcomes, rates)? Else each span can be decided by its ids alone. */
bool sampler_is_local(const struct sampler *s);

enum sample_reason { KEPT_PARENT, KEPT_RULE, KEPT_TEMPORARY, KEPT_RATIO, KEPT_ERROR, KEPT_SLOW };

struct sample_verdict {
	bool keep;
	bool has_th;	    /* the probability is known: `threshold` belongs in the tracestate */
	bool over_rate;	    /* not kept because of a rate */
	bool by_context;    /* kept by a parent alone: each span has the th of its own context */
	uint8_t reason;	    /* enum sample_reason of what is kept */
	uint64_t threshold; /* T */
};

/* What a local trace has shown so far. Zero: nothing. */
struct evidence {
	uint64_t r;	   /* randomness of the trace */
	uint64_t parent_t; /* least T of those who sampled it */
	uint16_t rule;	   /* 1 + index of the first that matched; 0: none yet */
	uint8_t parent;	   /* enum sampled */
	bool seen, parent_unknown; /* a parent sampled it with a probability that is not known */
	bool error, slow;
};

/* One more span of it, by its ids: origin is the context that its trace came with, or NULL for a root of ours. */
void evidence_origin(struct evidence *e, const uint8_t trace_id[16], const struct trace_context *origin);
/* ... and by all that it is. */
void evidence_span(struct evidence *e, const struct sampler *s, const struct span *span);

/*
 * `before`: what was decided about earlier spans of the same local trace, or NULL. Those that come later follow it, but an
 * outcome still adds. Takes from the rates.
 */
struct sample_verdict sample_judge(struct sampler *s, const struct evidence *e, const struct sample_verdict *before, uint64_t now);
/* The verdict on its local trace as it is that of this span. */
struct sample_verdict sample_for_span(const struct sample_verdict *v, const struct span *span);
/* By the ids alone, for a sampler that is not local. */
struct sample_verdict sample_decide(struct sampler *s, const uint8_t trace_id[16], const struct trace_context *parent);

/* One span was kept, or not: the counters. */
void sample_count(const struct sample_verdict *v);

#endif
