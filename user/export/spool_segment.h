/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file of the spool: records one after the other, each a head with a checksum of its own, a mark for every
 * span, and a text (what the spans are encoded as). Marks change in place and are under no checksum; the three
 * that are used differ in four bits, and one that is none of them counts as open: a span is rather sent twice
 * than lost. Numbers are in the host's byte order: a spool does not travel. Bytes that are no record are passed
 * over, whatever they are.
 */
#ifndef SPANDREL_EXPORT_SPOOL_SEGMENT_H
#define SPANDREL_EXPORT_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"

#define SEGMENT_RECORD_MAX (4 * 1024 * 1024) /* bytes of a text */
#define SEGMENT_SPANS_MAX 65536		     /* of a record */

enum spool_mark {
	MARK_OPEN = 0x0f,   /* not delivered yet, and the spool decides what becomes of the span */
	MARK_SHARED = 0x33, /* not delivered yet, but another exporter has delivered it or decides */
	MARK_DONE = 0x3c,   /* delivered, or dropped and counted */
};

struct segment {
	struct list link;     /* of its spool, in the order of reading */
	uint64_t number;      /* that order, and its name */
	uint64_t size, at;    /* bytes; where reading goes on */
	uint64_t open, shared; /* spans with that mark */
	uint64_t later;	      /* not read before: the disk did not give it */
	uint32_t taken;	      /* records in flight: the file stays open for their marks */
	int fd;		      /* -1: not open now */
	bool gone;	      /* given up: there is no file any more, only records in flight */
};

struct segment_record {
	uint64_t offset, end; /* in the file */
	uint32_t n;	      /* spans */
	uint32_t size, sum;   /* of the text */
};

/* One write; a failed one leaves the file as it was. 0 or -errno. */
int segment_append(struct segment *g, const uint8_t *marks, uint32_t n, struct slice text);
/* The first whole record at or after g->at. *damaged: there are other bytes before it. 0, -ENOENT, -errno. */
int segment_next(const struct segment *g, struct segment_record *out, bool *damaged);
/* Its marks (n of them), unknown ones made MARK_OPEN. 0, -EBADMSG when the file ends before, -errno. */
int segment_marks(const struct segment *g, const struct segment_record *r, uint8_t *marks, bool *damaged);
/* Its text. 0, -EBADMSG when it is not what was written, -errno. */
int segment_text(const struct segment *g, const struct segment_record *r, char *text);
/* Writes marks from..to of the record that begins there. */
int segment_mark(const struct segment *g, uint64_t offset, const uint8_t *marks, uint32_t from, uint32_t to);
/* Counts open and shared spans of all records. 0 or -errno. */
int segment_count(struct segment *g);

#endif
