/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* One EV_DATA of what a struct piece describes. */
#ifndef SPANDREL_RECORD_H
#define SPANDREL_RECORD_H

#include "emit.h"

inline_always void data_fill(struct ev_data *e, struct piece *p, __u32 cap, __u32 size, __u8 hole)
{
	head_fill(&e->h, EV_DATA, p->flags, sizeof(*e) + cap);
	e->conn = p->conn;
	e->off = p->off;
	e->ctx = p->ctx;
	e->pid = p->pid;
	e->tid = p->tid;
	e->size = size;
	e->cap = cap;
	e->seq = p->seq;
	e->dir = p->dir;
	e->hole = size > cap ? hole : HOLE_NONE;
	e->passed = p->passed;
	p->passed = 0;
	if (size > cap)
		count(KC_HOLE_BYTES + (hole < HOLE_MAX ? hole : 0), size - cap);
}

/* The record of the next n bytes takes the tail along when it is the last. */
inline_always __u32 piece_size(const struct piece *p, __u64 n)
{
	return p->rest > n ? n : n + p->tail;
}

/* Nothing to copy: one record that says how much moved. 0, or -1: the ring is full. */
inline_always int emit_hole(struct piece *p)
{
	struct ev_data *e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);

	if (!e)
		return -1;
	data_fill(e, p, 0, p->tail, p->hole);
	emit_submit(e);
	return 0;
}

/* ---- a contiguous buffer: copied straight into the ring, in a record of the smallest class that fits: a denser ring stays in the caches ---- */

#define RESERVE_CLASS(bytes)                                                                       \
	do {                                                                                       \
		e = bpf_ringbuf_reserve(&ring, sizeof(*e) + (bytes), 0);                           \
		if (!e)                                                                            \
			return -1;                                                                 \
		err = bpf_probe_read_user(e->data, BOUND(n, bytes), (void *)p->addr);              \
	} while (0)

inline_always int emit_filled(struct ev_data *e, struct piece *p, __u64 n, long err)
{
	data_fill(e, p, err ? 0 : n, piece_size(p, n), err ? HOLE_FAULT : p->hole);
	emit_submit(e);
	return 0;
}

#define SMALL_MAX 1024

/* The next n bytes of p, at most SMALL_MAX. Likewise 0 or -1. */
inline_always int emit_small(struct piece *p, __u64 n)
{
	struct ev_data *e;
	long err;

	if (n <= 128)
		RESERVE_CLASS(128);
	else if (n <= 256)
		RESERVE_CLASS(256);
	else if (n <= 512)
		RESERVE_CLASS(512);
	else
		RESERVE_CLASS(SMALL_MAX);
	return emit_filled(e, p, n, err);
}

/* The same of at most PIECE_MAX. */
inline_always int emit_large(struct piece *p, __u64 n)
{
	struct ev_data *e;
	long err;

	if (n <= 2048)
		RESERVE_CLASS(2048);
	else if (n <= 4096)
		RESERVE_CLASS(4096);
	else
		RESERVE_CLASS(PIECE_MAX);
	return emit_filled(e, p, n, err);
}

#undef RESERVE_CLASS

#endif
