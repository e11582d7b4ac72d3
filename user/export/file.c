// SPDX-License-Identifier: Apache-2.0
/*
 * --file: one ExportTraceServiceRequest in OTLP/JSON a line, what the Collector's file exporter writes and reads.
 * --access-log: one line a request. Both are files, or standard output.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/stats.h"
#include "export/access_log.h"
#include "export/export.h"
#include "export/lines.h"

struct exporter {
	struct lines lines;
	const char *version;
};

static int render_file(void *arg, struct span *const *spans, uint32_t n, struct buf *out)
{
	const struct exporter *x = arg;
	int r = otlp_json_encode(spans, n, x->version, out);

	if (!r && buf_append(out, "\n", 1))
		r = -EMSGSIZE;
	return r;
}

static int render_access_log(void *arg, struct span *const *spans, uint32_t n, struct buf *out)
{
	(void)arg;
	return access_log_encode(spans, n, out);
}

static int open_lines(struct exporter **out, struct outlet *o, const struct export_config *c, struct lines_config lines)
{
	_free_ struct exporter *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	x->version = c->version;
	lines.name = lines.path;
	lines.limit = c->file_size;
	lines.arg = x;
	if (!strcmp(lines.path, "-")) {
		lines.path = NULL;
		lines.name = "standard output";
	}
	r = lines_open(&x->lines, o, &lines);
	if (r)
		return r;
	*out = TAKE_PTR(x);
	return 0;
}

static uint32_t file_count(const struct export_config *c)
{
	return c->file != NULL;
}

static int file_open(struct exporter **out, struct outlet *o, const struct export_config *c, const struct export_place *at)
{
	(void)at;
	return open_lines(out, o, c, (struct lines_config){ .path = c->file, .render = render_file });
}

static uint32_t access_log_count(const struct export_config *c)
{
	return c->access_log != NULL;
}

static int access_log_open(struct exporter **out, struct outlet *o, const struct export_config *c, const struct export_place *at)
{
	(void)at;
	return open_lines(out, o, c, (struct lines_config){ .path = c->access_log, .render = render_access_log });
}

static void file_send(struct exporter *x, struct export_batch *b, uint64_t now)
{
	(void)now;
	lines_send(&x->lines, b);
}

static void file_tick(struct exporter *x, uint64_t now)
{
	(void)now;
	lines_work(&x->lines);
}

static void file_reopen(struct exporter *x)
{
	lines_reopen(&x->lines);
}

static void file_close(struct exporter *x)
{
	lines_close(&x->lines);
	free(x);
}

const struct exporter_ops exporter_file = {
	.name = "file",
	.undelivered = STAT_undelivered_file,
	.eager = true,
	.count = file_count,
	.open = file_open,
	.send = file_send,
	.tick = file_tick,
	.reopen = file_reopen,
	.close = file_close,
};

const struct exporter_ops exporter_access_log = {
	.name = "access_log",
	.undelivered = STAT_undelivered_access_log,
	.every = true,
	.eager = true,
	.count = access_log_count,
	.open = access_log_open,
	.send = file_send,
	.tick = file_tick,
	.reopen = file_reopen,
	.close = file_close,
};
