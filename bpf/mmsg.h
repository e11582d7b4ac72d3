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

/* The index this hook is about, by what is known of the thread. */
inline_always __u32 mmsg_index(const struct mmsg *m, const struct call *c)
{
	__u32 len = 0;

	if (!m || m->nr != (__u32)c->nr || m->vec != c->arg[1] || m->vlen != (__u32)c->arg[2] || (m->fd && m->fd != c->arg[0]))
		return 0;
	if (!m->next || m->next == MMSG_UNKNOWN)
		return m->next;
	if (c->nr == NR_recvmmsg && c->arg[4]) /* its timeout ends it after any message */
		return MMSG_UNKNOWN;
	bpf_probe_read_user(&len, sizeof(len), (void *)(mmsg_at(c, m->next - 1) + __builtin_offsetof(struct mmsghdr, msg_len)));
	return len == m->ret ? m->next : MMSG_UNKNOWN;
}

struct summing {
	__u64 vec, count, sum;
};

static long step_sum(__u32 i, struct summing *s)
{
	struct iovec v;

	if (i >= s->count || bpf_probe_read_user(&v, sizeof(v), (void *)(s->vec + i * sizeof(v))))
		return 1;
	s->sum += v.iov_len;
	return 0;
}

/* A message that was sent in part ends the call. */
inline_always bool mmsg_partial(const struct call *c, __u32 index, int ret)
{
	struct summing s = { 0 };
	struct user_msghdr m;

	if (c->nr != NR_sendmmsg || bpf_probe_read_user(&m, sizeof(m), (void *)mmsg_at(c, index)))
		return false;
	s.vec = (__u64)m.msg_iov;
	s.count = m.msg_iovlen;
	bpf_loop(UIO_MAXIOV, step_sum, &s, 0);
	return s.sum > (__u64)ret;
}

/* Called for every hook in such a call. Returns the index, or MMSG_UNKNOWN. */
subprog __u32 mmsg_step(const struct call *c, __u32 tid, int ret)
{
	struct mmsg next = { .vec = c->arg[1], .fd = c->arg[0], .vlen = c->arg[2], .ret = ret, .nr = c->nr };
	__u32 last = (next.vlen < UIO_MAXIOV ? next.vlen : UIO_MAXIOV) - 1;
	__u32 index = mmsg_index(bpf_map_lookup_elem(&mmsgs, &tid), c);

	if (ret < 0)
		next.next = 0;
	else if (index == MMSG_UNKNOWN)
		next.next = c->nr == NR_recvmmsg && c->arg[4] ? 0 : MMSG_UNKNOWN;
	else
		next.next = index >= last || mmsg_partial(c, index, ret) ? 0 : index + 1;
	bpf_map_update_elem(&mmsgs, &tid, &next, BPF_ANY);
	return index;
}

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
