/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exporter's spans on disk (export/spool.h): put as OTLP in protobuf whatever the exporter speaks, and taken
 * as spans again, so that halving, other encodings and other end points than those of the day before need
 * nothing of their own.
 */
#ifndef SPANDREL_EXPORT_BACKLOG_H
#define SPANDREL_EXPORT_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "export/export.h"
#include "export/spool.h"

struct backlog;

/* 0 or -errno, said in one line. Borrows the version. */
int backlog_new(struct backlog **out, const struct spool_config *c, const char *version);
void backlog_free(struct backlog *b); /* after all its spans; NULL is fine */

bool backlog_waiting(const struct backlog *b); /* there is something to take */
/*
 * Writes spans to disk, which then decides what becomes of those that nobody has delivered yet. first: they are
 * to be taken before what is there. Returns how many it could not put (trouble and its end are one line each):
 * these are then the first ones of the array.
 */
uint32_t backlog_put(struct backlog *b, struct span **spans, uint32_t n, bool first);
/* The spans of the next record, each with one reference, or NULL. */
struct export_batch *backlog_take(struct backlog *b, uint64_t now);

/* ---- spans that were taken ---------------------------------------------------------------------- */

struct parcel *parcel_hold(struct span *s); /* NULL when the span is none of these */
void parcel_put(struct parcel *p);	    /* what was held; its marks are on disk then. NULL is fine */
/* Instead of span_free(). It stays on disk if s->spooled. */
void parcel_end(struct span *s);

#endif
