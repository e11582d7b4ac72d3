/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The kernel's own description of where the bytes of an operation are: msg->msg_iter. When the operation is done it stands behind
 * them, so it is walked back by what it advanced (as iov_iter_revert() does). Complete for every caller: system calls, io_uring in any
 * context, sendfile's pages, the plaintext of kTLS.
 */
#ifndef SPANDREL_ITER_H
#define SPANDREL_ITER_H

#include "call.h"
#include "compat.h"

/* A struct bio_vec (bv_page; bv_len and bv_offset of 32 bits each) becomes address and length of its bytes. */
inline_always int page_element(struct iovec *e)
{
	__u64 address = page_address((__u64)e->iov_base), packed = e->iov_len;

	e->iov_base = (void *)address + (packed >> 32);
	e->iov_len = (__u32)packed;
	return address ? 0 : -1;
}

/* Walks scratch->iter back to the first byte; not 0 where it could not. A global function: verified once (piece.h). */
int iter_rewind(__u32 slot);

#ifdef BY_READING
#define MSG(msg, field) BPF_CORE_READ(msg, msg_iter.field)
#else
#define MSG(msg, field) ((msg)->msg_iter.field)
#endif

/* 5.14 split the direction off and made the type 8 bits (8cd54c1c8480); 6.0 brought ITER_UBUF; the numbers moved more than once. */
inline_always enum where iter_where(struct msghdr *msg)
{
	struct iov_iter___513 *old = (void *)&msg->msg_iter;
	__u32 type;

	if (bpf_core_field_exists(msg->msg_iter.iter_type)) {
		type = MSG(msg, iter_type);
	} else {
		type = BPF_CORE_READ(old, type) & ~1U;
	}
	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) && type == bpf_core_enum_value(enum iter_type, ITER_UBUF))
		return AT_BUFFER;
	if (type == bpf_core_enum_value(enum iter_type, ITER_IOVEC))
		return AT_IOVEC;
	if (type == bpf_core_enum_value(enum iter_type, ITER_BVEC))
		return AT_BVEC;
	return type == bpf_core_enum_value(enum iter_type, ITER_KVEC) ? AT_KVEC : AT_NOWHERE;
}

/*
 * The address of the vector or of the buffer, which share a place; read by helper, as the verifier lets nobody compute with a pointer whose
 * type it knows. 6.4 renamed it to keep direct users out (de4f5fed3f23).
 */
inline_always __u64 iter_pointer(struct msghdr *msg)
{
	struct iov_iter___63 *old = (void *)&msg->msg_iter;

	if (bpf_core_field_exists(msg->msg_iter.__iov))
		return (__u64)BPF_CORE_READ(msg, msg_iter.__iov);
	return (__u64)BPF_CORE_READ(old, iov);
}

/* One element back is enough for nearly every operation, and then it is one buffer. */
inline_always void iter_vector(struct op *op, struct scratch *s, enum where where)
{
	struct iter *it = &s->iter;

	if (it->back > it->at && iter_rewind(s->slot)) {
		op_hole(op, HOLE_FAULT);
		return;
	}
	op->where = where;
	op->addr = it->vec;
	op->at = it->at - it->back;
	op->count = it->n;
	if (!iov_read(s, op->addr, op->count, 0)) {
		op_hole(op, HOLE_FAULT);
	} else if (where == AT_IOVEC && s->iov[0].iov_len - op->at >= op->size) {
		op->where = AT_BUFFER;
		op->addr = (__u64)s->iov[0].iov_base + op->at;
	}
}

/* msg's iterator had `size` bytes before the operation. */
inline_always void iter_locate(struct op *op, struct scratch *s, struct msghdr *msg, __u64 size)
{
	enum where where = iter_where(msg);
	__u64 advanced = size - MSG(msg, count), at = MSG(msg, iov_offset);

	if (where == AT_NOWHERE) {
		op_hole(op, HOLE_NO_BUFFER);
	} else if (advanced > size || advanced < op->size) { /* counted, but not copied to anybody */
		op_hole(op, HOLE_FOREIGN);
	} else if (where == AT_BUFFER) {
		op->where = where;
		op->addr = iter_pointer(msg) + at - advanced;
	} else {
		s->iter = (struct iter){ .vec = iter_pointer(msg), .at = at, .back = advanced, .n = 1, .where = where };
		iter_vector(op, s, where);
	}
}

/* One buffer, told without a work area; else false. */
inline_always bool iter_spot(struct op *op, struct msghdr *msg, __u64 size)
{
	__u64 advanced = size - MSG(msg, count);

	if (iter_where(msg) != AT_BUFFER || advanced > size || advanced < op->size)
		return false;
	op->where = AT_BUFFER;
	op->addr = iter_pointer(msg) + MSG(msg, iov_offset) - advanced;
	return true;
}

/* One page's bytes: sendpage, before 6.5. */
inline_always void page_locate(struct op *op, struct scratch *s, __u64 page, __u64 offset)
{
	__u64 address = page_address(page);

	s->iov[0] = (struct iovec){ (void *)address + offset, op->size };
	s->iov_at = 0;
	op->where = AT_KVEC;
	op->count = 1;
	if (!address)
		op_hole(op, HOLE_NO_BUFFER);
}

#endif
