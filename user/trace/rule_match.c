// SPDX-License-Identifier: Apache-2.0
/* A rule against a span, by the names of the semantic conventions; and a rule against a rule. */
#include "glob.h"
#include "host/process.h"
#include "proto/grpc.h"
#include "trace/rule.h"
#include "trace/span.h"

static bool fits(struct slice glob, struct slice s)
{
	return glob_match(glob.p, (uint32_t)glob.n, s.p, (uint32_t)s.n);
}

static struct slice text_of(const struct span *s, const char *key)
{
	const struct attr *a = describe_find(&s->d, key);

	return a && a->type == ATTR_STRING ? a->s : SLICE_NONE;
}

static bool int_of(const struct span *s, const char *key, int64_t *out)
{
	const struct attr *a = describe_find(&s->d, key);

	if (!a || a->type != ATTR_INT)
		return false;
	*out = a->i;
	return true;
}

/* From the first of the bytes on; nothing when there is none. */
static struct slice from_first(struct slice s, char c)
{
	ptrdiff_t at = slice_find(s, c);

	return at < 0 ? SLICE_NONE : slice_from(s, (size_t)at);
}

/* The path of an absolute URL. */
static struct slice path_of(struct slice url)
{
	struct slice rest = from_first(url, ':'), path;

	if (!slice_starts(rest, SLICE("://")))
		return SLICE_NONE;
	path = from_first(slice_from(rest, 3), '/');
	slice_split(&path, '?', &rest);
	return rest.n && rest.p[0] == '/' ? rest : SLICE("/");
}

static struct slice route_of(const struct span *s)
{
	struct slice text = text_of(s, "http.route");

	if (!text.p)
		text = text_of(s, "url.path");
	if (!text.p)
		text = path_of(text_of(s, "url.full"));
	return text;
}

static bool route_fits(struct slice glob, const struct span *s)
{
	struct slice text = text_of(s, "rpc.method"), original = text_of(s, "rpc.method_original");

	text = original.p ? original : text; /* the method is _OTHER then */
	if (text.p)
		return fits(glob, text) || (glob.p[0] == '/' && fits(slice_from(glob, 1), text));
	text = route_of(s);
	return text.p && fits(glob, text);
}

static bool grpc_status_is(const struct span *s, uint16_t code)
{
	struct slice name = text_of(s, "rpc.response.status_code");
	int64_t number;

	if (name.p)
		return slice_eq(name, grpc_status_name(code));
	return int_of(s, "rpc.grpc.status_code", &number) && number == code;
}

static bool status_fits(const struct rule_match *m, const struct span *s)
{
	int64_t http = 0;

	switch ((enum rule_status)m->status) {
	case RULE_ANY_STATUS:
		return true;
	case RULE_ERROR:
		return s->d.status == STATUS_ERROR;
	case RULE_GRPC_STATUS:
		return grpc_status_is(s, m->code);
	case RULE_HTTP_STATUS:
		return int_of(s, "http.response.status_code", &http) && http == m->code;
	case RULE_HTTP_CLASS:
		return int_of(s, "http.response.status_code", &http) && http / 100 == m->code;
	}
	return false;
}

static bool method_fits(struct slice glob, const struct span *s)
{
	struct slice method = text_of(s, "http.request.method_original");

	if (!method.p)
		method = text_of(s, "http.request.method");
	return method.p && fits(glob, method);
}

bool rule_matches(const struct rule_match *m, const struct span *s)
{
	if (m->min_duration && s->end - s->start < m->min_duration)
		return false;
	if (m->status && !status_fits(m, s))
		return false;
	if (m->service.p && (!s->resource || !fits(m->service, s->resource->service)))
		return false;
	if (m->method.p && !method_fits(m->method, s))
		return false;
	return !m->route.p || route_fits(m->route, s);
}

/*
 * The later pattern as a text for the first: only bytes that stand for themselves, or all of it under a star, can match it.
 * Not proven with a `?` in the first, which would take a star for one byte.
 */
static bool glob_covers(struct slice first, struct slice later)
{
	if (!first.p)
		return true;
	if (!later.p)
		return false;
	if (slice_eq(first, later))
		return true;
	return slice_find(first, '?') < 0 && fits(first, later);
}

static bool status_covers(const struct rule_match *first, const struct rule_match *later)
{
	if (first->status == later->status)
		return first->code == later->code;
	return first->status == RULE_ANY_STATUS ||
	       (first->status == RULE_HTTP_CLASS && later->status == RULE_HTTP_STATUS && later->code / 100 == first->code);
}

bool rule_covers(const struct rule_match *first, const struct rule_match *later)
{
	return glob_covers(first->service, later->service) && glob_covers(first->route, later->route) &&
	       glob_covers(first->method, later->method) && status_covers(first, later) &&
	       first->min_duration <= later->min_duration;
}

bool rule_same_match(const struct rule_match *a, const struct rule_match *b)
{
	return rule_covers(a, b) && rule_covers(b, a) && slice_eq(a->service, b->service) && slice_eq(a->route, b->route) &&
	       slice_eq(a->method, b->method);
}
