// SPDX-License-Identifier: Apache-2.0
#include "base/stats.h"

#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"

uint64_t stats[STAT_MAX];

const struct stat_info stat_infos[STAT_MAX] = {
#define X(id, name, label, help) { name, label, help },
	STATS_TABLE(X)
#undef X
};

static struct gauge {
	const char *name, *label;
	char value[STAT_LABEL_MAX + 1];
	uint64_t n;
} gauges[STAT_GAUGES_MAX];
static size_t n_gauges;

static void label_text(char to[STAT_LABEL_MAX + 1], struct slice value)
{
	bool valid = utf8_valid(value);

	value = utf8_cut(value, STAT_LABEL_MAX);
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		to[i] = (char)(c < ' ' || c == 0x7f || c == '"' || c == '\\' || (c > 0x7f && !valid) ? '_' : c);
	}
	to[value.n] = '\0';
}

void stats_gauge_clear(const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < n_gauges; i++)
		if (strcmp(gauges[i].name, name))
			gauges[kept++] = gauges[i];
	n_gauges = kept;
}

static struct gauge *gauge_find(const char *name, const char *value)
{
	for (struct gauge *g = gauges; g < gauges + n_gauges; g++)
		if (!strcmp(g->name, name) && !strcmp(g->value, value))
			return g;
	return NULL;
}

static struct gauge *gauge_make(const char *name, const char *label, const char *value)
{
	struct gauge *g;

	if (n_gauges == STAT_GAUGES_MAX)
		return NULL;
	g = &gauges[n_gauges++];
	*g = (struct gauge){ .name = name, .label = label };
	memcpy(g->value, value, strlen(value) + 1);
	return g;
}

/* The last row is kept for what has no row. */
void stats_gauge_add(const char *name, const char *label, struct slice value, uint64_t n)
{
	char text[STAT_LABEL_MAX + 1];
	struct gauge *g;

	label_text(text, value);
	g = gauge_find(name, text);
	if (!g && n_gauges < STAT_GAUGES_MAX - 1)
		g = gauge_make(name, label, text);
	if (!g)
		g = gauge_find(name, "other");
	if (!g)
		g = gauge_make(name, label, "other");
	if (g)
		g->n += n;
}

void stats_print(FILE *f)
{
	for (int i = 0; i < STAT_MAX; i++) {
		const struct stat_info *s = &stat_infos[i];

		if (!stats[i])
			continue;
		if (*s->label)
			fprintf(f, "%s{%s} %" PRIu64 "\n", s->name, s->label, stats[i]);
		else
			fprintf(f, "%s %" PRIu64 "\n", s->name, stats[i]);
	}
	for (const struct gauge *g = gauges; g < gauges + n_gauges; g++)
		if (g->n)
			fprintf(f, "%s{%s=\"%s\"} %" PRIu64 "\n", g->name, g->label, g->value, g->n);
}
