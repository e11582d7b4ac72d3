// SPDX-License-Identifier: Apache-2.0
/*
 * Attributes, bounded in number and length, in the one place where text from the wire becomes text of a span: OTLP
 * strings are UTF-8, so bytes that are not become U+FFFD.
 */
#include "proto/describe.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/ip.h"
#include "base/stats.h"
#include "base/utf8.h"

/* What is there already moves along. */
static bool make_room(struct description *d, uint8_t room)
{
	struct attr *attrs = arena_alloc(d->arena, room * sizeof(*attrs));

	if (!attrs)
		return false;
	if (d->n_attrs)
		memcpy(attrs, d->attrs, d->n_attrs * sizeof(*attrs));
	d->attrs = attrs;
	d->room = room;
	return true;
}

int describe_init(struct description *d, struct arena *arena, const struct describe_config *config)
{
	struct description fresh = { .arena = arena, .config = config };

	if (!make_room(&fresh, DESCRIPTION_FEW))
		return -ENOMEM;
	*d = fresh;
	return 0;
}

/* One of 64 bits, by both ends of the key. */
static uint64_t fingerprint(struct slice key)
{
	uint64_t front = 0, back = 0;

	if (key.n >= sizeof(front)) {
		memcpy(&front, key.p, sizeof(front));
		memcpy(&back, key.p + key.n - sizeof(back), sizeof(back));
	}
	return 1ULL << ((front + back + key.n) * 0xd6e8feb86659fd93ULL >> 58);
}

static struct attr *find(const struct description *d, struct slice key)
{
	for (unsigned i = 0; i < d->n_attrs; i++)
		if (slice_eq(d->attrs[i].key, key))
			return &d->attrs[i];
	return NULL;
}

/* A place for the attribute; NULL (counted) beyond the limit, or when the key is there already: the first one stays. */
static struct attr *add(struct description *d, struct slice key, uint8_t type)
{
	uint64_t print = fingerprint(key);
	struct attr *a;

	if (d->seen & print && find(d, key))
		return NULL;
	if (d->n_attrs == d->room && (d->room == DESCRIPTION_ATTRS || !make_room(d, DESCRIPTION_ATTRS))) {
		d->dropped_attrs++;
		return NULL;
	}
	a = &d->attrs[d->n_attrs++];
	*a = (struct attr){ .key = key, .type = type };
	d->seen |= print;
	return a;
}

static void take_back(struct description *d)
{
	d->n_attrs--;
	d->dropped_attrs++;
}

/* `value` as it may be shown: cut, valid, in the arena or borrowed. False without memory. */
static bool presentable(struct description *d, struct slice value, struct slice *out)
{
	size_t max = d->config->max_value ? d->config->max_value : SIZE_MAX, n;
	bool cut = value.n > max;
	char *p;

	if (!cut && utf8_valid(value)) {
		*out = value;
		return true;
	}
	value = utf8_cut(value, max);
	if (!utf8_valid(value)) {
		n = utf8_clean(NULL, value);
		p = arena_alloc(d->arena, n);
		if (!p)
			return false;
		utf8_clean(p, value);
		cut |= n > max;
		value = utf8_cut(slice_of(p, n), max);
	}
	if (cut)
		stat_inc(attrs_cut);
	*out = value;
	return true;
}

void describe_name(struct description *d, struct slice name)
{
	struct slice shown;

	if (presentable(d, name, &shown))
		d->name = shown;
}

void describe_add_str(struct description *d, struct slice key, struct slice value)
{
	struct attr *a = add(d, key, ATTR_STRING);

	if (a && !presentable(d, value, &a->s))
		take_back(d);
}

void describe_add_int(struct description *d, struct slice key, int64_t value)
{
	struct attr *a = add(d, key, ATTR_INT);

	if (a)
		a->i = value;
}

void describe_add_bool(struct description *d, struct slice key, bool value)
{
	struct attr *a = add(d, key, ATTR_BOOL);

	if (a)
		a->b = value;
}

void describe_attr(struct description *d, const struct attr *attr)
{
	struct attr *a = add(d, attr->key, attr->type);

	if (a)
		*a = *attr;
}

int describe_restart(struct description *d)
{
	struct description fresh = { .arena = d->arena };

	if (!make_room(&fresh, DESCRIPTION_ATTRS))
		return -ENOMEM;
	d->attrs = fresh.attrs;
	d->room = fresh.room;
	d->n_attrs = 0;
	d->seen = 0;
	return 0;
}

void describe_strs(struct description *d, struct slice key, const struct slice *values, size_t n)
{
	struct attr *a = add(d, key, ATTR_STRINGS);
	struct slice *v = a ? arena_alloc(d->arena, n * sizeof(*v)) : NULL;

	if (!a)
		return;
	if (!v) {
		take_back(d);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (!presentable(d, values[i], &v[i])) {
			take_back(d);
			return;
		}
	}
	a->strings.v = v;
	a->strings.n = n;
}

void describe_error(struct description *d, struct slice type)
{
	d->status = STATUS_ERROR;
	describe_str(d, "error.type", type);
}

struct slice describe_join(struct description *d, const struct slice *parts, size_t n)
{
	size_t total = 0, at = 0;
	char *p;

	for (size_t i = 0; i < n; i++)
		total += parts[i].n;
	p = arena_alloc(d->arena, total + 1);
	if (!p)
		return SLICE_NONE;
	for (size_t i = 0; i < n; i++) {
		if (parts[i].n)
			memcpy(p + at, parts[i].p, parts[i].n);
		at += parts[i].n;
	}
	return slice_of(p, total);
}

/* Dotted decimal; inet_ntop would go through printf, several times a span. */
static size_t v4_text(char *to, const uint8_t addr[4])
{
	char *at = to;

	for (int i = 0; i < 4; i++) {
		uint8_t v = addr[i];

		if (i)
			*at++ = '.';
		if (v >= 100)
			*at++ = (char)('0' + v / 100);
		if (v >= 10)
			*at++ = (char)('0' + v / 10 % 10);
		*at++ = (char)('0' + v % 10);
	}
	return (size_t)(at - to);
}

struct slice describe_addr(struct description *d, const uint8_t addr[16])
{
	char text[INET6_ADDRSTRLEN];

	if (ip_is_v4(addr))
		return arena_copy(d->arena, slice_of(text, v4_text(text, addr + IP_V4_AT)));
	/* inet_ntop writes RFC 5952's form */
	if (!inet_ntop(AF_INET6, addr, text, sizeof(text)))
		return SLICE_NONE;
	return arena_copy(d->arena, slice_str(text));
}

const struct attr *describe_find(const struct description *d, const char *key)
{
	return find(d, slice_str(key));
}
