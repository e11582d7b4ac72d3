// SPDX-License-Identifier: Apache-2.0
#include "config_value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/scope.h"

int source_refuse(struct source *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->error, s->size, format, ap);
	va_end(ap);
	return -EINVAL;
}

static bool parse_scaled(const char *text, const char *const *units, const uint64_t *factors, size_t n, uint64_t *out)
{
	struct slice s = slice_str(text);
	size_t digits = 0;
	uint64_t v;

	while (digits < s.n && isdigit((unsigned char)s.p[digits]))
		digits++;
	if (!slice_u64(slice_to(s, digits), &v))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(text + digits, units[i]))
			return !__builtin_mul_overflow(v, factors[i], out);
	return false;
}

bool parse_duration(const char *text, uint64_t *ns)
{
	static const char *const units[] = { "ms", "s", "m", "h" };
	static const uint64_t factors[] = { NS_PER_MS, NS_PER_S, 60 * NS_PER_S, 3600 * NS_PER_S };

	if (!strcmp(text, "0")) {
		*ns = 0;
		return true;
	}
	return parse_scaled(text, units, factors, ARRAY_SIZE(units), ns);
}

bool parse_size(const char *text, uint64_t *bytes)
{
	static const char *const units[] = { "", "B", "KiB", "MiB", "GiB" };
	static const uint64_t factors[] = { 1, 1, 1 << 10, 1 << 20, 1 << 30 };

	return parse_scaled(text, units, factors, ARRAY_SIZE(units), bytes);
}

static bool parse_ratio(const char *text, double *out)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 0 && v <= 1))
		return false;
	*out = v;
	return true;
}

static bool parse_bool(const char *text, bool *out)
{
	if (!*text || !strcmp(text, "true") || !strcmp(text, "1") || !strcmp(text, "yes"))
		*out = true;
	else if (!strcmp(text, "false") || !strcmp(text, "0") || !strcmp(text, "no"))
		*out = false;
	else
		return false;
	return true;
}

static bool choice_has(const char *words, const char *text)
{
	struct slice rest = slice_str(words), word;

	while (slice_split(&rest, '|', &word))
		if (slice_eq(word, slice_str(text)))
			return true;
	return false;
}

void strlist_clear(struct strlist *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct strlist){ 0 };
}

static int list_add(struct strlist *l, const char *text)
{
	char **v = realloc(l->v, (l->n + 2) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	l->v = v;
	v[l->n] = strdup(text);
	if (!v[l->n])
		return -ENOMEM;
	v[++l->n] = NULL;
	return 0;
}

static int set_string(char **to, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

static int set_number(struct source *s, const struct option *o, const char *text, uint64_t *to)
{
	uint64_t v;
	bool ok = o->type == OPT_SIZE ? parse_size(text, &v) : slice_u64(slice_str(text), &v);

	if (!ok || v < o->min || (o->max && v > o->max))
		return source_refuse(s, "--%s: expected a %s from %" PRIu64 " to %" PRIu64 ", got \"%s\"", o->name,
				     o->type == OPT_SIZE ? "size (KiB, MiB, GiB)" : "number", o->min, o->max, text);
	*to = v;
	return 0;
}

static int set_list(struct source *s, const struct option *o, const char *text, struct strlist *to)
{
	size_t index = (size_t)(o - options);

	if (!*text)
		return source_refuse(s, "--%s: expected %s, got nothing", o->name, o->arg);
	if (!s->cleared[index]) {
		strlist_clear(to);
		s->cleared[index] = true;
	}
	return list_add(to, text);
}

int value_set(struct source *s, const struct option *o, const char *text)
{
	void *to = (char *)s->c + o->offset;

	switch (o->type) {
	case OPT_BOOL:
		return parse_bool(text, to) ? 0 : source_refuse(s, "--%s: expected true or false, got \"%s\"", o->name, text);
	case OPT_STRING:
		return *text ? set_string(to, text) : source_refuse(s, "--%s: expected %s, got nothing", o->name, o->arg);
	case OPT_CHOICE:
		if (!choice_has(o->arg, text))
			return source_refuse(s, "--%s: expected %s, got \"%s\"", o->name, o->arg, text);
		return set_string(to, text);
	case OPT_LIST:
		return set_list(s, o, text, to);
	case OPT_NUMBER:
	case OPT_SIZE:
		return set_number(s, o, text, to);
	case OPT_DURATION:
		if (!parse_duration(text, to))
			return source_refuse(s, "--%s: expected a duration (ms, s, m, h), got \"%s\"", o->name, text);
		return 0;
	case OPT_RATIO:
		return parse_ratio(text, to) ? 0 : source_refuse(s, "--%s: expected 0 to 1, got \"%s\"", o->name, text);
	case OPT_GROUP:
		break;
	}
	return -EINVAL;
}
