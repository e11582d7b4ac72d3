/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --spool-dir: records of encoded spans on disk, for one end point, in order. What is written is with the
 * kernel when spool_put() returns (it is not synced: kill -9 loses nothing of it, a loss of power may), and
 * stays until each of its spans is marked; a mark, too, is with the kernel at once, so that nothing is sent
 * again that was acknowledged. A record that was taken and not marked is there again in the next run.
 *
 * A directory belongs to one process (a lock), and holds files of several end points: KEY-NUMBER.spool, KEY
 * being a hash of the end point's name. Files of an end point that is not configured stay. At its size the
 * spool loses its oldest segment. Keeps spans_in_spool and counts what it loses. Blocks as long as a write to a
 * regular file does.
 */
#ifndef SPANDREL_EXPORT_SPOOL_H
#define SPANDREL_EXPORT_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/slice.h"
#include "export/spool_segment.h"

struct spool_dir;
struct spool;

/* Makes it if need be (0700). 0 or -errno, said in one line; -EBUSY: another process has it. */
int spool_dir_open(struct spool_dir **out, const char *path);
void spool_dir_close(struct spool_dir *d); /* after its spools; NULL is fine */

void spool_dir_strangers(const struct spool_dir *d); /* says what is there for others than the spools opened */

struct spool_config {
	struct spool_dir *dir;
	const char *target; /* the end point; what was left for it is sent to it again */
	uint64_t size;	    /* bytes of all its files, at least a few records */
	int undelivered;    /* enum stat_id: spans that were lost here */
};

/* 0 or -errno, said in one line. */
int spool_open(struct spool **out, const struct spool_config *c);
/* After everything taken was released. NULL is fine. */
void spool_close(struct spool *s);

bool spool_waiting(const struct spool *s); /* there are records that were not taken */
/* marks: MARK_OPEN or MARK_SHARED for each of the n spans. first: to be read before all that is there. 0 or -errno. */
int spool_put(struct spool *s, const uint8_t *marks, uint32_t n, struct slice text, bool first);

/* A record in flight. */
struct spool_taken {
	struct list link;
	struct segment *segment;
	uint64_t offset;
	uint32_t n, left;  /* spans, those not done */
	uint32_t from, to; /* marks to be written */
	uint8_t *marks;
	struct slice text; /* lives as long as this */
};

/*
 * The next one. 0, -ENOENT when there is none, -ENOMEM. What is damaged is passed over and goes with its file; a file that cannot be
 * read for other reasons (the disk, descriptors) stays, and is tried again SPOOL_RETRY later, the others meanwhile. now: ns.
 */
#define SPOOL_RETRY (10 * NS_PER_S)
int spool_take(struct spool *s, uint64_t now, struct spool_taken **out);
void spool_done(struct spool_taken *t, uint32_t i); /* a span that was not done is */
void spool_sync(struct spool_taken *t);		    /* writes the marks */
/* Frees it. again: what is not done is to be taken once more, else it counts as damaged. */
void spool_release(struct spool *s, struct spool_taken *t, bool again);

#endif
