// SPDX-License-Identifier: Apache-2.0
#include "host/text.h"

/* Length of the UTF-8 character at s, 0 if there is none (RFC 3629: shortest form, no surrogates,
 * up to U+10FFFF). */
static size_t utf8_length(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t n = p[0] < 0x80	 ? 1
		   : p[0] < 0xc2 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf5 ? 4
				 : 0;

	if (!n || n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if (n == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)))
		return 0;
	if (n == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)))
		return 0;
	return n;
}

static bool is_control(struct slice s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s.p;

	if (n == 1)
		return p[0] < 0x20 || p[0] == 0x7f;
	return n == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

size_t text_clean(char *to, size_t max, struct slice s)
{
	size_t at = 0;

	while (s.n) {
		size_t n = utf8_length(s), keep = n && !is_control(s, n) ? n : 0;

		if (at + (keep ? keep : 1) > max)
			break;
		if (keep)
			memcpy(to + at, s.p, keep);
		else
			to[at] = '?';
		at += keep ? keep : 1;
		s = slice_from(s, n ? n : 1);
	}
	return at;
}

struct slice text_base(struct slice path)
{
	const char *slash;

	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	slash = path.n ? memrchr(path.p, '/', path.n) : NULL;
	return slash ? slice_from(path, (size_t)(slash - path.p) + 1) : path;
}

bool text_listed(const char *list, struct slice word)
{
	struct slice rest = slice_str(list), one;

	while (word.n && slice_split(&rest, ' ', &one))
		if (slice_eq(one, word))
			return true;
	return false;
}
