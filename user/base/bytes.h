/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sixteen bytes at a time, in the compilers' portable vectors. A comparison gives a vector with all bits of a byte set where it
 * holds. Never reads outside of the text.
 */
#ifndef SPANDREL_BASE_BYTES_H
#define SPANDREL_BASE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"

typedef signed char bytes __attribute__((vector_size(16))); /* signed: what is above ASCII is below zero */
typedef uint64_t bytes_words __attribute__((vector_size(16)));

#define BYTES 16u
#define BYTES_REPEAT(c) ((c) * 0x0101010101010101ULL)

static inline bytes bytes_load(const char *p)
{
	bytes v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t bytes_load8(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* 1 to 7 bytes as one word, and zeros. What is read twice falls on itself. */
static inline uint64_t bytes_load_few(const char *p, size_t n)
{
	uint32_t head, tail;

	if (n < sizeof(head))
		return htole64((uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 * (n / 2) |
			       (uint64_t)(uint8_t)p[n - 1] << 8 * (n - 1));
	memcpy(&head, p, sizeof(head));
	memcpy(&tail, p + n - sizeof(tail), sizeof(tail));
	return htole64(le32toh(head) | (uint64_t)le32toh(tail) << 8 * (n - sizeof(tail)));
}

/* 1 to 15 bytes, some of them twice; the rest is `fill`. */
static inline bytes bytes_load_short(const char *p, size_t n, char fill)
{
	uint64_t rest = BYTES_REPEAT((uint64_t)(uint8_t)fill);

	if (n < sizeof(rest))
		return (bytes)(bytes_words){ bytes_load_few(p, n) | htole64(rest << 8 * n), rest };
	return (bytes)(bytes_words){ bytes_load8(p), bytes_load8(p + n - sizeof(rest)) };
}

/* As memcpy(), for texts that are short as a rule: some bytes go twice, and nothing is called. */
static inline void bytes_copy(char *to, const char *from, size_t n)
{
	size_t i = 0;

	if (n >= BYTES) {
		for (; i + BYTES < n; i += BYTES)
			memcpy(to + i, from + i, BYTES);
		memcpy(to + n - BYTES, from + n - BYTES, BYTES);
	} else if (n >= 8) {
		memcpy(to, from, 8);
		memcpy(to + n - 8, from + n - 8, 8);
	} else if (n >= 4) {
		memcpy(to, from, 4);
		memcpy(to + n - 4, from + n - 4, 4);
	} else if (n) {
		to[0] = from[0];
		to[n / 2] = from[n / 2];
		to[n - 1] = from[n - 1];
	}
}

static inline bool bytes_any(bytes hit)
{
	bytes_words w = (bytes_words)hit;

	return w[0] | w[1];
}

/* Which is the first of those that were hit; there is one. */
static inline size_t bytes_first(bytes hit)
{
	bytes_words w = (bytes_words)hit;

	return w[0] ? (size_t)__builtin_ctzll(le64toh(w[0])) / 8 : 8 + (size_t)__builtin_ctzll(le64toh(w[1])) / 8;
}

/* Does `test` hit any byte of the text? It does not hit `fill`. */
static inline __attribute__((always_inline)) bool bytes_hit(struct slice s, bytes (*test)(bytes), char fill)
{
	size_t i = 0;

	if (s.n < BYTES)
		return s.n && bytes_any(test(bytes_load_short(s.p, s.n, fill)));
	for (; i + BYTES < s.n; i += BYTES)
		if (bytes_any(test(bytes_load(s.p + i))))
			return true;
	return bytes_any(test(bytes_load(s.p + s.n - BYTES))); /* some of it again */
}

#endif
