/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts in one flat run of bytes: what /proc said when it was read, what a recording keeps
 * (EV_PROC, EV_HOST) and what a resource is made of are the same bytes, so live and replayed
 * resources are equal. Layout: struct facts_head, then items of { u8 type, u8 key length, u16 value
 * length, key, value }, little-endian, without padding. A later item of the same key wins.
 */
#ifndef SPANDREL_HOST_FACTS_H
#define SPANDREL_HOST_FACTS_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "event.h"

#define FACTS_VERSION 1
#define FACTS_MAX     (32 * 1024)

struct facts_head {
	uint32_t version;
	uint32_t reserved;
	uint64_t start; /* of the process, clock ticks after boot; 0: not known */
	uint64_t exec;	/* time of the EV_EXEC they answer, 0: none */
	uint64_t read;	/* boot time when the last of them had been read; 0: they come from a record */
};

void facts_begin(struct buf *b, uint64_t start, uint64_t exec);
void facts_end(struct buf *b, uint64_t read);
/* Values are cut at TEXT_MAX bytes; an item that does not fit is left out. */
void facts_text(struct buf *b, struct slice key, struct slice value);
void facts_number(struct buf *b, struct slice key, int64_t value);

/* Any bytes are safe. False: none of ours. */
bool facts_open(struct slice data, struct facts_head *head, struct slice *items);
/* The next item, borrowed from the data (bytes as they are: not cleaned). False at the end or at
 * the first that is damaged. */
bool facts_next(struct slice *items, struct attr *out);

/*
 * Reads a living process. exec: the record that says it began this program, or NULL; facts of
 * another program or of another process with the same id are refused with -ESTALE. 0 or -errno; *b
 * is reset first.
 */
int facts_read(struct buf *b, const char *root, uint32_t pid, const struct ev_exec *exec);
/* From the record alone, for a process that is gone. */
void facts_from_exec(struct buf *b, const struct ev_exec *exec);
/* Of the host: host.name, host.id, host.arch, os.type. */
void facts_read_host(struct buf *b, const char *root);

#endif
