// SPDX-License-Identifier: Apache-2.0
#include "host/image.h"

#include "base/hex.h"

#define SHA256_DIGITS 64

/* sha256:HEX or bare HEX: a status without a name for its image. */
static bool is_id(struct slice s)
{
	if (slice_starts(s, SLICE("sha256:")))
		s = slice_from(s, 7);
	if (s.n != SHA256_DIGITS)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (hex_digit(s.p[i]) < 0)
			return false;
	return true;
}

/* A colon behind the last slash begins the tag; one before it a port. */
static ptrdiff_t find_tag(struct slice s)
{
	for (size_t i = s.n; i-- > 0 && s.p[i] != '/';)
		if (s.p[i] == ':')
			return (ptrdiff_t)i;
	return -1;
}

void image_parse(struct slice reference, struct image *out)
{
	ptrdiff_t at = slice_find(reference, '@'), colon;

	*out = (struct image){ 0 };
	if (is_id(reference))
		return;
	out->name = at < 0 ? reference : slice_to(reference, (size_t)at);
	if (at >= 0)
		out->digest = slice_from(reference, (size_t)at + 1);
	colon = find_tag(out->name);
	if (colon >= 0) {
		out->tag = slice_from(out->name, (size_t)colon + 1);
		out->name.n = (size_t)colon;
	}
	out->version = out->tag.n ? slice_from(reference, (size_t)colon + 1) : out->digest;
}

struct slice image_id(struct slice id)
{
	const char *scheme = id.n ? memmem(id.p, id.n, "://", 3) : NULL;

	return scheme ? slice_from(id, (size_t)(scheme - id.p) + 3) : id;
}
