/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --record and --replay. A file is a struct record_header, then event records as include/event.h has them, each padded to
 * 8 bytes with zeros; little-endian. Every 64 KiB or second, and at the end, a struct record_check closes a block: its
 * checksums cover the bytes since the one before (the first one the header too). Created 0600. Holds what the tracer saw,
 * no more. Logs at the edge.
 *
 * A damaged block ends a replay: nothing of it is used. A file that merely ends (cut short) is used to its last whole record.
 */
#ifndef SPANDREL_PROBE_RECORD_H
#define SPANDREL_PROBE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "event.h"

#define RECORD_MAGIC "SPANDREC"
#define RECORD_VERSION 2
#define RECORD_CHECK 0x5ec0	  /* ev_head.type of a struct record_check; no event has it */
#define RECORD_MAX (16u << 20) /* bytes of one record; a larger one is not recorded */

struct record_header {
	char magic[8];
	uint32_t version;
	uint32_t reserved;
	uint64_t seed[2]; /* of span ids: a replay gives the same ones */
};

struct record_check {
	struct ev_head h;
	uint64_t size; /* bytes covered, a multiple of 8 */
	uint32_t crc[2]; /* CRC-32C (base/crc32c.h) of the first size / 2 bytes and of the others */
};

/* What closes the block p. */
struct record_check record_check_of(const void *p, size_t size);

struct recorder;

/* 0, or -errno after one line. */
int recorder_open(struct recorder **out, const char *path, const uint64_t seed[2]);
void recorder_put(struct recorder *r, const struct ev_head *ev);
/* Writes what is buffered. The first error is said once and ends the recording; the tracer goes on. */
void recorder_tick(struct recorder *r, uint64_t now);
void recorder_close(struct recorder *r);

/*
 * Calls start once the seed is known, then fn for each valid record, 8-byte aligned and borrowed until fn returns. 0 at the
 * end, also after a damaged tail (said in one line); -errno, after one line, when the file is none of ours.
 */
int replay_file(const char *path, uint64_t seed[2], void (*start)(void *arg), void (*fn)(void *arg, const struct ev_head *ev),
		void *arg);

#endif
