// SPDX-License-Identifier: Apache-2.0
#include "trace/rule.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/scope.h"
#include "base/units.h"
#include "proto/grpc.h"

static bool grpc_named(struct slice s, uint16_t *code)
{
	for (uint16_t i = 0; i < GRPC_CODES; i++)
		if (slice_eq(s, grpc_status_name(i))) {
			*code = i;
			return true;
		}
	return false;
}

static bool parse_status(struct slice s, struct rule *r)
{
	struct rule_match *m = &r->match;
	uint64_t code;

	if (slice_eq(s, SLICE("error"))) {
		m->status = RULE_ERROR;
	} else if (s.n == 3 && s.p[0] >= '1' && s.p[0] <= '5' && s.p[1] == 'x' && s.p[2] == 'x') {
		m->status = RULE_HTTP_CLASS;
		m->code = (uint16_t)(s.p[0] - '0');
	} else if (grpc_named(s, &m->code)) {
		m->status = RULE_GRPC_STATUS;
	} else if (slice_u64(s, &code) && (code < GRPC_CODES || (code >= 100 && code <= 599))) {
		m->status = code >= 100 ? RULE_HTTP_STATUS : RULE_GRPC_STATUS;
		m->code = (uint16_t)code;
	} else {
		return false;
	}
	return true;
}

static bool parse_service(struct slice s, struct rule *r)
{
	r->match.service = s;
	return true;
}

static bool parse_route(struct slice s, struct rule *r)
{
	r->match.route = s;
	return true;
}

static bool parse_method(struct slice s, struct rule *r)
{
	r->match.method = s;
	return true;
}

static bool parse_min_duration(struct slice s, struct rule *r)
{
	return units_duration(s, &r->match.min_duration) && r->match.min_duration;
}

static bool parse_ratio(struct slice s, struct rule *r)
{
	return units_ratio(s, &r->ratio);
}

static bool parse_rate(struct slice s, struct rule *r)
{
	return rate_parse(s, &r->rate);
}

static const struct key {
	const char *name, *expected;
	bool (*parse)(struct slice s, struct rule *r);
} keys[] = {
	{ "service", "a glob", parse_service },
	{ "route", "a glob", parse_route },
	{ "method", "a glob", parse_method },
	{ "status", "100 to 599, 1xx to 5xx, a gRPC status by name or number, or error", parse_status },
	{ "min-duration", "a duration above 0 (ms, s, m, h)", parse_min_duration },
	{ "ratio", "0 to 1", parse_ratio },
	{ "rate", "N/s or N/m", parse_rate },
};

/* What was wrong, as rule_parse() says it. */
struct complaint {
	struct slice rule;
	char *error;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct complaint *c, const char *format, ...)
{
	int n = snprintf(c->error, c->size, "\"%.*s\": ", SLICE_ARG(c->rule));
	va_list ap;

	va_start(ap, format);
	if (n >= 0 && (size_t)n < c->size)
		vsnprintf(c->error + n, c->size - (size_t)n, format, ap);
	va_end(ap);
	return -EINVAL;
}

/* The first '=' ends the key; a value may have more of them. */
static int parse_pair(struct slice pair, struct rule *r, unsigned *seen, const struct complaint *c)
{
	ptrdiff_t eq = slice_find(pair, '=');
	struct slice name, value;

	if (eq < 1)
		return refuse(c, "expected KEY=VALUE, got \"%.*s\"", SLICE_ARG(pair));
	name = slice_trim(slice_to(pair, (size_t)eq));
	value = slice_trim(slice_from(pair, (size_t)eq + 1));
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!slice_eq(name, slice_str(keys[i].name)))
			continue;
		if (*seen & 1u << i)
			return refuse(c, "%s is there twice", keys[i].name);
		*seen |= 1u << i;
		if (!value.n || !keys[i].parse(value, r))
			return refuse(c, "%s: expected %s, got \"%.*s\"", keys[i].name, keys[i].expected, SLICE_ARG(value));
		return 0;
	}
	return refuse(c, "expected service, route, method, status, min-duration, ratio or rate, got \"%.*s\"", SLICE_ARG(name));
}

static bool is_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (iscntrl((unsigned char)s.p[i]))
			return false;
	return true;
}

int rule_parse(struct slice text, struct rule *out, char *error, size_t size)
{
	struct complaint c = { .rule = slice_to(text, 128), .error = error, .size = size };
	_free_ char *copy = NULL;
	struct rule r = { .ratio = 1 };
	struct slice rest, pair;
	unsigned seen = 0;
	int e = 0;

	if (!is_printable(text)) {
		c.rule = SLICE("");
		return refuse(&c, "expected text without control characters");
	}
	if (text.n > RULE_TEXT_MAX)
		return refuse(&c, "expected at most %d bytes", RULE_TEXT_MAX);
	copy = strndup(text.n ? text.p : "", text.n);
	if (!copy)
		return -ENOMEM;
	rest = slice_str(copy);
	while (!e && slice_split(&rest, ',', &pair))
		e = parse_pair(slice_trim(pair), &r, &seen, &c);
	if (e)
		return e;
	if (!r.ratio && r.rate.limited)
		return refuse(&c, "rate contradicts ratio=0, which keeps nothing");
	r.text = TAKE_PTR(copy);
	*out = r;
	return 0;
}

void rule_fini(struct rule *r)
{
	free(r->text);
	*r = (struct rule){ 0 };
}

bool rule_on_outcome(const struct rule_match *m)
{
	return m->status != RULE_ANY_STATUS || m->min_duration;
}
