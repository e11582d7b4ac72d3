// SPDX-License-Identifier: Apache-2.0
/*
 * Recognising a message by its start line: at the beginning of a connection (sniffing) and after a loss, where in doubt
 * a message is missed and none is invented.
 */
#include "base/scope.h"
#include "proto/http1.h"

#define LINE_MAX_SNIFF 8192 /* a start line that is longer is taken for one if its method is known */

/*
 * After a loss only these begin a request: what looks like an unknown method may be the rest of a known one. RFC 9110,
 * RFC 5789, WebDAV, and what caches and UPnP use.
 */
static const char *const methods[] = {
	"GET",	    "POST",   "PUT",  "HEAD", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "QUERY", "PROPFIND",
	"PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK",	"UNLOCK", "REPORT", "SEARCH",  "PURGE", "MERGE", "NOTIFY",
	"SUBSCRIBE", "UNSUBSCRIBE",
};

/* `s` is one of them; with `part`, or begins one. */
static bool method_listed(struct slice s, bool part)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		struct slice m = slice_str(methods[i]);

		if (part ? slice_starts(m, s) : slice_eq(m, s))
			return true;
	}
	return false;
}

static bool text_only(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

static enum sniff prefix_of(struct slice s, struct slice whole)
{
	if (s.n >= whole.n)
		return slice_starts(s, whole) ? SNIFF_YES : SNIFF_NO;
	return slice_starts(whole, s) ? SNIFF_MORE : SNIFF_NO;
}

/* `rest` follows the target's blank: HTTP/1.x and the line's end. */
static enum sniff version_and_end(struct slice rest)
{
	enum sniff r = prefix_of(rest, SLICE("HTTP/1."));

	if (r != SNIFF_YES || rest.n == 7)
		return r == SNIFF_YES ? SNIFF_MORE : r;
	if (rest.p[7] < '0' || rest.p[7] > '9')
		return SNIFF_NO;
	rest = slice_from(rest, 8);
	if (!rest.n || (rest.n == 1 && rest.p[0] == '\r'))
		return SNIFF_MORE;
	return rest.p[0] == '\n' || (rest.p[0] == '\r' && rest.p[1] == '\n') ? SNIFF_YES : SNIFF_NO;
}

enum sniff http1_sniff_request(struct slice in)
{
	struct slice rest, target;
	ptrdiff_t blank;
	size_t m = 0;

	while (m < in.n && m <= HTTP1_METHOD_MAX && http1_token[(unsigned char)in.p[m]])
		m++;
	if (!m || m > HTTP1_METHOD_MAX)
		return in.n ? SNIFF_NO : SNIFF_MORE;
	if (m == in.n)
		return SNIFF_MORE;
	if (in.p[m] != ' ')
		return SNIFF_NO;
	rest = slice_from(in, m + 1);
	blank = slice_find(slice_to(rest, PROTO_HEAD_MAX), ' ');
	target = slice_to(rest, blank < 0 ? PROTO_HEAD_MAX : (size_t)blank);
	if (!text_only(slice_to(target, LINE_MAX_SNIFF)) || !blank)
		return SNIFF_NO;
	if (blank > 0)
		return version_and_end(slice_from(rest, (size_t)blank + 1));
	return SNIFF_MORE;
}

enum sniff http1_sniff_response(struct slice in)
{
	enum sniff r = prefix_of(in, SLICE("HTTP/1."));

	if (r != SNIFF_YES)
		return r;
	for (size_t i = 7; i < 12; i++) {
		if (i == in.n)
			return SNIFF_MORE;
		if (i == 8 ? in.p[i] != ' ' : in.p[i] < '0' || in.p[i] > '9')
			return SNIFF_NO;
	}
	if (in.n == 12)
		return SNIFF_MORE;
	return in.p[12] == ' ' || in.p[12] == '\r' || in.p[12] == '\n' ? SNIFF_YES : SNIFF_NO;
}

/* Bytes of the method, if one stands at the front with its blank (or as far as the data go). */
static bool method_at_front(struct slice in)
{
	ptrdiff_t blank = slice_find(slice_to(in, HTTP1_METHOD_MAX), ' ');

	return blank < 0 ? method_listed(in, true) : method_listed(slice_to(in, (size_t)blank), false);
}

/* A start line, or at the very end of the data the beginning of one. */
static bool starts(struct slice in, uint8_t type)
{
	enum sniff r = type == MSG_REQUEST ? http1_sniff_request(in) : http1_sniff_response(in);

	return r != SNIFF_NO && in.n && (type == MSG_RESPONSE || method_at_front(in));
}

/* A request behind another one was pipelined: which answer is whose cannot be known, so it is passed over. */
static bool starts_any(struct slice in, bool first, uint8_t type, uint8_t *found)
{
	static const uint8_t types[] = { MSG_RESPONSE, MSG_REQUEST };

	for (size_t i = 0; i < (first ? 2 : 1); i++) {
		if ((type && type != types[i]) || !starts(in, types[i]))
			continue;
		*found = types[i];
		return true;
	}
	return false;
}

/* Behind an empty line: where the head before it, or its last chunk, ended. */
static size_t behind_empty_line(struct slice in, size_t from)
{
	for (ptrdiff_t at; (at = slice_find(slice_from(in, from), '\n')) >= 0;) {
		from += (size_t)at + 1;
		if (from < in.n && in.p[from] == '\n')
			return from + 1;
		if (from + 1 < in.n && in.p[from] == '\r' && in.p[from + 1] == '\n')
			return from + 2;
	}
	return in.n;
}

ptrdiff_t http1_find(struct slice in, uint8_t type, uint8_t *found)
{
	for (size_t at = 0; at < in.n; at = behind_empty_line(in, at ? at - 1 : 0))
		if (starts_any(slice_from(in, at), !at, type, found))
			return (ptrdiff_t)at;
	return -1;
}
