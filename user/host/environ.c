// SPDX-License-Identifier: Apache-2.0
#include "host/environ.h"

#include <errno.h>

struct slice environ_get(struct slice env, struct slice name)
{
	while (env.n) {
		ptrdiff_t end = slice_find(env, '\0');
		struct slice one;

		if (end < 0)
			break; /* cut off: half a value is none */
		one = slice_to(env, (size_t)end);
		if (one.n > name.n && slice_starts(one, name) && one.p[name.n] == '=')
			return slice_from(one, name.n + 1);
		env = slice_from(env, (size_t)end + 1);
	}
	return SLICE_NONE;
}

static int digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Decodes to *room and moves it on. False on a byte that should have been encoded or a broken
 * escape. */
static bool decode(struct slice s, char **room, struct slice *out)
{
	char *to = *room;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if ((unsigned char)c < 0x20 || c == 0x7f)
			return false;
		if (c == '%') {
			if (s.n - i < 3 || digit(s.p[i + 1]) < 0 || digit(s.p[i + 2]) < 0)
				return false;
			c = (char)(digit(s.p[i + 1]) << 4 | digit(s.p[i + 2]));
			i += 2;
		}
		*to++ = c;
	}
	*out = slice_of(*room, (size_t)(to - *room));
	*room = to;
	return true;
}

struct pair_of {
	struct slice key, value;
};

static bool decode_pair(struct slice part, char **room, struct pair_of *out)
{
	ptrdiff_t eq = slice_find(part, '=');

	if (eq < 0 || !decode(slice_trim(slice_to(part, (size_t)eq)), room, &out->key))
		return false;
	return out->key.n &&
	       decode(slice_trim(slice_from(part, (size_t)eq + 1)), room, &out->value);
}

int environ_attributes(struct slice list, char *room,
		       void (*fn)(void *arg, struct slice key, struct slice value), void *arg)
{
	struct pair_of pairs[ENVIRON_ATTRS];
	struct slice part;
	size_t n = 0;

	while (slice_split(&list, ',', &part)) {
		if (!slice_trim(part).n)
			continue; /* a comma at the end is common */
		if (n == ENVIRON_ATTRS || !decode_pair(part, &room, &pairs[n++]))
			return -EINVAL;
	}
	for (size_t i = 0; i < n; i++)
		fn(arg, pairs[i].key, pairs[i].value);
	return 0;
}
