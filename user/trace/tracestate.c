// SPDX-License-Identifier: Apache-2.0
/* The list of W3C tracestate and its `ot` member. W3C Trace Context §3.3; OpenTelemetry, TraceState handling (th, rv). */
#include "trace/context.h"

#include <errno.h>

#include "base/hex.h"
#include "base/scope.h"

#define MEMBERS_MAX 32
#define KEY_MAX	    256
#define VALUE_MAX   256
#define DIGITS	    14 /* hexadecimal, of a 56-bit number */

/* The next member that is not empty, without the white space around it. */
static bool next_member(struct slice *rest, struct slice *member)
{
	while (slice_split(rest, ',', member)) {
		*member = slice_trim(*member);
		if (member->n)
			return true;
	}
	return false;
}

static bool key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
	       c == '*' || c == '/' || c == '@';
}

static bool key_valid(struct slice key)
{
	if (!key.n || key.n > KEY_MAX ||
	    !((key.p[0] >= 'a' && key.p[0] <= 'z') || (key.p[0] >= '0' && key.p[0] <= '9')))
		return false;
	for (size_t i = 1; i < key.n; i++)
		if (!key_char(key.p[i]))
			return false;
	return true;
}

static bool value_valid(struct slice value)
{
	if (!value.n || value.n > VALUE_MAX || value.p[value.n - 1] == ' ')
		return false;
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < 0x20 || value.p[i] > 0x7e || value.p[i] == ',' ||
		    value.p[i] == '=')
			return false;
	return true;
}

static bool member_split(struct slice member, struct slice *key, struct slice *value)
{
	ptrdiff_t at = slice_find(member, '=');

	if (at < 0)
		return false;
	*key = slice_to(member, (size_t)at);
	*value = slice_from(member, (size_t)at + 1);
	return true;
}

/* Bytes of the normalised list, or -EINVAL. */
static ssize_t check_lines(const struct slice *lines, size_t n)
{
	struct slice rest, member, key, value;
	size_t members = 0, bytes = 0;

	for (size_t i = 0; i < n; i++) {
		rest = lines[i];
		while (next_member(&rest, &member)) {
			if (!member_split(member, &key, &value) || !key_valid(key) ||
			    !value_valid(value))
				return -EINVAL;
			if (++members > MEMBERS_MAX)
				return -EINVAL;
			bytes += member.n + 1;
		}
	}
	return (ssize_t)(bytes ? bytes - 1 : 0);
}

struct writer {
	char *p;
	size_t n;
};

static void put(struct writer *w, struct slice s)
{
	if (s.n)
		memcpy(w->p + w->n, s.p, s.n);
	w->n += s.n;
}

static void put_member(struct writer *w, struct slice member)
{
	if (w->n)
		put(w, SLICE(","));
	put(w, member);
}

int tracestate_parse(const struct slice *lines, size_t n, struct arena *arena, struct slice *out)
{
	ssize_t bytes = check_lines(lines, n);
	struct slice rest, member;
	struct writer w = {0};

	if (bytes < 0)
		return (int)bytes;
	if (!bytes) {
		*out = SLICE("");
		return 0;
	}
	if (n == 1 && lines[0].n == (size_t)bytes) {
		*out = lines[0];
		return 0;
	}
	w.p = arena_alloc(arena, (size_t)bytes);
	if (!w.p)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		rest = lines[i];
		while (next_member(&rest, &member))
			put_member(&w, member);
	}
	*out = slice_of(w.p, w.n);
	return 0;
}

static bool is_ot(struct slice member)
{
	return slice_starts(member, SLICE("ot="));
}

static bool find_ot(struct slice state, struct slice *value)
{
	struct slice rest = state, member;

	while (next_member(&rest, &member)) {
		if (!is_ot(member))
			continue;
		*value = slice_from(member, 3);
		return true;
	}
	return false;
}

/* `key:value` of the `ot` member: the key [a-z][a-z0-9]*. With a space at the end it could not be last. */
static bool sub_split(struct slice sub, struct slice *key, struct slice *value)
{
	ptrdiff_t at = slice_find(sub, ':');

	if (at < 1 || sub.p[0] < 'a' || sub.p[0] > 'z' || sub.p[sub.n - 1] == ' ')
		return false;
	for (ptrdiff_t i = 1; i < at; i++)
		if (!((sub.p[i] >= 'a' && sub.p[i] <= 'z') || (sub.p[i] >= '0' && sub.p[i] <= '9')))
			return false;
	*key = slice_to(sub, (size_t)at);
	*value = slice_from(sub, (size_t)at + 1);
	return true;
}

int tracestate_ot(struct slice state, struct slice name, struct slice *out)
{
	struct slice rest, sub, key, value, found = SLICE_NONE;

	if (!find_ot(state, &rest))
		return -ENOENT;
	while (slice_split(&rest, ';', &sub)) {
		if (!sub_split(sub, &key, &value) || !slice_eq(key, name))
			continue;
		if (found.p)
			return -EINVAL;
		found = value;
	}
	if (!found.p)
		return -ENOENT;
	*out = found;
	return 0;
}

static int parse_digits(struct slice s, size_t least, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n < least || s.n > DIGITS)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++) {
		int d = hex_digit(s.p[i]);

		if (d < 0)
			return -EINVAL;
		v = v << 4 | (unsigned)d;
	}
	*out = v << 4 * (DIGITS - s.n);
	return 0;
}

int tracestate_rv(struct slice state, uint64_t *rv)
{
	struct slice s;
	int r = tracestate_ot(state, SLICE("rv"), &s);

	return r ? r : parse_digits(s, DIGITS, rv);
}

int tracestate_th(struct slice state, uint64_t *threshold)
{
	struct slice s;
	int r = tracestate_ot(state, SLICE("th"), &s);

	return r ? r : parse_digits(s, 1, threshold);
}

/* The `ot` member with this th, and what else it had that is well formed and still fits. */
static void put_ot(struct writer *w, struct slice old, struct slice th)
{
	struct slice sub, key, value;
	size_t begin = w->n + 3;

	put(w, SLICE("ot="));
	if (th.n) {
		put(w, SLICE("th:"));
		put(w, th);
	}
	while (slice_split(&old, ';', &sub)) {
		if (!sub_split(sub, &key, &value) || slice_eq(key, SLICE("th")) ||
		    w->n - begin + 1 + sub.n > VALUE_MAX)
			continue;
		if (w->n > begin)
			put(w, SLICE(";"));
		put(w, sub);
	}
	if (w->n == begin)
		w->n = begin - 3;
}

struct slice tracestate_with_th(struct slice state, struct slice th, struct arena *arena)
{
	struct slice old = SLICE_NONE, rest = state, member;
	struct writer w = {0};
	size_t members;

	if (!find_ot(state, &old) && !th.n)
		return state;
	w.p = arena_alloc(arena, state.n + th.n + sizeof("ot=th:;,"));
	if (!w.p)
		return SLICE_NONE;
	put_ot(&w, old, th);
	members = w.n ? 1 : 0;
	while (next_member(&rest, &member)) {
		if (is_ot(member))
			continue;
		if (++members > MEMBERS_MAX)
			break;
		put_member(&w, member);
	}
	return slice_of(w.p, w.n);
}
