// SPDX-License-Identifier: Apache-2.0
#include "trace/sampler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/scope.h"
#include "base/stats.h"

static void rules_free(struct rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rule_fini(&rules[i]);
	free(rules);
}

void sampler_free(struct sampler *s)
{
	if (!s)
		return;
	rules_free(s->rules, s->n_rules);
	free(s);
}

static void free_sampler(struct sampler **s)
{
	sampler_free(*s);
}

static int refuse(char *error, size_t size, const char *what)
{
	snprintf(error, size, "--sample-rule %s", what);
	return -EINVAL;
}

static int parse_rules(struct sampler *s, const struct sample_config *c, char *error, size_t size)
{
	char what[512] = "out of memory";
	int r;

	if (c->n_rules > SAMPLE_RULES_MAX) {
		snprintf(error, size, "--sample-rule: expected at most %d rules", SAMPLE_RULES_MAX);
		return -EINVAL;
	}
	s->rules = calloc(c->n_rules + SAMPLE_TEMPORARY_MAX, sizeof(*s->rules));
	if (!s->rules)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_rules; i++) {
		r = rule_parse(slice_str(c->rules[i]), &s->rules[i], what, sizeof(what));
		if (r)
			return r == -EINVAL ? refuse(error, size, what) : r;
		s->n_rules++;
	}
	return 0;
}

static bool same_share(const struct rule *a, const struct rule *b)
{
	return threshold_of(a->ratio) == threshold_of(b->ratio) && a->rate.limited == b->rate.limited && a->rate.n == b->rate.n &&
	       a->rate.per == b->rate.per;
}

/* The same conditions and two different shares: one of the rules cannot be meant. */
static int check_contradictions(const struct sampler *s, char *error, size_t size)
{
	char what[2 * RULE_TEXT_MAX + 64];

	for (size_t i = 0; i < s->n_rules; i++)
		for (size_t j = 0; j < i; j++) {
			const struct rule *a = &s->rules[j], *b = &s->rules[i];

			if (!rule_same_match(&a->match, &b->match) || same_share(a, b))
				continue;
			snprintf(what, sizeof(what), "\"%s\": contradicts \"%s\": expected one rule for the same conditions",
				 b->text, a->text);
			return refuse(error, size, what);
		}
	return 0;
}

static int parse_rate(struct sampler *s, const struct sample_config *c, char *error, size_t size)
{
	if (!c->rate || rate_parse(slice_str(c->rate), &s->rate))
		return 0;
	snprintf(error, size, "--sample-rate: expected N/s or N/m, got \"%s\"", c->rate);
	return -EINVAL;
}

int sampler_new(struct sampler **out, const struct sample_config *c, char *error, size_t size)
{
	_cleanup_(free_sampler) struct sampler *s = calloc(1, sizeof(*s));
	int r;

	snprintf(error, size, "out of memory");
	if (!s)
		return -ENOMEM;
	s->threshold = threshold_of(c->ratio);
	s->ignore_parent = c->ignore_parent;
	s->keep_errors = c->keep_errors;
	s->keep_slower_than = c->keep_slower_than;
	r = parse_rules(s, c, error, size);
	if (!r)
		r = check_contradictions(s, error, size);
	if (!r)
		r = parse_rate(s, c, error, size);
	if (r)
		return r;
	*out = TAKE_PTR(s);
	return 0;
}

static void take_out(struct sampler *s, size_t i)
{
	rule_fini(&s->rules[i]);
	s->n_rules--;
	s->n_temporary--;
	memmove(s->rules + i, s->rules + i + 1, (s->n_rules - i) * sizeof(*s->rules));
}

/* The temporary rules of `old` before those of `fresh`. */
static void keep_temporary(struct sampler *fresh, const struct sampler *old)
{
	size_t n = old->n_temporary;

	memmove(fresh->rules + n, fresh->rules, fresh->n_rules * sizeof(*fresh->rules));
	memcpy(fresh->rules, old->rules, n * sizeof(*fresh->rules));
	fresh->n_rules += n;
	fresh->n_temporary = n;
}

/* What a limit has let through counts on where the same words stay in force. */
static void keep_rate(struct rate *fresh, const struct rate *old)
{
	if (fresh->n == old->n && fresh->per == old->per)
		fresh->paid = old->paid;
}

static void keep_rates(struct sampler *fresh, const struct sampler *old)
{
	keep_rate(&fresh->rate, &old->rate);
	for (size_t i = fresh->n_temporary; i < fresh->n_rules; i++)
		for (size_t j = old->n_temporary; j < old->n_rules; j++)
			if (!strcmp(fresh->rules[i].text, old->rules[j].text)) {
				keep_rate(&fresh->rules[i].rate, &old->rules[j].rate);
				break;
			}
}

void sampler_replace(struct sampler *s, struct sampler *fresh)
{
	struct sampler old = *s;

	keep_temporary(fresh, s);
	keep_rates(fresh, &old);
	*s = *fresh;
	memmove(old.rules, old.rules + old.n_temporary, (old.n_rules - old.n_temporary) * sizeof(*old.rules));
	old.n_rules -= old.n_temporary; /* the others have moved */
	*fresh = old;
	sampler_free(fresh);
}

bool sampler_shadowed(const struct sampler *s, const char **rule, const char **by)
{
	for (size_t i = s->n_temporary; i < s->n_rules; i++)
		for (size_t j = s->n_temporary; j < i; j++)
			if (rule_covers(&s->rules[j].match, &s->rules[i].match)) {
				*rule = s->rules[i].text;
				*by = s->rules[j].text;
				return true;
			}
	return false;
}

int sampler_add(struct sampler *s, struct slice rule, uint64_t until, char *error, size_t size)
{
	struct rule fresh;
	int r;

	if (s->n_temporary == SAMPLE_TEMPORARY_MAX) {
		snprintf(error, size, "expected at most %d temporary rules", SAMPLE_TEMPORARY_MAX);
		return -ENOSPC;
	}
	snprintf(error, size, "out of memory");
	r = rule_parse(rule, &fresh, error, size);
	if (r)
		return r;
	fresh.until = until;
	memmove(s->rules + 1, s->rules, s->n_rules * sizeof(*s->rules));
	s->rules[0] = fresh;
	s->n_rules++;
	s->n_temporary++;
	stat_inc(rules_set);
	return 0;
}

size_t sampler_clear(struct sampler *s)
{
	size_t n = s->n_temporary;

	while (s->n_temporary)
		take_out(s, 0);
	stat_add(rules_ended, n);
	return n;
}

void sampler_expire(struct sampler *s, uint64_t now)
{
	for (size_t i = s->n_temporary; i-- > 0;) {
		if (s->rules[i].until > now)
			continue;
		take_out(s, i);
		stat_inc(rules_ended);
	}
}

bool sampler_is_local(const struct sampler *s)
{
	return s->n_rules || s->keep_errors || s->keep_slower_than || s->rate.limited;
}
