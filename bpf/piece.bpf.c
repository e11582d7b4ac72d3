// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* EV_DATA: the bytes of one operation, in records of at most PIECE_MAX bytes. */
#include "iter.h"
#include "piece.h"
#include "record.h"

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
	if (n <= SMALL_MAX ? emit_small(p, n) : emit_large(p, n))
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

checked_alone int piece_hole(__u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	if (s && emit_hole(&s->piece))
		count(KC_MISSED_DATA, 1);
	return 0;
}
