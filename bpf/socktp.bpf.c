// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Way in "socktp" (since 6.3): tracepoints that give socket and result; the bytes are found by the caller's registers (call.h). */
#include "call.h"

struct source {
	struct task_struct *task;
	__u64 who;
	int ret;
	int dir;
};

inline_always void source_begin(const struct source *src, struct scratch *s)
{
	op_call(&s->call, src->task, src->dir);
	if (!s->call.hole && nr_mmsg(s->call.nr))
		s->op.index = mmsg_step(&s->call, (__u32)src->who, src->ret);
}

inline_always void source_locate(const struct source *src, struct scratch *s, struct sock *sk)
{
	op_locate(s, src->task, sk);
}

inline_always bool source_spot(const struct source *src, struct sock *sk, struct op *op)
{
	return op_spot(op, src->task, sk);
}

#include "move.h"

inline_always int on_length(struct sock *sk, int ret, int flags, int dir)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct source src = { .task = task, .who = (__u64)task->tgid << 32 | (__u32)task->pid, .ret = ret, .dir = dir };

	return on_move(sk, src.who, ret, flags, dir, &src);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(on_send, struct sock *sk, int ret, int flags)
{
	return on_length(sk, ret, 0, DIR_SEND);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(on_recv, struct sock *sk, int ret, int flags)
{
	return on_length(sk, ret, flags, DIR_RECV);
}
