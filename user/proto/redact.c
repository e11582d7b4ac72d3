// SPDX-License-Identifier: Apache-2.0
#include "proto/redact.h"

#include "base/scope.h"

#define REDACTED SLICE("REDACTED")

/* ---- URLs ---- */

/* A URL or a part of one, cut where its meaning changes. Together the parts are the whole. */
struct parts {
	struct slice front, userinfo, path, query, fragment; /* the last two with their ? and # */
};

static size_t until(struct slice s, const char *stops)
{
	size_t n = 0;

	while (n < s.n && !strchr(stops, s.p[n]))
		n++;
	return n;
}

/* Where the authority begins: behind "//" at the front or after a scheme; 0: there is none. */
static size_t authority_at(struct slice s)
{
	size_t n = until(s, "/?#");

	if (n + 1 < s.n && s.p[n] == '/' && s.p[n + 1] == '/' && (!n || s.p[n - 1] == ':'))
		return n + 2;
	return 0;
}

/* The first one behind a "//", also of a URL inside the path; p NULL: none. */
static struct slice find_userinfo(struct slice s)
{
	size_t end = until(s, "?#");

	for (size_t i = 0; i + 1 < end; i++) {
		size_t n = s.p[i] == '/' && s.p[i + 1] == '/' ? until(slice_of(s.p + i + 2, end - i - 2), "/") : 0;
		const char *at = n ? memrchr(s.p + i + 2, '@', n) : NULL;

		if (at)
			return slice_of(s.p + i + 2, (size_t)(at - s.p) - i - 2);
	}
	return SLICE_NONE;
}

static void cut(struct slice s, struct parts *p)
{
	struct slice userinfo = find_userinfo(s);

	*p = (struct parts){ .front = slice_to(s, userinfo.p ? (size_t)(userinfo.p - s.p) : 0), .userinfo = userinfo };
	s = slice_from(s, p->front.n + userinfo.n);
	p->path = slice_to(s, until(s, "?#"));
	s = slice_from(s, p->path.n);
	p->query = slice_to(s, until(s, "#"));
	p->fragment = slice_from(s, p->query.n);
}

/* The value of ";jsessionid=", where there is one. */
static struct slice session_in(struct slice path)
{
	static const char name[] = ";jsessionid=";

	for (size_t i = 0; i + sizeof(name) - 1 < path.n; i++)
		if (path.p[i] == ';' && !strncasecmp(path.p + i, name, sizeof(name) - 1)) {
			struct slice value = slice_from(path, i + sizeof(name) - 1);

			return slice_to(value, until(value, ";/"));
		}
	return SLICE_NONE;
}

static struct slice clean_userinfo(struct slice userinfo)
{
	if (!userinfo.n)
		return userinfo;
	return slice_find(userinfo, ':') >= 0 ? SLICE("REDACTED:REDACTED") : REDACTED;
}

static struct slice clean_query(struct description *d, struct slice query)
{
	struct slice parts[2] = { SLICE("?"), SLICE_NONE };

	if (query.n < 2)
		return query;
	parts[1] = describe_redact_query(d, slice_from(query, 1));
	return parts[1].p == query.p + 1 ? query : describe_join(d, parts, 2);
}

static struct slice clean_fragment(struct slice fragment)
{
	return slice_find(fragment, '=') >= 0 ? SLICE("#REDACTED") : fragment;
}

static bool looks_clean(struct slice s)
{
	return !s.n || (!memchr(s.p, '?', s.n) && !memchr(s.p, '@', s.n) && !memchr(s.p, ';', s.n) && !memchr(s.p, '#', s.n));
}

static struct slice clean_url(struct description *d, struct slice url)
{
	struct slice piece[6], session, whole;
	struct parts p;

	if (looks_clean(url))
		return url;
	cut(url, &p);
	session = session_in(p.path);
	piece[0] = p.front;
	piece[1] = clean_userinfo(p.userinfo);
	piece[2] = session.n ? slice_of(p.path.p, (size_t)(session.p - p.path.p)) : p.path;
	piece[3] = session.n ? REDACTED : SLICE_NONE;
	piece[4] = session.n ? slice_of(session.p + session.n, (size_t)(p.path.p + p.path.n - session.p) - session.n) : SLICE_NONE;
	whole = clean_query(d, p.query);
	if (whole.p == p.query.p && !session.n && !p.userinfo.n && !p.fragment.n)
		return url;
	piece[5] = whole;
	whole = describe_join(d, piece, ARRAY_SIZE(piece));
	if (whole.n && p.fragment.n)
		whole = describe_join(d, (struct slice[]){ whole, clean_fragment(p.fragment) }, 2);
	return whole.n ? whole : REDACTED;
}

/* ---- captured headers and metadata ---- */

static bool name_has(struct slice name, struct slice word)
{
	return memmem(name.p, name.n, word.p, word.n) != NULL;
}

/* Names are in lower case here. */
static bool sensitive(struct slice name)
{
	static const struct slice words[] = { SLICE("auth"), SLICE("cookie"), SLICE("token"), SLICE("secret"), SLICE("passw"),
					      SLICE("credential"), SLICE("api-key"), SLICE("apikey"), SLICE("api_key"),
					      SLICE("access-key"), SLICE("access_key"), SLICE("session"), SLICE("signature"), SLICE("jwt"),
					      SLICE("bearer") };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (name_has(name, words[i]))
			return true;
	return false;
}

/* Older conventions write _ for - in a header's name. */
static bool same_header(struct slice a, struct slice b)
{
	size_t i = 0;

	if (a.n != b.n)
		return false;
	while (i < a.n && (a.p[i] == b.p[i] || (a.p[i] == '-' && b.p[i] == '_')))
		i++;
	return i == a.n;
}

static bool asked_for(const struct describe_config *c, struct slice name)
{
	for (size_t i = 0; i < c->n_plain_headers; i++)
		if (same_header(c->plain_headers[i], name))
			return true;
	return false;
}

/* http.request.header.NAME, rpc.response.metadata.NAME, … */
static struct slice header_name(struct slice key)
{
	static const struct slice kinds[] = { SLICE(".header."), SLICE(".metadata.") };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *at = memmem(key.p, key.n, kinds[i].p, kinds[i].n);

		if (at)
			return slice_from(key, (size_t)(at - key.p) + kinds[i].n);
	}
	return SLICE_NONE;
}

static bool looks_like_url(struct slice s)
{
	return s.n && (s.p[0] == '/' || s.p[0] == '?' || authority_at(s));
}

static void redact_strings(struct description *d, struct attr *a)
{
	struct slice name = header_name(a->key), *values = (struct slice *)a->strings.v; /* the description's own array */
	bool plain = asked_for(d->config, name), hide = !plain && sensitive(name);

	for (size_t i = 0; i < a->strings.n && !plain; i++)
		if (hide)
			values[i] = REDACTED;
		else if (looks_like_url(values[i]))
			values[i] = clean_url(d, values[i]);
}

/* ---- attributes ---- */

static bool holds_url(struct slice key)
{
	static const struct slice prefixes[] = { SLICE("url."), SLICE("http.url"), SLICE("http.target"), SLICE("http.route"),
						 SLICE("rpc.method") };

	if (key.p[0] != 'u' && key.p[0] != 'h' && key.p[0] != 'r')
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (slice_starts(key, prefixes[i]))
			return true;
	return false;
}

void redact_description(struct description *d)
{
	d->name = clean_url(d, d->name);
	for (unsigned i = 0; i < d->n_attrs; i++) {
		struct attr *a = &d->attrs[i];

		if (a->type == ATTR_STRINGS)
			redact_strings(d, a);
		else if (a->type != ATTR_STRING || !a->key.n)
			continue;
		else if (slice_eq(a->key, SLICE("url.query")))
			a->s = describe_redact_query(d, a->s);
		else if (holds_url(a->key))
			a->s = clean_url(d, a->s);
	}
}
