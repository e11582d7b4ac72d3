/* SPDX-License-Identifier: Apache-2.0 */
/* Private to spool*.c: the spool as it is in memory, the directory. */
#ifndef SPANDREL_EXPORT_SPOOL_INNER_H
#define SPANDREL_EXPORT_SPOOL_INNER_H

#include "export/spool.h"

struct spool {
	struct spool_config c;
	uint64_t key;
	uint64_t size;	       /* bytes of all segments */
	struct list segments;  /* the first one is read, the last one written */
	struct list taken;     /* struct spool_taken */
	struct segment *front; /* the one for what is to be read first; NULL */
};

static inline struct segment *segment_of(struct list *l)
{
	return list_entry(l, struct segment, link);
}

int spool_segment_reopen(const struct spool *s, struct segment *g);
/* Takes the segment away when it was read to its end and nothing of it is in flight; what it still holds was damaged. */
void spool_segment_reap(struct spool *s, struct segment *g);
/* Adds the spans of a record that are not done. */
void spool_count_open(const struct spool_taken *t, uint64_t *open, uint64_t *shared);
/* Spans that are gone with their record: dropped as counter `drop`. */
void spool_count_lost(const struct spool *s, uint64_t open, uint64_t shared, int drop);

/* ---- the directory ------------------------------------------------------------------------------ */

const char *spool_dir_path(const struct spool_dir *d);
/* A segment's file. create: it must not exist. 0 or -errno; *size when it exists. */
int spool_dir_file(const struct spool_dir *d, uint64_t key, uint64_t number, bool create, int *fd, uint64_t *size);
int spool_dir_remove(const struct spool_dir *d, uint64_t key, uint64_t number);
/* The numbers of this key's files, at most `max` (the highest ones), in order; count or -errno. */
int spool_dir_list(struct spool_dir *d, uint64_t key, uint64_t *numbers, uint32_t max);

#endif
