// SPDX-License-Identifier: Apache-2.0
#include "export/json_read.h"

static struct slice skip_space(struct slice s)
{
	while (s.n && memchr(" \t\r\n", s.p[0], 4))
		s = slice_from(s, 1);
	return s;
}

/* Bytes of the string that begins here, quotes included; 0 when it does not end. */
static size_t string_length(struct slice s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return 0;
}

/* Bytes of the value that begins here: to the comma or bracket that is not inside it. */
static size_t value_length(struct slice s)
{
	size_t depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '"') {
			size_t n = string_length(slice_from(s, i));

			if (!n)
				return 0;
			i += n - 1;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if ((c == '}' || c == ']' || c == ',') && !depth) {
			return i;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return depth ? 0 : s.n;
}

struct slice json_unquote(struct slice value)
{
	return value.n >= 2 && value.p[0] == '"' ? slice_of(value.p + 1, value.n - 2) : value;
}

struct slice json_member(struct slice object, struct slice key)
{
	struct slice s = skip_space(object);

	if (!s.n || s.p[0] != '{')
		return SLICE_NONE;
	do {
		struct slice name, value;
		size_t n;

		s = skip_space(slice_from(s, 1));
		n = s.n && s.p[0] == '"' ? string_length(s) : 0;
		name = slice_to(s, n);
		s = skip_space(slice_from(s, n));
		if (!n || !s.n || s.p[0] != ':')
			return SLICE_NONE;
		s = skip_space(slice_from(s, 1));
		n = value_length(s);
		value = slice_to(s, n);
		while (value.n && memchr(" \t\r\n", value.p[value.n - 1], 4))
			value.n--;
		if (slice_eq(json_unquote(name), key))
			return value.n ? value : SLICE_NONE;
		s = slice_from(s, n);
	} while (s.n && s.p[0] == ',');
	return SLICE_NONE;
}
