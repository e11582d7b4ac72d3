// SPDX-License-Identifier: Apache-2.0
/* Request targets (RFC 9112 §3.2), authorities (RFC 3986 §3.2) and the Forwarded field (RFC 7239). */
#include <arpa/inet.h>

#include "base/scope.h"
#include "proto/http1.h"

static bool parse_port(struct slice s, uint16_t *out)
{
	uint64_t v;

	if (!slice_u64(s, &v) || !v || v > UINT16_MAX)
		return false;
	*out = (uint16_t)v;
	return true;
}

static bool is_v6(struct slice s)
{
	char text[64];
	struct in6_addr a;

	if (s.n >= sizeof(text) || !s.n)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	return strlen(text) == s.n && inet_pton(AF_INET6, text, &a) == 1;
}

static bool is_v4(struct slice s)
{
	char text[16];
	struct in_addr a;

	if (s.n >= sizeof(text) || !s.n)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	return strlen(text) == s.n && inet_pton(AF_INET, text, &a) == 1;
}

static bool is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* RFC 3986 reg-name without sub-delimiters, and the underscore and the raw UTF-8 that real names have. */
static bool is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (!is_alnum(c) && c < 0x80 && !memchr("-._~%", c, 5))
			return false;
	}
	return s.n > 0;
}

/* Splits "[v6]:port", "[v6]", "host:port", "host". */
static bool split_port(struct slice s, struct slice *host, bool *v6, struct slice *port)
{
	ptrdiff_t at = slice_find(s, ':');

	*v6 = s.n && s.p[0] == '[';
	*port = SLICE_NONE;
	if (*v6) {
		at = slice_find(s, ']');
		if (at < 0)
			return false;
		*host = slice_of(s.p + 1, (size_t)at - 1);
		s = slice_from(s, (size_t)at + 1);
		if (!s.n)
			return true;
		if (s.p[0] != ':')
			return false;
		*port = slice_from(s, 1);
		return true;
	}
	*host = at < 0 ? s : slice_to(s, (size_t)at);
	if (at >= 0)
		*port = slice_from(s, (size_t)at + 1);
	return true;
}

bool http1_authority(struct slice s, struct http1_authority *out)
{
	struct http1_authority a = { 0 };
	struct slice port;

	if (!split_port(s, &a.host, &a.v6, &port) || !(a.v6 ? is_v6(a.host) : is_name(a.host)))
		return false;
	if (port.n && !parse_port(port, &a.port)) /* "host:" is host */
		return false;
	*out = a;
	return true;
}

static void split_query(struct slice s, struct http1_target *out)
{
	ptrdiff_t at = slice_find(s, '#'); /* a fragment is none of a request's business */

	if (at >= 0)
		s = slice_to(s, (size_t)at);
	at = slice_find(s, '?');
	out->path = at < 0 ? s : slice_to(s, (size_t)at);
	if (at >= 0)
		out->query = slice_from(s, (size_t)at + 1);
}

/* scheme "://": its length, or 0. */
static size_t scheme_length(struct slice s)
{
	size_t n = 0;

	while (n < s.n && n < 32 && (is_alnum((unsigned char)s.p[n]) || (n && memchr("+-.", s.p[n], 3))))
		n++;
	return n && slice_starts(slice_from(s, n), SLICE("://")) ? n : 0;
}

static void absolute(struct slice target, size_t scheme, struct http1_target *out)
{
	struct slice rest = slice_from(target, scheme + 3);
	size_t n = 0;

	out->scheme = slice_to(target, scheme);
	while (n < rest.n && !memchr("/?#", rest.p[n], 3))
		n++;
	out->authority = slice_to(rest, n);
	for (size_t i = n; i > 0; i--) { /* the last @: a password may contain one */
		if (rest.p[i - 1] != '@')
			continue;
		out->userinfo = slice_to(rest, i - 1);
		out->authority = slice_of(rest.p + i, n - i);
		break;
	}
	split_query(slice_from(rest, n), out);
	if (!out->path.n)
		out->path = SLICE("/");
}

void http1_target(struct slice method, struct slice target, struct http1_target *out)
{
	size_t scheme = scheme_length(target);

	*out = (struct http1_target){ 0 };
	if (slice_eq(method, SLICE("CONNECT")))
		out->authority = target;
	else if (scheme)
		absolute(target, scheme, out);
	else if (target.n && (target.p[0] == '/' || slice_eq(target, SLICE("*"))))
		split_query(target, out); /* anything else is no target: it is not shown */
}

/* Where the first element of a list ends; commas in quotes do not count. */
static struct slice first_element(struct slice list)
{
	bool quoted = false;

	for (size_t i = 0; i < list.n; i++) {
		if (list.p[i] == '\\' && quoted)
			i++;
		else if (list.p[i] == '"')
			quoted = !quoted;
		else if (list.p[i] == ',' && !quoted)
			return slice_to(list, i);
	}
	return list;
}

struct slice http1_forwarded(struct slice field, struct slice name)
{
	struct slice rest, pair;

	if (!field.n)
		return SLICE_NONE;
	rest = first_element(field);
	while (slice_split(&rest, ';', &pair)) {
		ptrdiff_t eq = slice_find(pair, '=');
		struct slice value;

		if (eq < 0 || !slice_eq_nocase(slice_trim(slice_to(pair, (size_t)eq)), name))
			continue;
		value = slice_trim(slice_from(pair, (size_t)eq + 1));
		if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
			value = slice_of(value.p + 1, value.n - 2);
		return memchr(value.p, '\\', value.n) ? SLICE_NONE : value; /* nothing we read needs escapes */
	}
	return SLICE_NONE;
}

struct slice http1_node_address(struct slice node)
{
	struct slice host, port;
	bool v6;

	node = slice_trim(node);
	if (is_v6(node))
		return node;
	if (!split_port(node, &host, &v6, &port) || !(v6 ? is_v6(host) : is_v4(host)))
		return SLICE_NONE;
	return host;
}
