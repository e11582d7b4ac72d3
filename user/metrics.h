/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters and gauges as text that Prometheus reads: its text format 0.0.4, or OpenMetrics 1.0 where the client asks for it.
 * Families: spandrel_NAME of every row of base/stats.h (a counter's sample has _total behind it), and what the caller knows
 * beside those. Samples of one family stand together; a family whose samples differ by a label says what each counts
 * in its help.
 */
#ifndef SPANDREL_METRICS_H
#define SPANDREL_METRICS_H

#include <stdint.h>

#include "base/buf.h"

enum metrics_format { METRICS_TEXT, METRICS_OPEN };
enum metrics_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_INFO };

struct metric {
	const char *name; /* of the family, without _total and _info */
	enum metrics_kind kind;
	const char *unit; /* the name's last word; NULL: none */
	const char *help;
	const char *labels; /* name="value",…, escaped; NULL: none */
	double value;
};

/* What an Accept field asks for; absent: the text format. */
enum metrics_format metrics_accepted(struct slice accept);
const char *metrics_type(enum metrics_format f); /* Content-Type */

/* All of stats. What does not fit into a buffer shows in b->failed. */
void metrics_stats(struct buf *b, enum metrics_format f);
/* One sample; `again`: of the same family as the one before, which was said what it is. */
void metrics_put(struct buf *b, enum metrics_format f, const struct metric *m, bool again);
void metrics_end(struct buf *b, enum metrics_format f); /* OpenMetrics wants a last line */
/* Appends name="value", escaped, to labels that are there. */
void metrics_label(struct buf *b, const char *name, struct slice value);

#endif
