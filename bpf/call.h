/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Way in "socktp": the tracepoint gives socket and result; where the bytes are is read from the caller's registers. These can
 * describe another call, so bytes are taken only when the number is a data call of this direction and its descriptor leads
 * to this very socket. Everything else is a hole of the right size.
 */
#ifndef SPANDREL_CALL_H
#define SPANDREL_CALL_H

#include "conn.h"
#include "mmsg.h"
#include "task.h"

inline_always void op_hole(struct op *op, int hole)
{
	op->where = AT_NOWHERE;
	op->hole = hole;
}

inline_always bool fd_is(struct task_struct *task, __u64 fd, struct sock *sk)
{
	struct fdtable *fdt = task->files->fdt;
	struct file *want = sk->sk_socket->file, *file = NULL;

	if ((__u32)fd >= fdt->max_fds || !want)
		return false;
	bpf_probe_read_kernel(&file, sizeof(file), fdt->fd + (__u32)fd);
	return file == want;
}

/* Reads the elements from `from` on that the work area has room for. */
inline_always bool iov_read(struct scratch *s, __u64 vec, __u64 count, __u64 from)
{
	__u64 n = BOUND((count - from) * sizeof(struct iovec), sizeof(s->iov)), at = vec + from * sizeof(struct iovec);

	s->iov_at = from;
	if (s->op.where != AT_VECTOR)
		return !bpf_probe_read_kernel(s->iov, n, (void *)at);
	return !bpf_probe_read_user(s->iov, n, (void *)at);
}

inline_always void op_vector(struct scratch *s, __u64 vec, __u64 count)
{
	struct op *op = &s->op;

	op->where = AT_VECTOR;
	op->addr = vec;
	op->count = count;
	if (!count || !iov_read(s, vec, count, 0)) {
		op_hole(op, HOLE_FAULT);
	} else if (s->iov[0].iov_len >= op->size) { /* the common case, also of long vectors */
		op->where = AT_BUFFER;
		op->addr = (__u64)s->iov[0].iov_base;
	}
}

inline_always void op_message(struct scratch *s, __u64 msg)
{
	struct user_msghdr m;

	if (bpf_probe_read_user(&m, sizeof(m), (void *)msg))
		op_hole(&s->op, HOLE_FAULT);
	else
		op_vector(s, (__u64)m.msg_iov, m.msg_iovlen);
}

inline_always bool nr_vector(int nr, int dir)
{
	return dir == DIR_SEND ? nr == NR_writev || nr == NR_pwritev2 : nr == NR_readv || nr == NR_preadv2;
}

inline_always bool nr_buffer(int nr, int dir)
{
	return dir == DIR_SEND ? nr == NR_write || nr == NR_sendto : nr == NR_read || nr == NR_recvfrom;
}

/* The call that the caller's thread is in; what cannot have a user buffer, and what is not native, is told at once. */
inline_always void op_call(struct call *c, struct task_struct *task, int dir)
{
	call_get(c, task);
	if (task->flags & PF_IO_WORKER || c->nr == NR_io_uring_enter)
		c->hole = HOLE_IO_URING;
	else if (!c->hole && dir == DIR_SEND && (c->nr == NR_sendfile || c->nr == NR_splice))
		c->hole = HOLE_NO_BUFFER;
}

inline_always void op_locate(struct scratch *s, struct task_struct *task, struct sock *sk)
{
	const struct call *c = &s->call;
	struct op *op = &s->op;

	if (c->hole) {
		op_hole(op, c->hole);
	} else if (!fd_is(task, c->arg[0], sk)) {
		op_hole(op, HOLE_FOREIGN);
	} else if (nr_buffer(c->nr, op->dir)) {
		op->where = AT_BUFFER;
		op->addr = c->arg[1];
	} else if (nr_vector(c->nr, op->dir)) {
		op_vector(s, c->arg[1], c->arg[2]);
	} else if (c->nr == (op->dir == DIR_SEND ? NR_sendmsg : NR_recvmsg)) {
		op_message(s, c->arg[1]);
	} else if (c->nr == (op->dir == DIR_SEND ? NR_sendmmsg : NR_recvmmsg) && op->index != MMSG_UNKNOWN) {
		op_message(s, mmsg_at(c, op->index));
	} else {
		op_hole(op, HOLE_FOREIGN);
	}
}

/* The same without a work area, for one buffer, or none. False: for a closer look. */
inline_always bool op_spot(struct op *op, struct task_struct *task, struct sock *sk)
{
	struct iovec first;
	struct call c;

	op_call(&c, task, op->dir);
	op->where = AT_BUFFER;
	if (c.hole) {
		op_hole(op, c.hole);
	} else if (nr_buffer(c.nr, op->dir)) {
		op->addr = c.arg[1];
	} else if (nr_vector(c.nr, op->dir)) {
		if (!c.arg[2] || bpf_probe_read_user(&first, sizeof(first), (void *)c.arg[1]) || first.iov_len < op->size)
			return false;
		op->addr = (__u64)first.iov_base;
	} else {
		return false;
	}
	return c.hole || fd_is(task, c.arg[0], sk);
}

#endif
