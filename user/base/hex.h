/* SPDX-License-Identifier: Apache-2.0 */
/* Lower-case hexadecimal, as trace context and OTLP/JSON want it. */
#ifndef SPANDREL_BASE_HEX_H
#define SPANDREL_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes 2 n characters, no terminator. */
static inline void hex_put(char *to, const uint8_t *from, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		to[2 * i] = digits[from[i] >> 4];
		to[2 * i + 1] = digits[from[i] & 15];
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
