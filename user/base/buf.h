/* SPDX-License-Identifier: Apache-2.0 */
/* A growable byte buffer with a maximum. Owns its memory; every function is safe on a buffer that failed before. */
#ifndef SPANDREL_BASE_BUF_H
#define SPANDREL_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct buf {
	char *p;
	size_t n, cap, max;
	bool failed; /* an append did not fit or memory ran out: the content is not whole */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
/* Empties it, keeps the memory, forgets a failure. */
void buf_reset(struct buf *b);
/* Room for n more bytes; NULL (and failed) when that passes max. The bytes count once buf_added() says so. */
char *buf_room(struct buf *b, size_t n);
void buf_added(struct buf *b, size_t n);
int buf_append(struct buf *b, const void *p, size_t n); /* 0, -ENOSPC, -ENOMEM */
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first n bytes. */
void buf_shift(struct buf *b, size_t n);

static inline int buf_str(struct buf *b, struct slice s)
{
	return buf_append(b, s.p, s.n);
}

static inline struct slice buf_slice(const struct buf *b)
{
	return slice_of(b->p, b->n);
}

#endif
