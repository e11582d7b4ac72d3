// SPDX-License-Identifier: Apache-2.0
/*
 * Queries without their values: what a key names may be a secret, and nobody can tell which. What stands before a `=` is a key; a
 * parameter without one is a value that has none (`?<token>`), unless it is asked for like a key (`?wsdl`).
 */
#include "glob.h"
#include "proto/describe.h"

#define REDACTED "REDACTED"

struct parameter {
	struct slice text; /* without its separator */
	size_t shown;	   /* bytes of the key and its = */
	bool hide;	   /* the rest is a value that nobody asked to keep */
};

static bool kept(const struct describe_config *config, struct slice key)
{
	for (size_t i = 0; i < config->n_keep_query; i++) {
		struct slice glob = config->keep_query[i];

		if (glob_match(glob.p, (uint32_t)glob.n, key.p, (uint32_t)key.n))
			return true;
	}
	return false;
}

/* The parameter at `at`; the next begins one byte behind its text. Some servers take `;` for a separator too. */
static struct parameter next_parameter(const struct describe_config *config, struct slice query, size_t at)
{
	struct parameter p = { .text = slice_from(query, at) };
	ptrdiff_t eq;
	size_t n = 0;

	while (n < p.text.n && p.text.p[n] != '&' && p.text.p[n] != ';')
		n++;
	p.text.n = n;
	eq = slice_find(p.text, '=');
	p.shown = (size_t)(eq + 1);
	p.hide = n && !kept(config, slice_to(p.text, eq < 0 ? n : (size_t)eq)) &&
		 !slice_eq(slice_from(p.text, p.shown), SLICE(REDACTED));
	return p;
}

static char *put(char *to, struct slice s)
{
	if (s.n)
		memcpy(to, s.p, s.n);
	return to + s.n;
}

struct slice describe_redact_query(struct description *d, struct slice query)
{
	size_t hidden = 0;
	char *text, *to;

	for (size_t at = 0; at < query.n;) {
		struct parameter p = next_parameter(d->config, query, at);

		hidden += p.hide;
		at += p.text.n + 1;
	}
	if (!hidden)
		return query;
	text = to = arena_alloc(d->arena, query.n + hidden * (sizeof(REDACTED) - 1));
	if (!text)
		return SLICE(REDACTED);
	for (size_t at = 0; at < query.n;) {
		struct parameter p = next_parameter(d->config, query, at);

		if (p.hide) {
			to = put(to, slice_to(p.text, p.shown));
			to = put(to, SLICE(REDACTED));
		} else {
			to = put(to, p.text);
		}
		at += p.text.n + 1;
		if (at <= query.n)
			*to++ = query.p[at - 1];
	}
	return slice_of(text, (size_t)(to - text));
}
