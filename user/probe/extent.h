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

#endif
