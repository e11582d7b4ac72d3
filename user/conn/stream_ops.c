// SPDX-License-Identifier: Apache-2.0
#include "conn/stream_ops.h"

#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

bool chunk_cut_front(struct chunk *c, uint64_t n)
{
	if (n >= c->size)
		return false;
	c->off += n;
	c->size -= n;
	c->seq += (uint32_t)n;
	c->data = slice_from(c->data, n);
	return true;
}

void chunk_cut_tail(struct chunk *c, uint64_t keep)
{
	if (keep < c->size)
		c->size = keep;
	c->data = slice_to(c->data, c->size);
}

void stream_ops_init(struct stream_ops *o)
{
	o->v = o->few;
	o->n = 0;
	o->cap = STREAM_OPS_FEW;
}

void stream_ops_fini(struct stream_ops *o, struct stream_memory *m)
{
	if (o->v != o->few) {
		free(o->v);
		memory_back(m, o->cap * sizeof(*o->v));
	}
}

static void forget_before(struct stream_ops *o, uint64_t front)
{
	uint32_t gone = 0;

	while (gone < o->n && o->v[gone].end < front)
		gone++;
	o->n -= gone;
	if (gone)
		memmove(o->v, o->v + gone, o->n * sizeof(*o->v));
}

static bool grow(struct stream_ops *o, struct stream_memory *m)
{
	uint32_t cap = MIN(o->cap * 4, (uint32_t)STREAM_MARKS);
	struct stream_op *old = o->v == o->few ? NULL : o->v, *v;

	if (cap == o->cap || !memory_take(m, cap * sizeof(*v)))
		return false;
	v = realloc(old, cap * sizeof(*v));
	if (!v) {
		memory_back(m, cap * sizeof(*v));
		return false;
	}
	if (old)
		memory_back(m, o->cap * sizeof(*v));
	else
		memcpy(v, o->few, o->n * sizeof(*v));
	o->v = v;
	o->cap = cap;
	return true;
}

static struct stream_op merged(const struct stream_op *a, const struct stream_op *b)
{
	struct stream_op r = *a;

	r.end = b->end;
	if (b->first.time < r.first.time)
		r.first = b->first;
	if (b->last.time >= r.last.time)
		r.last = b->last;
	r.has_seq = a->has_seq && b->has_seq && b->seq - a->seq == (uint32_t)(b->off - a->off);
	return r;
}

/* Halves the number: each two neighbours become one. */
static void merge(struct stream_ops *o)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < o->n; i += 2)
		o->v[n++] = i + 1 < o->n ? merged(&o->v[i], &o->v[i + 1]) : o->v[i];
	o->n = n;
}

static bool same_mark(const struct mark *a, const struct mark *b)
{
	return a->time == b->time && a->ctx == b->ctx && a->tid == b->tid && a->pid == b->pid;
}

/* A chunk that goes on where the newest operation ended, by the same operation. */
static bool extend(struct stream_ops *o, const struct chunk *c)
{
	struct stream_op *op = o->n ? &o->v[o->n - 1] : NULL;

	if (!op || op->end != c->off || !same_mark(&op->last, &c->mark) || !same_mark(&op->first, &c->mark))
		return false;
	op->end += c->size;
	return true;
}

void stream_ops_add(struct stream_ops *o, struct stream_memory *m, uint64_t front, const struct chunk *fed)
{
	struct chunk c;
	uint32_t at;

	if (extend(o, fed))
		return;
	c = *fed;
	if (o->n == o->cap)
		forget_before(o, front);
	if (o->n == o->cap && !grow(o, m))
		merge(o);
	for (at = o->n; at && o->v[at - 1].off > c.off; at--)
		;
	if (at && o->v[at - 1].end > c.off && !chunk_cut_front(&c, o->v[at - 1].end - c.off))
		return;
	if (at < o->n) {
		if (o->v[at].off <= c.off)
			return;
		chunk_cut_tail(&c, o->v[at].off - c.off);
		memmove(o->v + at + 1, o->v + at, (o->n - at) * sizeof(*o->v));
	}
	o->v[at] = (struct stream_op){ c.off, c.off + c.size, c.mark, c.mark, c.seq, c.has_seq };
	o->n++;
}

const struct stream_op *stream_ops_find(const struct stream_ops *o, uint64_t off)
{
	for (uint32_t i = o->n; i--;)
		if (off >= o->v[i].off)
			return off < o->v[i].end ? &o->v[i] : NULL;
	return NULL;
}
