// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* EV_DATA: the bytes of one operation, in records of at most PIECE_MAX bytes. */
#include "iter.h"
#include "piece.h"

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

/* ---- a contiguous buffer: copied straight into the ring, in a record of the smallest class that fits: a denser ring stays in the caches ---- */

#define RESERVE_CLASS(bytes)                                                                       \
	do {                                                                                       \
		e = bpf_ringbuf_reserve(&ring, sizeof(*e) + (bytes), 0);                           \
		if (!e)                                                                            \
			return -1;                                                                 \
		err = bpf_probe_read_user(e->data, BOUND(n, bytes), (void *)p->addr);              \
	} while (0)

subprog int emit_buffer(struct scratch *s, __u64 n)
{
	struct piece *p = &s->piece;
	struct ev_data *e;
	long err;

	if (n <= 128)
		RESERVE_CLASS(128);
	else if (n <= 256)
		RESERVE_CLASS(256);
	else if (n <= 512)
		RESERVE_CLASS(512);
	else if (n <= 1024)
		RESERVE_CLASS(1024);
	else if (n <= 2048)
		RESERVE_CLASS(2048);
	else if (n <= 4096)
		RESERVE_CLASS(4096);
	else
		RESERVE_CLASS(PIECE_MAX);
	data_fill(e, p, err ? 0 : n, piece_size(p, n), err ? HOLE_FAULT : p->hole);
	emit_submit(e);
	return 0;
}

checked_alone int buffer_step(__u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);
	struct piece *p;
	__u64 n;

	if (!s)
		return 1;
	p = &s->piece;
	n = p->rest < PIECE_MAX ? p->rest : PIECE_MAX;
	if (!n)
		return 1;
	if (emit_buffer(s, n))
		count(KC_MISSED_DATA, 1);
	p->addr += n;
	piece_done(p, n);
	return 0;
}
LOOP(buffer, 16, 16) /* 4 MiB */

/* ---- a vector: elements are put together in scratch memory ---- */

checked_alone int element_step(__u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);
	struct piece *p;
	struct iovec e;
	__u64 n, at;
	long err;

	if (!s)
		return 1;
	p = &s->piece;
	if (p->filled >= p->want || p->element >= p->count)
		return 1;
	if (p->element - s->iov_at >= IOV_FEW && !iov_read(s, p->addr, p->count, p->element))
		goto fault;
	e = s->iov[MASK(p->element - s->iov_at, IOV_FEW - 1)];
	if (p->where == AT_BVEC && page_element(&e))
		goto fault;
	if (e.iov_len <= p->at) {
		p->at -= e.iov_len; /* bytes to pass over may span elements */
		p->element++;
		return 0;
	}
	n = e.iov_len - p->at;
	if (n > p->want - p->filled)
		n = p->want - p->filled;
	n = BOUND(n, PIECE_MAX);
	at = MASK(p->filled, PIECE_MAX - 1);
	if (p->where >= AT_KVEC)
		err = bpf_probe_read_kernel(s->data + at, n, e.iov_base + p->at);
	else
		err = bpf_probe_read_user(s->data + at, n, e.iov_base + p->at);
	if (err)
		goto fault;
	p->filled += n;
	p->at += n;
	if (p->at == e.iov_len) {
		p->at = 0;
		p->element++;
	}
	return 0;
fault:
	p->fault = 1;
	return 1;
}
LOOP(element, 33, 32) /* UIO_MAXIOV and some */

checked_alone int vector_step(__u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);
	struct piece *p;
	__u64 n, size;

	if (!s)
		return 1;
	p = &s->piece;
	n = p->rest < PIECE_MAX ? p->rest : PIECE_MAX;
	if (!n)
		return 1;
	p->filled = 0;
	p->want = n;
	element_loop(slot);
	if (p->fault || p->filled < n) { /* what was read so far is good, all behind it unknown */
		p->tail += p->rest - p->filled;
		p->rest = n = p->filled;
		p->hole = HOLE_FAULT;
	}
	data_fill((struct ev_data *)s->head, p, n, piece_size(p, n), p->hole);
	size = BOUND(n, PIECE_MAX) + sizeof(s->head);
	/* the flag is looked at when the record is there, not before: the reader may lie down in between */
	if (bpf_ringbuf_output(&ring, s->head, size, BPF_RB_NO_WAKEUP))
		count(KC_MISSED_DATA, 1);
	else
		wake_reader();
	piece_done(p, n);
	return 0;
}

LOOP(vector, 16, 16)

checked_alone int piece_emit(__u32 slot, __u32 vector)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	if (!s)
		return 0;
	if (!s->piece.rest)
		emit_hole(&s->piece);
	else if (vector)
		vector_loop(slot);
	else
		buffer_loop(slot);
	return 0;
}
