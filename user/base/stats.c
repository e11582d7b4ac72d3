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

#define LABELS_MAX (STAT_LABEL_MAX + 36)

static struct gauge {
	const char *name;
	char labels[LABELS_MAX];
	uint64_t n;
} gauges[STAT_GAUGES_MAX];
static size_t n_gauges;

static void label_text(char to[LABELS_MAX], const char *label, struct slice value)
{
	bool valid = utf8_valid(value);
	char text[STAT_LABEL_MAX + 1];

	value = utf8_cut(value, STAT_LABEL_MAX);
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		text[i] = (char)(c < ' ' || c == 0x7f || c == '"' || c == '\\' || (c > 0x7f && !valid) ? '_' : c);
	}
	text[value.n] = '\0';
	snprintf(to, LABELS_MAX, "%s=\"%s\"", label, text);
}

void stats_gauge_clear(const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < n_gauges; i++)
		if (strcmp(gauges[i].name, name))
			gauges[kept++] = gauges[i];
	n_gauges = kept;
}

static struct gauge *gauge_find(const char *name, const char *labels)
{
	for (struct gauge *g = gauges; g < gauges + n_gauges; g++)
		if (!strcmp(g->name, name) && !strcmp(g->labels, labels))
			return g;
	return NULL;
}

static struct gauge *gauge_make(const char *name, const char *labels)
{
	struct gauge *g;

	if (n_gauges == STAT_GAUGES_MAX)
		return NULL;
	g = &gauges[n_gauges++];
	*g = (struct gauge){ .name = name };
	memcpy(g->labels, labels, strlen(labels) + 1);
	return g;
}

/* The last row is kept for what has no row. */
void stats_gauge_add(const char *name, const char *label, struct slice value, uint64_t n)
{
	char labels[LABELS_MAX], other[LABELS_MAX];
	struct gauge *g;

	label_text(labels, label, value);
	label_text(other, label, SLICE("other"));
	g = gauge_find(name, labels);
	if (!g && n_gauges < STAT_GAUGES_MAX - 1)
		g = gauge_make(name, labels);
	if (!g)
		g = gauge_find(name, other);
	if (!g)
		g = gauge_make(name, other);
	if (g)
		g->n += n;
}

static const char *gauge_help(const char *name)
{
	static const char *const rows[][2] = {
#define X(gauge, help) { gauge, help },
		STATS_GAUGES(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i][0], name))
			return rows[i][1];
	return NULL;
}

bool stats_sample(size_t i, struct stat_sample *out)
{
	static const bool falling[STAT_MAX] = {
#define X(id) [STAT_##id] = true,
		STATS_FALLING(X)
#undef X
	};
	const struct gauge *g;

	if (i < STAT_MAX) {
		const struct stat_info *s = &stat_infos[i];

		*out = (struct stat_sample){ s->name, s->label, s->help, falling[i], stats[i] };
		return true;
	}
	i -= STAT_MAX;
	if (i >= n_gauges)
		return false;
	g = &gauges[i];
	*out = (struct stat_sample){ g->name, g->labels, gauge_help(g->name), true, g->n };
	return true;
}

void stats_print(FILE *f)
{
	struct stat_sample s;

	for (size_t i = 0; stats_sample(i, &s); i++)
		if (s.n && *s.labels)
			fprintf(f, "%s{%s} %" PRIu64 "\n", s.name, s.labels, s.n);
		else if (s.n)
			fprintf(f, "%s %" PRIu64 "\n", s.name, s.n);
}
