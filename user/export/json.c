// SPDX-License-Identifier: Apache-2.0
#include "export/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/hex.h"
#include "base/scope.h"
#include "base/utf8.h"

#define ONES 0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL
#define HAS_ZERO(v) (((v) - ONES) & ~(v) & HIGHS)

/* Is one of the eight a byte below 0x20, a quote, a backslash, DEL or above? May not be wrong about "none". */
static inline bool any_special(uint64_t v)
{
	uint64_t below_space = (v - ONES * 0x20) & ~v;

	return ((v | below_space) & HIGHS) | HAS_ZERO(v ^ ONES * 0x7f) | HAS_ZERO(v ^ ONES * '"') | HAS_ZERO(v ^ ONES * '\\');
}

static char *put_escape(char *to, unsigned char c)
{
	static const char names[32] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r' };
	char name = c < 0x20 ? names[c] : c == 0x7f ? 0 : (char)c;

	*to++ = '\\';
	if (name) {
		*to++ = name;
		return to;
	}
	memcpy(to, "u00", 3);
	hex_put(to + 3, &c, 1);
	return to + 5;
}

/* One character of the text, *len bytes of it. */
static char *put_char(char *to, const char *s, size_t n, size_t *len)
{
	unsigned char c = (unsigned char)*s;
	size_t wide;

	*len = 1;
	if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
		return put_escape(to, c);
	if (c < 0x80) {
		*to = (char)c;
		return to + 1;
	}
	wide = utf8_sequence(s, n);
	if (!wide) {
		memcpy(to, "\xef\xbf\xbd", 3);
		return to + 3;
	}
	memcpy(to, s, wide);
	*len = wide;
	return to + wide;
}

#define PIECE 128u /* asked for at once, at the worst 6 bytes for each */

/* Up to 7 bytes as one word, the rest of it spaces. */
static inline uint64_t word_of(const char *s, size_t n)
{
	uint64_t v = ONES * ' ';
	char *to = (char *)&v;

	if (n & 4)
		memcpy(to, s, 4);
	if (n & 2)
		memcpy(to + (n & 4), s + (n & 4), 2);
	if (n & 1)
		to[n - 1] = s[n - 1];
	return v;
}

/* Writes as many of the n bytes as stand for themselves, eight at a time, and behind them anything. Room: n + 8. */
static inline size_t put_plain(char *to, const char *s, size_t n)
{
	size_t i = 0;
	uint64_t v;

	for (; n - i >= sizeof(v); i += sizeof(v)) {
		memcpy(&v, s + i, sizeof(v));
		if (any_special(v))
			return i;
		memcpy(to + i, &v, sizeof(v));
	}
	v = word_of(s + i, n - i);
	if (any_special(v))
		return i;
	memcpy(to + i, &v, sizeof(v));
	return n;
}

/* A piece in which something does not stand for itself. */
static char *put_chars(char *to, const char *s, size_t n, size_t stop, size_t *used)
{
	size_t i, len;

	for (i = 0; i < stop; i += len)
		to = put_char(to, s + i, n - i, &len);
	*used = i;
	return to;
}

void json_text(struct writer *j, struct slice s)
{
	size_t i = 0, n, used;

	while (i < s.n) {
		n = MIN(s.n - i, (size_t)PIECE);
		if (!writer_room(j, PIECE * 6 + sizeof(uint64_t)))
			return;
		used = put_plain(j->at, s.p + i, n);
		i += used;
		j->at += used;
		if (used == n)
			continue;
		j->at = put_chars(j->at, s.p + i, s.n - i, MIN(n - used, sizeof(uint64_t)), &used);
		i += used;
	}
}

static unsigned decimal_digits(uint64_t v)
{
	unsigned n = 1;

	for (; v >= 10000; v /= 10000)
		n += 4;
	return n + (v >= 10) + (v >= 100) + (v >= 1000);
}

void json_u64(struct writer *j, uint64_t v)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
				    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
				    "8081828384858687888990919293949596979899";
	unsigned n = decimal_digits(v);
	char *p;

	if (!writer_room(j, n))
		return;
	j->at += n;
	for (p = j->at; v >= 100; v /= 100)
		memcpy(p -= 2, pairs + 2 * (v % 100), 2);
	if (v >= 10)
		memcpy(p - 2, pairs + 2 * v, 2);
	else
		p[-1] = (char)('0' + v);
}

void json_i64(struct writer *j, int64_t v)
{
	if (v < 0)
		writer_lit(j, "-");
	json_u64(j, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void json_double(struct writer *j, double v)
{
	char text[32];

	if (isnan(v))
		writer_lit(j, "\"NaN\"");
	else if (isinf(v))
		writer_raw(j, v < 0 ? "\"-Infinity\"" : "\"Infinity\"", v < 0 ? 11 : 10);
	else
		writer_raw(j, text, (size_t)snprintf(text, sizeof(text), "%.17g", v));
}

void json_hex(struct writer *j, const uint8_t *p, size_t n)
{
	if (!writer_room(j, 2 * n))
		return;
	hex_put(j->at, p, n);
	j->at += 2 * n;
}
