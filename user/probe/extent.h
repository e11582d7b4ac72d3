/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a file that may say anything: where its headers claim that something is, and reading it there. */
#ifndef SPANDREL_PROBE_EXTENT_H
#define SPANDREL_PROBE_EXTENT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

struct extent {
	uint64_t at, size;
};

/* Of a file of so many bytes. */
static inline bool extent_inside(const struct extent *e, uint64_t file_size)
{
	return e->at <= file_size && e->size <= file_size - e->at;
}

/* 0; -EBADMSG where the file ends before; -errno. */
static inline int read_exactly(int fd, void *to, size_t n, uint64_t at)
{
	ssize_t got = at <= INT64_MAX - n ? pread(fd, to, n, (off_t)at) : 0;

	if (got < 0)
		return -errno;
	return (size_t)got == n ? 0 : -EBADMSG;
}

struct segment { /* of a program: where its addresses are in the file */
	uint64_t address, offset, size;
	bool code;
};

/* The place of an address in a file of so many bytes. False: it is not there. */
static inline bool segment_find(const struct segment *g, uint64_t address, uint64_t file_size, uint64_t *offset)
{
	uint64_t in = address - g->address;

	if (address < g->address || in >= g->size || g->offset > file_size || in >= file_size - g->offset)
		return false;
	*offset = g->offset + in;
	return true;
}

#endif
