/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * sendmmsg and recvmmsg: the hook fires once a message and does not say which. A thread's messages are counted from the call's
 * first; a call that ends early without a hook (a bad pointer) shows in the length that the kernel wrote for the message before.
 * In doubt the index is unknown, and the message a hole.
 */
#ifndef SPANDREL_MMSG_H
#define SPANDREL_MMSG_H

#include "arch.h"
#include "maps.h"

#define UIO_MAXIOV 1024

inline_always bool nr_mmsg(int nr)
{
	return nr == NR_sendmmsg || nr == NR_recvmmsg;
}

inline_always __u64 mmsg_at(const struct call *c, __u32 index)
{
	return c->arg[1] + (__u64)index * sizeof(struct mmsghdr);
}

/* Called for every hook in such a call. Returns the index, or MMSG_UNKNOWN. A global function: verified once (piece.h). */
int mmsg_step(struct call *c, __u32 tid, int ret);

/* A thread that is inside such a call when we come: its messages cannot be told apart. */
inline_always void mmsg_mark(struct task_struct *task)
{
	__u32 tid = task->pid;
	struct mmsg m = { .next = MMSG_UNKNOWN };
	struct call c;

	call_get(&c, task);
	if (c.hole || !nr_mmsg(c.nr))
		return;
	m.vec = c.arg[1];
	m.vlen = c.arg[2];
	m.nr = c.nr;
	bpf_map_update_elem(&mmsgs, &tid, &m, BPF_NOEXIST);
}

#endif
