// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "mmsg.h"

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

checked_alone int mmsg_step(struct call *c, __u32 tid, int ret)
{
	struct mmsg next = { .ret = ret };
	__u32 last, index;

	if (!c)
		return MMSG_UNKNOWN;
	next.vec = c->arg[1];
	next.fd = c->arg[0];
	next.vlen = c->arg[2];
	next.nr = c->nr;
	last = (next.vlen < UIO_MAXIOV ? next.vlen : UIO_MAXIOV) - 1;
	index = mmsg_index(bpf_map_lookup_elem(&mmsgs, &tid), c);
	if (ret < 0)
		next.next = 0;
	else if (index == MMSG_UNKNOWN)
		next.next = c->nr == NR_recvmmsg && c->arg[4] ? 0 : MMSG_UNKNOWN;
	else
		next.next = index >= last || mmsg_partial(c, index, ret) ? 0 : index + 1;
	bpf_map_update_elem(&mmsgs, &tid, &next, BPF_ANY);
	return index;
}
