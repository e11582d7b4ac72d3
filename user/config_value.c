// SPDX-License-Identifier: Apache-2.0
#include "config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

int source_refuse(struct source *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->error, s->size, format, ap);
	va_end(ap);
	return -EINVAL;
}

bool parse_duration(const char *text, uint64_t *ns)
{
	return units_duration(slice_str(text), ns);
}

bool parse_size(const char *text, uint64_t *bytes)
{
	return units_size(slice_str(text), bytes);
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
		return units_ratio(slice_str(text), to) ? 0 : source_refuse(s, "--%s: expected 0 to 1, got \"%s\"", o->name, text);
	case OPT_GROUP:
		break;
	}
	return -EINVAL;
}
