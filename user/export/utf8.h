/* SPDX-License-Identifier: Apache-2.0 */
/* Text that leaves the house is UTF-8, whatever came in: one bad byte makes a receiver refuse a whole batch. */
#ifndef SPANDREL_EXPORT_UTF8_H
#define SPANDREL_EXPORT_UTF8_H

#include <stdint.h>

#include "base/slice.h"

#define UTF8_REPLACEMENT "\xef\xbf\xbd"

/* Bytes of the well-formed sequence at the front (Unicode table 3-7), 0 if there is none. n ≥ 1. */
static inline unsigned utf8_length(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	unsigned len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (len < 2 || len > n)
		return len > n ? 0 : len;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (unsigned i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* How many bytes at the front are well-formed. */
static inline size_t utf8_valid(struct slice s)
{
	size_t i = 0;
	uint64_t v;

	while (i < s.n) {
		unsigned len;

		if (s.n - i >= sizeof(v)) {
			memcpy(&v, s.p + i, sizeof(v));
			if (!(v & 0x8080808080808080ULL)) {
				i += sizeof(v);
				continue;
			}
		}
		len = utf8_length(s.p + i, s.n - i);
		if (!len)
			break;
		i += len;
	}
	return i;
}

#endif
