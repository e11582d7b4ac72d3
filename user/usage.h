/* SPDX-License-Identifier: Apache-2.0 */
/* What this process uses, under the names that Prometheus' client libraries give such figures. */
#ifndef SPANDREL_USAGE_H
#define SPANDREL_USAGE_H

#include "metrics.h"

/* Appends process_*: what cannot be read is left out. start: real time, s. */
void usage_metrics(struct buf *b, enum metrics_format f, double start);
/* When this process began, real time in s; 0 when that cannot be told. */
double usage_start(void);

#endif
