/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --record and --replay. A file is a struct record_header, then event records as include/event.h has them, each padded to
 * 8 bytes with zeros; little-endian. Every 64 KiB or second, and at the end, a checksum record closes a block: a damaged or
 * cut tail is reported and the whole blocks before it are used. Created 0600. Holds what the tracer saw, no more.
 */
#ifndef SPANDREL_PROBE_RECORD_H
#define SPANDREL_PROBE_RECORD_H

#include <stdint.h>

#include "event.h"

#define RECORD_MAGIC "SPANDREC"
#define RECORD_VERSION 1
#define RECORD_BLOCK (64 * 1024)    /* bytes of records under one checksum, if no record is larger */
#define RECORD_MAX (1024 * 1024)    /* bytes of one record; larger ones are not kept */
#define RECORD_SUM 0x5355	    /* ev_head.type of a struct record_sum; outside enum ev_type */

struct record_header {
	char magic[8];
	uint32_t version;
	uint32_t reserved;
	uint64_t seed[2]; /* of span ids: a replay gives the same ones */
};

struct record_sum { /* closes a block */
	struct ev_head h;
	uint32_t bytes; /* of the block before this record */
	uint32_t crc;	/* CRC-32 (zlib) of them */
};

struct recorder;

int recorder_open(struct recorder **out, const char *path, const uint64_t seed[2]);
void recorder_put(struct recorder *r, const struct ev_head *ev);
/* Writes what is buffered. The first error is said once and ends the recording; the tracer goes on. */
void recorder_tick(struct recorder *r, uint64_t now);
void recorder_close(struct recorder *r);

/* Calls fn for each valid record. 0 at the end, also after a damaged tail (said in one line); -errno when the file is none of ours. */
int replay_file(const char *path, uint64_t seed[2], void (*start)(void *arg), void (*fn)(void *arg, const struct ev_head *ev), void *arg);

#endif
