// SPDX-License-Identifier: Apache-2.0
#include "export/safe_text.h"

#include "base/utf8.h"

static uint32_t decode(const char *p, size_t len)
{
	static const uint8_t lead[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = (unsigned char)p[0] & lead[len];

	for (size_t i = 1; i < len; i++)
		c = c << 6 | ((unsigned char)p[i] & 0x3f);
	return c;
}

/* Marks of direction, invisible spaces and joiners, line and paragraph separators. */
static bool deceives(uint32_t c)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
	       c == 0xfeff || c == 0x061c;
}

/* One character. Returns its bytes in the text, adds to *width. */
static size_t put_one(struct buf *out, struct slice s, size_t *width)
{
	size_t len = utf8_sequence(s.p, s.n);
	uint32_t c = len ? decode(s.p, len) : (unsigned char)s.p[0];
	size_t before = out->n;

	if (!len || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
		buf_printf(out, "\\x%02x", (unsigned)c);
		*width += out->n - before;
	} else if (deceives(c)) {
		buf_printf(out, "\\u{%04x}", (unsigned)c);
		*width += out->n - before;
	} else {
		buf_append(out, s.p, len);
		*width += 1;
	}
	return len ? len : 1;
}

size_t safe_text(struct buf *out, struct slice s, size_t max)
{
	size_t i = 0, width = 0;

	while (i < s.n && i < max)
		i += put_one(out, slice_from(s, i), &width);
	if (i < s.n) {
		buf_str(out, SLICE("…"));
		width++;
	}
	return width;
}
