/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to stream*.c: which operation moved which bytes, the account of memory, and cutting of chunks. */
#ifndef SPANDREL_CONN_STREAM_OPS_H
#define SPANDREL_CONN_STREAM_OPS_H

#include "conn/stream.h"

struct stream_memory { /* shared by all streams */
	size_t *used, limit;
};

static inline bool memory_take(struct stream_memory *m, size_t n)
{
	if (n > m->limit || *m->used > m->limit - n)
		return false;
	*m->used += n;
	return true;
}

static inline void memory_back(struct stream_memory *m, size_t n)
{
	*m->used -= n;
}

struct stream_op {
	uint64_t off, end;
	struct mark first, last; /* differ where operations were merged: the earliest and the latest of them */
	uint32_t seq;
	bool has_seq;
};

#define STREAM_OPS_FEW 2

struct stream_ops { /* by offset, without overlaps */
	struct stream_op *v; /* few, or allocated */
	uint32_t n, cap;
	struct stream_op few[STREAM_OPS_FEW];
};

void stream_ops_init(struct stream_ops *o);
void stream_ops_fini(struct stream_ops *o, struct stream_memory *m);
/* Notes a chunk. Forgets what lies before the last consumed byte when it needs the place. */
void stream_ops_add(struct stream_ops *o, struct stream_memory *m, uint64_t front, const struct chunk *c);
const struct stream_op *stream_ops_find(const struct stream_ops *o, uint64_t off); /* NULL: unknown */

/* Takes n bytes off the front; false if nothing is left. */
bool chunk_cut_front(struct chunk *c, uint64_t n);
/* Leaves at most `keep` bytes. */
void chunk_cut_tail(struct chunk *c, uint64_t keep);

#endif
