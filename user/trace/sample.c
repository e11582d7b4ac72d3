// SPDX-License-Identifier: Apache-2.0
#include "trace/sample.h"

#include <endian.h>

#include "base/scope.h"
#include "base/stats.h"
#include "trace/sampler.h"
#include "trace/span.h"

/* ---- evidence ---- */

static uint64_t randomness(const uint8_t trace_id[16], const struct trace_context *origin)
{
	uint64_t r = 0;

	if (origin && !tracestate_rv(origin->tracestate, &r))
		return r;
	memcpy(&r, trace_id + 8, sizeof(r)); /* the last seven bytes */
	return be64toh(r) & 0x00ffffffffffffffULL;
}

/* th only while it agrees with the flag: otherwise the probability is not known. */
static void note_sampled(struct evidence *e, const struct trace_context *origin)
{
	uint64_t t;

	if (tracestate_th(origin->tracestate, &t) || e->r < t)
		e->parent_unknown = true;
	else if (e->parent != SAMPLED_YES || t < e->parent_t)
		e->parent_t = t;
	e->parent = SAMPLED_YES;
}

void evidence_origin(struct evidence *e, const uint8_t trace_id[16], const struct trace_context *origin)
{
	if (!e->seen)
		e->r = randomness(trace_id, origin);
	e->seen = true;
	if (!origin)
		return;
	if (origin->sampled == SAMPLED_YES)
		note_sampled(e, origin);
	else if (origin->sampled == SAMPLED_NO && e->parent == SAMPLED_UNKNOWN)
		e->parent = SAMPLED_NO;
}

static void note_rule(struct evidence *e, const struct sampler *s, const struct span *span)
{
	size_t n = e->rule ? e->rule - 1u : s->n_rules;

	for (size_t i = 0; i < n; i++)
		if (rule_matches(&s->rules[i].match, span)) {
			e->rule = (uint16_t)(i + 1);
			return;
		}
}

void evidence_span(struct evidence *e, const struct sampler *s, const struct span *span)
{
	struct trace_context origin = { .sampled = span->origin, .tracestate = span->trace_state };

	evidence_origin(e, span->trace_id, &origin);
	note_rule(e, s, span);
	e->error |= span->d.status == STATUS_ERROR;
	e->slow |= s->keep_slower_than && span->end - span->start > s->keep_slower_than;
}

/* ---- judgement ---- */

static struct sample_verdict kept(enum sample_reason reason)
{
	return (struct sample_verdict){ .keep = true, .reason = (uint8_t)reason };
}

static struct sample_verdict kept_at(enum sample_reason reason, uint64_t threshold)
{
	struct sample_verdict v = kept(reason);

	v.has_th = true;
	v.threshold = threshold;
	return v;
}

static struct sample_verdict not_kept(bool over_rate)
{
	return (struct sample_verdict){ .over_rate = over_rate };
}

static struct sample_verdict by_rule(struct rule *rule, uint64_t r, uint64_t now)
{
	uint64_t t = threshold_of(rule->ratio);
	enum sample_reason reason = rule->until ? KEPT_TEMPORARY : KEPT_RULE;

	if (r < t)
		return not_kept(false);
	if (!rule->rate.limited)
		return kept_at(reason, t);
	return rate_admit(&rule->rate, now) ? kept(reason) : not_kept(true);
}

/*
 * A rule on the outcome beside a parent's yes: the trace is kept if either wants it. What that makes of the probability is
 * known if the rule wants all, or both go by the same R.
 */
static struct sample_verdict by_parent_and_rule(const struct evidence *e, const struct rule *rule)
{
	uint64_t t = threshold_of(rule->ratio);

	if (!t && !rule->rate.limited)
		return kept_at(rule->until ? KEPT_TEMPORARY : KEPT_RULE, 0);
	if (e->parent_unknown || rule->rate.limited)
		return kept(KEPT_PARENT);
	return kept_at(KEPT_PARENT, MIN(t, e->parent_t));
}

static struct sample_verdict by_parent(const struct evidence *e, struct rule *rule, uint64_t now)
{
	bool outcome = rule && rule->ratio > 0 && rule_on_outcome(&rule->match);
	struct sample_verdict v;

	if (e->parent == SAMPLED_YES && outcome)
		return by_parent_and_rule(e, rule);
	if (e->parent == SAMPLED_YES) {
		v = e->parent_unknown ? kept(KEPT_PARENT) : kept_at(KEPT_PARENT, e->parent_t);
		v.by_context = true;
		return v;
	}
	if (!outcome)
		return not_kept(false);
	v = by_rule(rule, e->r, now);
	v.has_th &= !v.threshold; /* how often the parent says no is not known */
	return v;
}

/* Parent, rules, ratio. */
static struct sample_verdict by_order(const struct sampler *s, const struct evidence *e, struct rule *rule, uint64_t now)
{
	if (e->parent != SAMPLED_UNKNOWN && !s->ignore_parent)
		return by_parent(e, rule, now);
	if (rule)
		return by_rule(rule, e->r, now);
	return e->r < s->threshold ? not_kept(false) : kept_at(KEPT_RATIO, s->threshold);
}

/*
 * What comes later is kept with what was kept before it, and would also have been kept on its own: either is enough, and
 * both go by the same R. A rate would have had its say only then: what that makes of the probability is not known.
 */
static struct sample_verdict follow(const struct sampler *s, const struct evidence *e, const struct rule *rule,
				    const struct sample_verdict *before)
{
	struct sample_verdict v = *before, alone;
	struct rule unrated = { 0 };

	if (!v.has_th || v.by_context)
		return v;
	if (rule)
		unrated = *rule;
	unrated.rate.limited = false;
	alone = by_order(s, e, rule ? &unrated : NULL, 0);
	if (!alone.keep)
		return v;
	v.has_th = !v.threshold || (alone.has_th && !(rule && rule->rate.limited));
	v.threshold = MIN(v.threshold, alone.threshold);
	return v;
}

struct sample_verdict sample_judge(struct sampler *s, const struct evidence *e, const struct sample_verdict *before, uint64_t now)
{
	struct rule *rule = e->rule ? &s->rules[e->rule - 1] : NULL;
	struct sample_verdict v;

	if (e->error && s->keep_errors)
		return kept_at(KEPT_ERROR, 0);
	if (e->slow)
		return kept_at(KEPT_SLOW, 0);
	if (before && before->over_rate)
		return *before;
	if (before && before->keep)
		return follow(s, e, rule, before);
	v = by_order(s, e, rule, now);
	if (!v.keep || !s->rate.limited)
		return v;
	v.has_th = v.by_context = false;
	return rate_admit(&s->rate, now) ? v : not_kept(true);
}

struct sample_verdict sample_for_span(const struct sample_verdict *v, const struct span *span)
{
	struct trace_context origin = { .sampled = span->origin, .tracestate = span->trace_state };
	struct sample_verdict own = *v;
	struct evidence e = { 0 };

	if (!v->by_context || span->origin != SAMPLED_YES)
		return own;
	evidence_origin(&e, span->trace_id, &origin);
	own.has_th = !e.parent_unknown;
	own.threshold = e.parent_t;
	return own;
}

struct sample_verdict sample_decide(struct sampler *s, const uint8_t trace_id[16], const struct trace_context *parent)
{
	struct evidence e = { 0 };

	evidence_origin(&e, trace_id, parent);
	return sample_judge(s, &e, NULL, 0);
}

void sample_count(const struct sample_verdict *v)
{
	static const uint16_t by[] = {
		[KEPT_PARENT] = STAT_kept_parent, [KEPT_RULE] = STAT_kept_rule, [KEPT_TEMPORARY] = STAT_kept_temporary,
		[KEPT_RATIO] = STAT_kept_ratio,	  [KEPT_ERROR] = STAT_kept_error, [KEPT_SLOW] = STAT_kept_slow,
	};

	if (!v->keep) {
		stat_inc(spans_sampled_out);
		stat_add(spans_over_rate, v->over_rate);
		return;
	}
	stats[by[v->reason]]++;
	stat_add(spans_without_th, !v->has_th);
}
