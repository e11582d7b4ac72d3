// SPDX-License-Identifier: Apache-2.0
#include "proto/proto.h"

#include "proto/http1.h"
#include "proto/http2.h"

const struct proto_ops *const protocols[] = {
	&http2_ops, /* before HTTP/1, whose request line its preface resembles */
	&http1_ops,
	NULL,
};

const struct proto_ops *proto_find(struct slice name)
{
	for (const struct proto_ops *const *p = protocols; *p; p++)
		if (slice_eq(name, slice_str((*p)->name)))
			return *p;
	return NULL;
}

_Static_assert(sizeof(protocols) / sizeof(protocols[0]) <= PROTOCOLS_MAX, "room for every row");

static bool listed(struct slice list, struct slice name)
{
	struct slice word;

	while (slice_split(&list, ',', &word)) {
		word = slice_trim(word);
		if (slice_eq(word, name) || slice_eq(word, SLICE("all")))
			return true;
	}
	return false;
}

void proto_enabled(struct slice list, const struct proto_ops *to[PROTOCOLS_MAX])
{
	size_t n = 0;

	for (const struct proto_ops *const *p = protocols; *p; p++)
		if (listed(list, slice_str((*p)->name)))
			to[n++] = *p;
	to[n] = NULL;
}

size_t proto_framings(const struct framing *to[FRAMINGS_MAX])
{
	size_t n = 0;

	for (const struct proto_ops *const *p = protocols; *p; p++)
		for (const struct framing *const *f = (*p)->framings; f && *f && n < FRAMINGS_MAX; f++)
			to[n++] = *f;
	return n;
}

/* RFC 8446 §5.1, RFC 5246 §6.2: type, version, length. SSLv2 hellos are no longer spoken. */
enum sniff proto_sniff_tls(struct slice head)
{
	const unsigned char *b = (const unsigned char *)head.p;
	size_t length;

	if (!head.n)
		return SNIFF_MORE;
	if (b[0] < 20 || b[0] > 24)
		return SNIFF_NO;
	if ((head.n > 1 && b[1] != 3) || (head.n > 2 && b[2] > 4))
		return SNIFF_NO;
	if (head.n < 5)
		return SNIFF_MORE;
	length = (size_t)b[3] << 8 | b[4];
	return length && length <= (1 << 14) + 2048 ? SNIFF_YES : SNIFF_NO;
}
