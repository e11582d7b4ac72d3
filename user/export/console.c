// SPDX-License-Identifier: Apache-2.0
/*
 * --console: one line a span for people. Time of day, direction, service, request, status, duration, the trace's first
 * eight digits, and how the parent was found. Nothing a peer sends can drive the terminal.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/stats.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/scope.h"
#include "export/export.h"
#include "export/lines.h"
#include "export/safe_text.h"
#include "host/process.h"

#define SERVICE_WIDTH 14
#define REQUEST_MAX 240 /* bytes of a target that are shown */

struct exporter {
	struct lines lines;
	bool colour;
};

enum colour { PLAIN, DIM, RED, GREEN, YELLOW, BOLD };

static void set_colour(const struct exporter *x, struct buf *out, enum colour c)
{
	static const char *const codes[] = { "\033[0m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[1m" };

	if (x->colour)
		buf_str(out, slice_str(codes[c]));
}

/* What the line shows of the attributes. */
struct facts {
	struct slice method, path, query, url, outcome, error, link;
	int64_t code;
	bool truncated;
};

static struct facts facts_of(const struct span *s)
{
	struct facts f = { .code = 0 };
	const struct {
		struct slice key, *to;
	} texts[] = {
		{ SLICE("http.request.method"), &f.method }, { SLICE("url.path"), &f.path },
		{ SLICE("url.query"), &f.query },	     { SLICE("url.full"), &f.url },
		{ SLICE("http.method"), &f.method },	     { SLICE("http.target"), &f.path },
		{ SLICE("http.url"), &f.url },		     { SLICE("rpc.response.status_code"), &f.outcome },
		{ SLICE("error.type"), &f.error },	     { SLICE("spandrel.link"), &f.link },
	};

	for (size_t i = 0; i < s->d.n_attrs; i++) {
		const struct attr *a = &s->d.attrs[i];

		for (size_t k = 0; a->type == ATTR_STRING && k < ARRAY_SIZE(texts); k++)
			if (!texts[k].to->n && slice_eq(a->key, texts[k].key)) /* the current name comes first */
				*texts[k].to = a->s;
		if (a->type == ATTR_INT && (slice_eq(a->key, SLICE("http.response.status_code")) ||
					    slice_eq(a->key, SLICE("http.status_code"))))
			f.code = a->i;
		if (a->type == ATTR_BOOL && slice_eq(a->key, SLICE("spandrel.truncated")))
			f.truncated = a->b;
	}
	return f;
}

static void put_time(const struct exporter *x, const struct span *s, struct buf *out)
{
	time_t seconds = (time_t)(s->start / NS_PER_S);
	struct tm tm = { 0 };

	localtime_r(&seconds, &tm);
	set_colour(x, out, DIM);
	buf_printf(out, "%02d:%02d:%02d.%03u", tm.tm_hour, tm.tm_min, tm.tm_sec,
		   (unsigned)(s->start % NS_PER_S / NS_PER_MS));
	set_colour(x, out, PLAIN);
}

static void put_direction(const struct span *s, struct buf *out)
{
	bool in = s->kind == SPAN_SERVER || s->kind == SPAN_CONSUMER;

	buf_str(out, s->kind == SPAN_INTERNAL ? SLICE("  ·     ") : in ? SLICE("  → in  ") : SLICE("  ← out "));
}

static void put_service(const struct exporter *x, const struct span *s, struct buf *out)
{
	struct slice name = s->resource ? s->resource->service : SLICE_NONE;
	size_t width;

	set_colour(x, out, BOLD);
	width = safe_text(out, name.n ? name : SLICE("-"), REQUEST_MAX);
	set_colour(x, out, PLAIN);
	for (; width < SERVICE_WIDTH; width++)
		buf_append(out, " ", 1);
	buf_str(out, SLICE("  "));
}

static void put_request(const struct span *s, const struct facts *f, struct buf *out)
{
	struct slice target = f->url.n ? f->url : f->path;

	if (!f->method.n || !target.n) {
		safe_text(out, s->d.name, REQUEST_MAX);
		return;
	}
	safe_text(out, f->method, REQUEST_MAX);
	buf_append(out, " ", 1);
	safe_text(out, target, REQUEST_MAX);
	if (!f->url.n && f->query.n) {
		buf_append(out, "?", 1);
		safe_text(out, f->query, REQUEST_MAX);
	}
}

static void put_status(const struct exporter *x, const struct span *s, const struct facts *f, struct buf *out)
{
	char code[24] = "";
	struct slice outcome = f->outcome;
	bool error = s->d.status == STATUS_ERROR;

	if (f->code) {
		snprintf(code, sizeof(code), "%" PRId64, f->code);
		outcome = slice_str(code);
	}
	buf_str(out, SLICE("  "));
	set_colour(x, out, error ? RED : f->code >= 400 ? YELLOW : outcome.n ? GREEN : PLAIN);
	safe_text(out, outcome, REQUEST_MAX);
	if (error && f->error.n && !slice_eq(f->error, outcome)) {
		buf_str(out, outcome.n ? SLICE(" ") : SLICE_NONE);
		safe_text(out, f->error, REQUEST_MAX);
	} else if (!outcome.n) {
		buf_str(out, error ? SLICE("error") : SLICE("-"));
	}
	set_colour(x, out, PLAIN);
}

static void put_duration(const struct span *s, struct buf *out)
{
	static const char *const units[] = { "ns", "µs", "ms", "s" };
	double v = s->end > s->start ? (double)(s->end - s->start) : 0;
	unsigned unit = 0;

	while (unit < 3 && v >= 999.5) {
		v /= 1000;
		unit++;
	}
	buf_printf(out, "  %.*f %s", !unit || v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2, v, units[unit]);
}

static void put_trace(const struct exporter *x, const struct span *s, const struct facts *f, struct buf *out)
{
	static const uint8_t root[8];
	char id[8];

	hex_put(id, s->trace_id, 4);
	set_colour(x, out, DIM);
	buf_str(out, SLICE("  "));
	buf_append(out, id, sizeof(id));
	if (memcmp(s->parent_id, root, 8)) {
		buf_str(out, f->link.n ? SLICE(" ↳ ") : SLICE(" ↳"));
		safe_text(out, f->link, REQUEST_MAX);
	}
	if (f->truncated)
		buf_str(out, SLICE(" truncated"));
	set_colour(x, out, PLAIN);
}

static int render_console(void *arg, struct span *const *spans, uint32_t n, struct buf *out)
{
	const struct exporter *x = arg;

	for (uint32_t i = 0; i < n; i++) {
		const struct span *s = spans[i];
		struct facts f = facts_of(s);

		put_time(x, s, out);
		put_direction(s, out);
		put_service(x, s, out);
		put_request(s, &f, out);
		put_status(x, s, &f, out);
		put_duration(s, out);
		put_trace(x, s, &f, out);
		buf_append(out, "\n", 1);
	}
	return out->failed ? -EMSGSIZE : 0;
}

static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}

static uint32_t console_count(const struct export_config *c)
{
	return c->console;
}

static int console_open(struct exporter **out, struct outlet *o, const struct export_config *c,
			    const struct export_place *at)
{
	_free_ struct exporter *x = calloc(1, sizeof(*x));
	struct lines_config lines = { .name = "the console", .render = render_console };
	int r;

	(void)c;
	(void)at;
	if (!x)
		return -ENOMEM;
	x->colour = wants_colour();
	lines.arg = x;
	r = lines_open(&x->lines, o, &lines);
	if (r)
		return r;
	*out = TAKE_PTR(x);
	return 0;
}

static void console_send(struct exporter *x, struct export_batch *b, uint64_t now)
{
	(void)now;
	lines_send(&x->lines, b);
}

static void console_tick(struct exporter *x, uint64_t now)
{
	(void)now;
	lines_work(&x->lines);
}

static void console_close(struct exporter *x)
{
	lines_close(&x->lines);
	free(x);
}

const struct exporter_ops exporter_console = {
	.name = "console",
	.undelivered = STAT_undelivered_console,
	.eager = true,
	.count = console_count,
	.open = console_open,
	.send = console_send,
	.tick = console_tick,
	.close = console_close,
};
