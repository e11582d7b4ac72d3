// SPDX-License-Identifier: Apache-2.0
#include "export/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/hex.h"
#include "base/scope.h"
#include "base/utf8.h"

#define DIGITS 0x3030303030303030ULL /* '0' */

/* Control characters, quote, backslash, DEL and all above. */
static inline bytes special(bytes b)
{
	return (b < 0x20) | (b == 0x7f) | (b == '"') | (b == '\\');
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

/* 1 to 15 bytes, if all stand for themselves: n, else 0. Room: 8 at least. */
static inline size_t put_short(char *to, const char *s, size_t n)
{
	bytes v = bytes_load_short(s, n, ' ');
	uint64_t half[2];

	memcpy(half, &v, sizeof(half));
	if (n >= sizeof(half[1]))
		memcpy(to + n - sizeof(half[1]), &half[1], sizeof(half[1]));
	memcpy(to, &half[0], sizeof(half[0]));
	return bytes_any(special(v)) ? 0 : n;
}

/* Writes as many of the n bytes as stand for themselves, sixteen at a time, and behind them anything. Room: n + 8. */
static inline size_t put_plain(char *to, const char *s, size_t n)
{
	size_t i = 0;
	bytes v;

	if (n < BYTES)
		return put_short(to, s, n);
	for (; i + BYTES < n; i += BYTES) {
		v = bytes_load(s + i);
		if (bytes_any(special(v)))
			return i;
		memcpy(to + i, &v, sizeof(v));
	}
	v = bytes_load(s + n - BYTES); /* some of it again */
	if (bytes_any(special(v)))
		return i;
	memcpy(to + n - BYTES, &v, sizeof(v));
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

static __attribute__((noinline)) void put_pieces(struct writer *j, struct slice s)
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
		j->at = put_chars(j->at, s.p + i, s.n - i, MIN(n - used, (size_t)BYTES), &used);
		i += used;
	}
}

/* Most are short, and plain. */
void json_text(struct writer *j, struct slice s)
{
	if (!s.n)
		return;
	if (s.n <= PIECE && writer_room(j, s.n + sizeof(uint64_t)) && put_plain(j->at, s.p, s.n) == s.n)
		j->at += s.n;
	else
		put_pieces(j, s);
}

#define CHUNK 100000000u /* eight digits */

/* v < CHUNK as eight bytes 0 to 9, the first of them lowest. Halves its lanes three times: 4, 2, 1 digits each. */
static inline uint64_t digits_of(uint32_t v)
{
	uint64_t x = v / 10000 | (uint64_t)(v % 10000) << 32, q;

	q = (x * 10486 >> 20) & 0x0000007f0000007fULL; /* / 100, exact below 10,000 */
	x = q | (x - q * 100) << 16;
	q = (x * 103 >> 10) & 0x000f000f000f000fULL; /* / 10, exact below 100 */
	return q | (x - q * 10) << 8;
}

void json_u64(struct writer *j, uint64_t v)
{
	uint64_t tail[2], x;
	unsigned n = 0, zeros;

	if (!writer_room(j, 3 * sizeof(x)))
		return;
	if (v < 10) {
		*j->at++ = (char)('0' + v);
		return;
	}
	for (; v >= CHUNK; v /= CHUNK)
		tail[n++] = htole64(digits_of((uint32_t)(v % CHUNK)) | DIGITS);
	x = digits_of((uint32_t)v);
	zeros = (unsigned)__builtin_ctzll(x) / 8;
	x = htole64((x | DIGITS) >> 8 * zeros);
	memcpy(j->at, &x, sizeof(x));
	j->at += sizeof(x) - zeros;
	for (; n; j->at += sizeof(x))
		memcpy(j->at, &tail[--n], sizeof(x));
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
