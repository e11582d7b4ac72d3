// SPDX-License-Identifier: Apache-2.0
#include "metrics.h"

#include <inttypes.h>
#include <string.h>

#include "base/scope.h"
#include "base/stats.h"
#include "base/units.h"

#define PREFIX "spandrel_"

/* ---- which format (RFC 9110, 12.5.1) ---- */

/* The weight of a media range; one that cannot be read counts as none. */
static double weight_of(struct slice params)
{
	struct slice param;
	double q = 1;

	while (slice_split(&params, ';', &param)) {
		param = slice_trim(param);
		if (param.n > 2 && (param.p[0] | 0x20) == 'q' && param.p[1] == '=')
			return units_ratio(slice_from(param, 2), &q) ? q : 0;
	}
	return q;
}

/* A version that we do not write is no offer. */
static bool version_known(struct slice params)
{
	const struct slice key = SLICE("version=");
	struct slice param;

	while (slice_split(&params, ';', &param)) {
		param = slice_trim(param);
		if (slice_starts(param, key))
			return slice_eq(slice_from(param, key.n), SLICE("1.0.0"));
	}
	return true;
}

enum metrics_format metrics_accepted(struct slice accept)
{
	double open = 0, text = -1, any = -1;
	struct slice range, type;

	while (slice_split(&accept, ',', &range)) {
		double q;

		if (!slice_split(&range, ';', &type))
			continue;
		type = slice_trim(type);
		q = weight_of(range);
		if (slice_eq_nocase(type, SLICE("application/openmetrics-text")) && version_known(range))
			open = MAX(open, q);
		else if (slice_eq_nocase(type, SLICE("text/plain")))
			text = MAX(text, q);
		else if (slice_eq_nocase(type, SLICE("text/*")) || slice_eq_nocase(type, SLICE("*/*")))
			any = MAX(any, q);
	}
	return open > 0 && open >= (text >= 0 ? text : any) ? METRICS_OPEN : METRICS_TEXT;
}

const char *metrics_type(enum metrics_format f)
{
	return f == METRICS_OPEN ? "application/openmetrics-text; version=1.0.0; charset=utf-8" :
				   "text/plain; version=0.0.4; charset=utf-8";
}

/* ---- lines ---- */

static void put(struct buf *b, const char *text)
{
	buf_str(b, slice_str(text));
}

/* Quotes are escaped in label values, and by OpenMetrics in help texts as well. */
static void put_escaped(struct buf *b, struct slice s, bool quotes)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\n')
			put(b, "\\n");
		else if (c == '\\' || (c == '"' && quotes))
			buf_append(b, (char[]){ '\\', c }, 2);
		else
			buf_append(b, &c, 1);
	}
}

void metrics_label(struct buf *b, const char *name, struct slice value)
{
	if (b->n)
		put(b, ",");
	put(b, name);
	put(b, "=\"");
	put_escaped(b, value, true);
	put(b, "\"");
}

struct family {
	struct buf *b;
	enum metrics_format format;
	const char *prefix, *name, *suffix; /* what the samples are called */
};

static const char *suffix_of(enum metrics_kind kind)
{
	return kind == METRIC_COUNTER ? "_total" : kind == METRIC_INFO ? "_info" : "";
}

/* OpenMetrics names the family, the text format its samples; that one has no info. */
static void put_about(struct family *f, const char *what)
{
	put(f->b, what);
	put(f->b, f->prefix);
	put(f->b, f->name);
	put(f->b, f->format == METRICS_OPEN ? " " : f->suffix);
	if (f->format != METRICS_OPEN)
		put(f->b, " ");
}

static void put_type(struct family *f, enum metrics_kind kind)
{
	put_about(f, "# TYPE ");
	put(f->b, kind == METRIC_COUNTER ? "counter\n" : kind == METRIC_INFO && f->format == METRICS_OPEN ? "info\n" : "gauge\n");
}

static void put_sample(struct family *f, const char *labels)
{
	put(f->b, f->prefix);
	put(f->b, f->name);
	put(f->b, f->suffix);
	if (labels && *labels) {
		put(f->b, "{");
		put(f->b, labels);
		put(f->b, "}");
	}
	put(f->b, " ");
}

/* ---- families of base/stats.h ---- */

static bool seen_before(size_t i, const char *name)
{
	struct stat_sample s;

	while (i-- > 0)
		if (stats_sample(i, &s) && !strcmp(s.name, name))
			return true;
	return false;
}

/* kind="data" → data */
static struct slice label_value(const char *labels)
{
	const char *quote = strchr(labels, '"');

	return quote ? slice_of(quote + 1, strcspn(quote + 1, "\"")) : SLICE_NONE;
}

/* A gauge's help is that of all its samples, a counter's row has its own. */
static void put_stat_help(struct family *f, size_t first)
{
	struct stat_sample s, other;
	bool more = false;

	stats_sample(first, &s);
	if (!s.help)
		return;
	put_about(f, "# HELP ");
	for (size_t i = first; stats_sample(i, &other); i++) {
		if (strcmp(other.name, s.name) || (s.gauge && i > first))
			continue;
		if (more)
			put(f->b, "; ");
		if (*other.labels && !other.gauge) {
			put_escaped(f->b, label_value(other.labels), f->format == METRICS_OPEN);
			put(f->b, ": ");
		}
		put_escaped(f->b, slice_str(other.help), f->format == METRICS_OPEN);
		more = true;
	}
	put(f->b, "\n");
}

static void put_stat(struct buf *b, enum metrics_format format, size_t first)
{
	struct stat_sample s, other;
	struct family f = { b, format, PREFIX, NULL, NULL };
	enum metrics_kind kind;

	stats_sample(first, &s);
	kind = s.gauge ? METRIC_GAUGE : METRIC_COUNTER;
	f.name = s.name;
	f.suffix = suffix_of(kind);
	put_type(&f, kind);
	put_stat_help(&f, first);
	for (size_t i = first; stats_sample(i, &other); i++) {
		if (strcmp(other.name, s.name))
			continue;
		put_sample(&f, other.labels);
		buf_printf(b, "%" PRIu64 "\n", other.n);
	}
}

/* ---- the others ---- */

static void put_head(struct family *f, const struct metric *m)
{
	put_type(f, m->kind);
	if (m->unit && f->format == METRICS_OPEN) {
		put_about(f, "# UNIT ");
		put(f->b, m->unit);
		put(f->b, "\n");
	}
	put_about(f, "# HELP ");
	put_escaped(f->b, slice_str(m->help), f->format == METRICS_OPEN);
	put(f->b, "\n");
}

void metrics_put(struct buf *b, enum metrics_format format, const struct metric *m, bool again)
{
	struct family f = { b, format, "", m->name, suffix_of(m->kind) };

	if (!again)
		put_head(&f, m);
	put_sample(&f, m->labels);
	buf_printf(b, "%.16g\n", m->value);
}

void metrics_stats(struct buf *b, enum metrics_format f)
{
	struct stat_sample s;

	for (size_t i = 0; stats_sample(i, &s); i++)
		if (!seen_before(i, s.name))
			put_stat(b, f, i);
}

void metrics_end(struct buf *b, enum metrics_format f)
{
	if (f == METRICS_OPEN)
		put(b, "# EOF\n");
}
