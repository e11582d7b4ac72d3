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

void json_text(struct writer *j, struct slice s)
{
	size_t i = 0, stop, len;
	uint64_t v;

	while (i < s.n) {
		if (!writer_room(j, PIECE * 6 + sizeof(v)))
			return;
		stop = MIN(s.n, i + PIECE);
		while (i < stop) {
			if (s.n - i >= sizeof(v)) {
				memcpy(&v, s.p + i, sizeof(v));
				memcpy(j->at, &v, sizeof(v));
				if (!any_special(v)) {
					j->at += sizeof(v);
					i += sizeof(v);
					continue;
				}
			}
			j->at = put_char(j->at, s.p + i, s.n - i, &len);
			i += len;
		}
	}
}

void json_u64(struct writer *j, uint64_t v)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
				    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
				    "8081828384858687888990919293949596979899";
	char text[20], *p = text + sizeof(text);

	while (v >= 100) {
		p -= 2;
		memcpy(p, pairs + 2 * (v % 100), 2);
		v /= 100;
	}
	if (v >= 10) {
		p -= 2;
		memcpy(p, pairs + 2 * v, 2);
	} else {
		*--p = (char)('0' + v);
	}
	writer_raw(j, p, (size_t)(text + sizeof(text) - p));
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
