// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

#include "base/bytes.h"

size_t utf8_sequence(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t want;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	want = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (n < want)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0; /* overlong below */
	else if (p[0] == 0xed)
		high = 0x9f; /* surrogates above */
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f; /* U+10FFFF */
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < want; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return want;
}

static inline bytes beyond_ascii(bytes b)
{
	return b < 0;
}

bool utf8_valid(struct slice s)
{
	if (!bytes_hit(s, beyond_ascii, 0))
		return true;
	for (size_t i = 0, step; i < s.n; i += step) {
		step = utf8_sequence(s.p + i, s.n - i);
		if (!step)
			return false;
	}
	return true;
}

size_t utf8_clean(char *to, struct slice s)
{
	size_t n = 0, step;

	for (size_t i = 0; i < s.n; i += step) {
		size_t valid = utf8_sequence(s.p + i, s.n - i);

		step = valid ? valid : 1;
		if (to)
			memcpy(to + n, valid ? s.p + i : "\xef\xbf\xbd", valid ? valid : 3);
		n += valid ? valid : 3;
	}
	return n;
}

struct slice utf8_cut(struct slice s, size_t max)
{
	size_t n = max;

	if (s.n <= max)
		return s;
	for (int back = 0; back < 3 && n && ((unsigned char)s.p[n] & 0xc0) == 0x80; back++)
		n--;
	/* bytes that are no sequence anyway are cut where the limit is */
	return slice_to(s, n < max && utf8_sequence(s.p + n, s.n - n) ? n : max);
}
