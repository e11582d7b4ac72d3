/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* EV_DATA: the bytes of one operation, in records of at most PIECE_MAX bytes. */
#ifndef SPANDREL_PIECE_H
#define SPANDREL_PIECE_H

#include "call.h"
#include "emit.h"

#define PIECES_MAX 256 /* records of one operation: 4 MiB */

struct piece { /* what is left of an operation to hand over */
	__u64 conn, off;
	__u64 addr;	/* of the next byte, or of the vector */
	__u64 rest;	/* bytes to capture */
	__u64 tail;	/* bytes behind them that are not captured */
	__u64 count;	/* AT_VECTOR: elements */
	__u64 at;	/* bytes of element `element` that are done */
	__u32 element;
	__u32 seq;
	__u32 pid, tid;
	__u32 filled;	/* bytes gathered for the present record */
	__u16 flags;
	__u8 dir;
	__u8 hole;	/* of the tail */
};

inline_always void data_fill(struct ev_data *e, const struct piece *p, __u32 cap, __u32 size, __u8 hole)
{
	head_fill(&e->h, EV_DATA, p->flags, sizeof(*e) + cap);
	e->conn = p->conn;
	e->off = p->off;
	e->ctx = p->tid;
	e->pid = p->pid;
	e->tid = p->tid;
	e->size = size;
	e->cap = cap;
	e->seq = p->seq;
	e->dir = p->dir;
	e->hole = size > cap ? hole : HOLE_NONE;
	e->reserved = 0;
	if (size > cap)
		count(KC_HOLE_BYTES + (hole < HOLE_MAX ? hole : 0), size - cap);
}

/* The record of the next n bytes takes the tail along when it is the last. */
inline_always __u32 piece_size(const struct piece *p, __u64 n)
{
	return p->rest > n ? n : n + p->tail;
}

inline_always void piece_done(struct piece *p, __u64 n)
{
	p->off += n;
	p->seq += n;
	p->rest -= n;
}

/* Nothing to copy: one record that says how much moved. */
inline_always void emit_hole(struct piece *p)
{
	struct ev_data *e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);

	if (!e) {
		count(KC_MISSED_DATA, 1);
		return;
	}
	data_fill(e, p, 0, p->tail, p->hole);
	emit_submit(e);
}

/* ---- a contiguous buffer: copied straight into the ring, in a record of the smallest class that fits ---- */

#define EMIT_CLASS(bytes)                                                                          \
	do {                                                                                       \
		struct ev_data *e = bpf_ringbuf_reserve(&ring, sizeof(*e) + (bytes), 0);           \
		if (!e)                                                                            \
			return -1;                                                                 \
		n = BOUND(n, bytes);                                                               \
		if (bpf_probe_read_user(e->data, n, (void *)p->addr))                              \
			data_fill(e, p, 0, piece_size(p, n), HOLE_FAULT);                          \
		else                                                                               \
			data_fill(e, p, n, piece_size(p, n), p->hole);                             \
		emit_submit(e);                                                                    \
	} while (0)

subprog int emit_buffer(struct piece *p, __u64 n)
{
	if (!p)
		return -1;
	if (n <= 256)
		EMIT_CLASS(256);
	else if (n <= 1024)
		EMIT_CLASS(1024);
	else if (n <= 4096)
		EMIT_CLASS(4096);
	else
		EMIT_CLASS(PIECE_MAX);
	return 0;
}

static long step_buffer(__u32 i, struct piece *p)
{
	__u64 n = p->rest < PIECE_MAX ? p->rest : PIECE_MAX;

	if (!n)
		return 1;
	if (emit_buffer(p, n))
		count(KC_MISSED_DATA, 1);
	p->addr += n;
	piece_done(p, n);
	return 0;
}

inline_always void emit_contiguous(struct piece *p)
{
	if (!p->rest)
		emit_hole(p);
	else if (p->rest <= PIECE_MAX)
		step_buffer(0, p);
	else
		bpf_loop(PIECES_MAX, step_buffer, p, 0);
}

/* ---- a vector: elements are put together in scratch memory ---- */

struct gather {
	struct piece *p;
	struct scratch *to;
	__u32 want;  /* bytes of this record */
	__u32 fault;
};

static long step_element(__u32 i, struct gather *g)
{
	struct piece *p = g->p;
	struct scratch *to = g->to;
	struct iovec v;
	__u64 n, at;

	if (p->filled >= g->want || p->element >= p->count)
		return 1;
	if (bpf_probe_read_user(&v, sizeof(v), (void *)(p->addr + p->element * sizeof(v))))
		goto fault;
	if (v.iov_len <= p->at) {
		p->at -= v.iov_len; /* bytes to pass over may span elements */
		p->element++;
		return 0;
	}
	n = v.iov_len - p->at;
	if (n > g->want - p->filled)
		n = g->want - p->filled;
	n = BOUND(n, PIECE_MAX);
	at = MASK(p->filled, PIECE_MAX - 1);
	if (bpf_probe_read_user(to->data + at, n, v.iov_base + p->at))
		goto fault;
	p->filled += n;
	p->at += n;
	return 0;
fault:
	g->fault = 1;
	return 1;
}

static long step_vector(__u32 i, struct piece *p)
{
	__u32 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratches, &zero);
	struct gather g = { .p = p, .to = s };
	__u64 n = p->rest < PIECE_MAX ? p->rest : PIECE_MAX, size;

	if (!n || !s)
		return 1;
	p->filled = 0;
	g.want = n;
	bpf_loop(1024 + 1, step_element, &g, 0);
	if (g.fault || p->filled < n) { /* what was read so far is good, all behind it unknown */
		p->tail += p->rest - p->filled;
		p->rest = n = p->filled;
		p->hole = HOLE_FAULT;
	}
	data_fill((struct ev_data *)s, p, n, piece_size(p, n), p->hole);
	size = BOUND(n, PIECE_MAX) + sizeof(s->head);
	if (bpf_ringbuf_output(&ring, s, size, wake_flags()))
		count(KC_MISSED_DATA, 1);
	else
		count(KC_RECORDS, 1);
	piece_done(p, n);
	return 0;
}

inline_always void emit_vector(struct piece *p)
{
	if (!p->rest)
		emit_hole(p);
	else
		bpf_loop(PIECES_MAX, step_vector, p, 0);
}

#endif
