/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes straight into a buf, for the hot path: room is asked for once per item, not per byte. After a failure (the buf is
 * full) all writes do nothing; writer_end() tells.
 */
#ifndef SPANDREL_BASE_WRITER_H
#define SPANDREL_BASE_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

struct writer {
	struct buf *out;
	char *at, *end; /* free part of out's memory */
	size_t start;	/* out->n at the beginning */
	int error;
};

void writer_begin(struct writer *w, struct buf *out);
/* 0, or -EMSGSIZE or -ENOMEM with `out` as it was. */
int writer_end(struct writer *w);

/* Makes room for n bytes. */
bool writer_grow(struct writer *w, size_t n);
static inline bool writer_room(struct writer *w, size_t n)
{
	return (size_t)(w->end - w->at) >= n || writer_grow(w, n);
}

static inline void writer_raw(struct writer *w, const char *p, size_t n)
{
	if (!writer_room(w, n))
		return;
	memcpy(w->at, p, n);
	w->at += n;
}

#define writer_lit(w, literal) writer_raw(w, literal, sizeof(literal) - 1)

#endif
