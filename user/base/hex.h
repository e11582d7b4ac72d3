/* SPDX-License-Identifier: Apache-2.0 */
/* Lower-case hexadecimal, as trace context and OTLP/JSON want it. */
#ifndef SPANDREL_BASE_HEX_H
#define SPANDREL_BASE_HEX_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline char hex_of(uint8_t nibble)
{
	return "0123456789abcdef"[nibble];
}

/* Four bytes at once: each nibble in a byte of its own, then '0' or, above 9, 'a' - 10 added to each. */
static inline void hex_put4(char *to, const uint8_t *from)
{
	uint32_t four;
	uint64_t x;

	memcpy(&four, from, sizeof(four));
	x = le32toh(four);
	x = (x | x << 16) & 0x0000ffff0000ffffULL;
	x = (x | x << 8) & 0x00ff00ff00ff00ffULL;
	x = (x >> 4 & 0x000f000f000f000fULL) | (x & 0x000f000f000f000fULL) << 8;
	x += 0x3030303030303030ULL + ((x + 0x0606060606060606ULL) >> 4 & 0x0101010101010101ULL) * ('a' - 10 - '0');
	x = htole64(x);
	memcpy(to, &x, sizeof(x));
}

/* Writes 2 n characters, no terminator. */
static inline void hex_put(char *to, const uint8_t *from, size_t n)
{
	for (; n >= 4; n -= 4, from += 4, to += 8)
		hex_put4(to, from);
	for (; n; n--, from++) {
		*to++ = hex_of(*from >> 4);
		*to++ = hex_of(*from & 15);
	}
}

/* Lower-case digit or -1: upper case is invalid in traceparent. */
static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Likewise in either case, as percent-encoding has it. */
static inline int hex_digit_any(char c)
{
	return hex_digit(c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c);
}

/* Reads 2 n characters. False, with *to undefined, on anything but lower-case digits. */
static inline bool hex_get(uint8_t *to, const char *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int a = hex_digit(from[2 * i]), b = hex_digit(from[2 * i + 1]);

		if (a < 0 || b < 0)
			return false;
		to[i] = (uint8_t)(a << 4 | b);
	}
	return true;
}

#endif
