/* SPDX-License-Identifier: Apache-2.0 */
/* A borrow of bytes: pointer and length, no terminator, valid until the call that got it returns. */
#ifndef SPANDREL_BASE_SLICE_H
#define SPANDREL_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *p;
	size_t n;
};

#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })
#define SLICE_NONE ((struct slice){ NULL, 0 })
/* for printf's "%.*s" */
#define SLICE_ARG(s) (int)(s).n, (s).p

static inline struct slice slice_of(const char *p, size_t n)
{
	return (struct slice){ p, n };
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){ s, s ? strlen(s) : 0 };
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n));
}

static inline bool slice_eq_nocase(struct slice a, struct slice b)
{
	return a.n == b.n && (!a.n || !strncasecmp(a.p, b.p, a.n));
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && !memcmp(s.p, prefix.p, prefix.n);
}

static inline struct slice slice_from(struct slice s, size_t from)
{
	return from < s.n ? slice_of(s.p + from, s.n - from) : slice_of(s.n ? s.p + s.n : s.p, 0);
}

static inline struct slice slice_to(struct slice s, size_t to)
{
	return slice_of(s.p, to < s.n ? to : s.n);
}

/* Index of the byte, or -1. */
static inline ptrdiff_t slice_find(struct slice s, char c)
{
	const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;

	return hit ? hit - s.p : -1;
}

/* Without spaces and tabs at both ends (HTTP's OWS). */
static inline struct slice slice_trim(struct slice s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_from(s, 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Takes what stands before the next `sep` (or all) off the front of *rest. False when *rest.p is NULL: done. */
static inline bool slice_split(struct slice *rest, char sep, struct slice *part)
{
	ptrdiff_t at;

	if (!rest->p)
		return false;
	at = slice_find(*rest, sep);
	if (at < 0) {
		*part = *rest;
		*rest = SLICE_NONE;
	} else {
		*part = slice_to(*rest, (size_t)at);
		*rest = slice_from(*rest, (size_t)at + 1);
	}
	return true;
}

/* Decimal digits only, all of the slice. False on anything else or overflow; *out untouched then. */
static inline bool slice_u64(struct slice s, uint64_t *out)
{
	uint64_t v = 0;

	if (!s.n)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned char)s.p[i] - '0';

		if (d > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v))
			return false;
	}
	*out = v;
	return true;
}

#endif
