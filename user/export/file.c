// SPDX-License-Identifier: Apache-2.0
/* --file: one ExportTraceServiceRequest in OTLP/JSON a line, what the Collector's file exporter writes and reads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "base/scope.h"
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

static uint32_t file_count(const struct export_config *c)
{
	return c->file != NULL;
}

static int file_open(struct exporter **out, struct outlet *o, const struct export_config *c,
			 const struct export_place *at)
{
	_free_ struct exporter *x = calloc(1, sizeof(*x));
	bool to_stdout = !strcmp(c->file, "-");
	int r;

	(void)at;
	if (!x)
		return -ENOMEM;
	x->version = c->version;
	r = lines_open(&x->lines, o,
		       &(struct lines_config){
			       .path = to_stdout ? NULL : c->file,
			       .name = to_stdout ? "standard output" : c->file,
			       .render = render_file,
			       .arg = x,
		       });
	if (r)
		return r;
	*out = TAKE_PTR(x);
	return 0;
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
	.close = file_close,
};
