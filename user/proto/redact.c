// SPDX-License-Identifier: Apache-2.0
#include "proto/redact.h"

#include "base/bytes.h"
#include "base/scope.h"

#define REDACTED SLICE("REDACTED")

/* ---- URLs ---- */

static size_t until(struct slice s, const char *stops)
{
	size_t n = 0;

	while (n < s.n && !memchr(stops, s.p[n], strlen(stops)))
		n++;
	return n;
}

/* Text that is first measured (to NULL), then written. */
struct out {
	char *to;
	size_t n;
	bool cut; /* the text may go on: its end was not kept */
};

static void put(struct out *o, struct slice s)
{
	if (o->to && s.n)
		memcpy(o->to + o->n, s.p, s.n);
	o->n += s.n;
}

/* User info at the front of what follows a "//": its bytes, 0 when there is none. The last @ ends it. */
static size_t userinfo_length(struct slice s)
{
	size_t n = until(s, "/");
	const char *at = n ? memrchr(s.p, '@', n) : NULL;

	return at ? (size_t)(at - s.p) : 0;
}

/* ";jsessionid=" at the front: its bytes, else 0. */
static size_t session_length(struct slice s)
{
	static const char name[] = ";jsessionid=";

	return s.n >= sizeof(name) - 1 && !strncasecmp(s.p, name, sizeof(name) - 1) ? sizeof(name) - 1 : 0;
}

/* All before the query: user info, also of URLs that are part of a path, and session ids. */
static void put_path(struct out *o, struct slice s)
{
	while (s.n) {
		size_t skip = slice_starts(s, SLICE("//")) ? 2 : session_length(s), hide = 0;
		struct slice rest = slice_from(s, skip);

		if (skip == 2)
			hide = o->cut && until(rest, "/") == rest.n ? rest.n : userinfo_length(rest);
		else if (skip)
			hide = until(rest, ";/");
		skip = skip ? skip : 1;
		put(o, slice_to(s, skip));
		if (hide)
			put(o, skip == 2 && memchr(rest.p, ':', hide) ? SLICE("REDACTED:REDACTED") : REDACTED);
		s = slice_from(s, skip + hide);
	}
}

static void put_url(struct out *o, struct slice path, struct slice query, struct slice fragment)
{
	o->n = 0;
	put_path(o, path);
	put(o, query.p ? SLICE("?") : SLICE_NONE);
	put(o, query);
	put(o, slice_find(fragment, '=') >= 0 ? SLICE("#REDACTED") : fragment);
}

static inline bytes in_urls(bytes b)
{
	return (b == '?') | (b == '@') | (b == ';') | (b == '#');
}

/* Most are, and each span has some. */
static bool looks_clean(struct slice s)
{
	return !bytes_hit(s, in_urls, 0);
}

/* At --max-attribute-length, or at a character's border before it: the last @ of user info may be gone. */
static bool may_be_cut(const struct description *d, struct slice s)
{
	return d->config->max_value && s.n + 3 >= d->config->max_value;
}

static struct slice clean_url(struct description *d, struct slice url)
{
	struct slice path, fragment, query = SLICE_NONE;
	struct out o = { 0 };

	if (looks_clean(url) && !may_be_cut(d, url))
		return url;
	path = slice_to(url, until(url, "?#"));
	o.cut = path.n == url.n && may_be_cut(d, url);
	fragment = slice_from(url, path.n + until(slice_from(url, path.n), "#"));
	if (path.n < url.n && url.p[path.n] == '?')
		query = describe_redact_query(d, slice_of(url.p + path.n + 1, url.n - fragment.n - path.n - 1));
	put_url(&o, path, query, fragment);
	o.to = arena_alloc(d->arena, o.n + 1);
	if (!o.to)
		return REDACTED;
	put_url(&o, path, query, fragment);
	return slice_of(o.to, o.n);
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
	return s.n && (s.p[0] == '/' || s.p[0] == '?' || memmem(s.p, s.n, "://", 3));
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
	switch (key.p[0]) {
	case 'u':
		return slice_starts(key, SLICE("url."));
	case 'h':
		return slice_starts(key, SLICE("http.url")) || slice_starts(key, SLICE("http.target")) ||
		       slice_starts(key, SLICE("http.route"));
	case 'r':
		return slice_starts(key, SLICE("rpc.method"));
	default:
		return false;
	}
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
		else if (holds_url(a->key))
			a->s = slice_eq(a->key, SLICE("url.query")) ? describe_redact_query(d, a->s) : clean_url(d, a->s);
	}
}
