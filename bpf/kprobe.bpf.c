// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Way in "kprobe": the functions of "fentry" where only their first instruction and their return can be probed. What they were called with is
 * kept from the one to the other. The kernel has a fixed number of places for returns that are awaited: what finds none, is missed.
 */
#define BY_READING
#include "call.h"
#include "iter.h"

enum enter_what { IN_MESSAGE, IN_PAGE, IN_PIPE };

struct source {
	struct enter e;
};

inline_always void source_begin(const struct source *src, struct scratch *s)
{
}

inline_always void source_locate(const struct source *src, struct scratch *s, struct sock *sk)
{
	if (src->e.what == IN_MESSAGE)
		iter_locate(&s->op, s, (struct msghdr *)src->e.msg, src->e.size);
	else if (src->e.what == IN_PAGE)
		page_locate(&s->op, s, src->e.msg, src->e.size);
	else
		op_hole(&s->op, HOLE_NO_BUFFER);
}

inline_always bool source_spot(const struct source *src, struct sock *sk, struct op *op)
{
	return false;
}

#include "move.h"

/* Only what on_move() would look at. */
inline_always bool of_interest(struct sock *sk)
{
	enum kind kind = sock_kind(sk);

	if (kind == KIND_NONE || !ports_match(sk, kind))
		return false;
	return proc_selected(current_user() >> 32) || conn_find(sk);
}

inline_always int on_enter(struct pt_regs *regs, int dir, struct enter *e)
{
	struct enter_key key = { .pid_tgid = bpf_get_current_pid_tgid(), .dir = dir };
	struct socket *socket = (struct socket *)ARG0(regs);

	e->sk = (__u64)BPF_CORE_READ(socket, sk);
	e->sp = STACK(regs);
	if (!of_interest((struct sock *)e->sk))
		return 0;
	if (bpf_map_update_elem(&enters, &key, e, BPF_NOEXIST)) { /* one that has not returned, as far as we know */
		count(KC_MISSED_RETURN, 1);
		bpf_map_update_elem(&enters, &key, e, BPF_ANY);
	}
	return 0;
}

SEC("kprobe")
int enter_sendmsg(struct pt_regs *regs)
{
	struct enter e = { .msg = ARG1(regs), .size = ARG2(regs), .what = IN_MESSAGE };
	struct msghdr *msg = (struct msghdr *)e.msg;

	e.flags = BPF_CORE_READ(msg, msg_flags);
	return on_enter(regs, DIR_SEND, &e);
}

SEC("kprobe")
int enter_recvmsg(struct pt_regs *regs)
{
	struct enter e = { .msg = ARG1(regs), .size = ARG2(regs), .flags = ARG3(regs), .what = IN_MESSAGE };

	return on_enter(regs, DIR_RECV, &e);
}

SEC("kprobe")
int enter_sendpage(struct pt_regs *regs)
{
	struct enter e = { .msg = ARG1(regs), .size = (__u32)ARG2(regs), .what = IN_PAGE };

	return on_enter(regs, DIR_SEND, &e);
}

SEC("kprobe")
int enter_splice_read(struct pt_regs *regs)
{
	struct enter e = { .what = IN_PIPE };

	return on_enter(regs, DIR_RECV, &e);
}

/* A frame of a function called inside is deeper by far more. */
#define SAME_FRAME 64

inline_always int on_return(struct pt_regs *regs, int dir)
{
	struct enter_key key = { .pid_tgid = bpf_get_current_pid_tgid(), .dir = dir };
	struct enter *e = bpf_map_lookup_elem(&enters, &key);
	struct source src;

	if (!e)
		return 0;
	src.e = *e;
	bpf_map_delete_elem(&enters, &key);
	if (STACK(regs) - src.e.sp > SAME_FRAME) {
		count(KC_MISSED_RETURN, 1);
		return 0;
	}
	return on_move((struct sock *)src.e.sk, current_user(), (int)RESULT(regs), src.e.flags, dir, &src);
}

SEC("kretprobe")
int return_send(struct pt_regs *regs)
{
	return on_return(regs, DIR_SEND);
}

SEC("kretprobe")
int return_recv(struct pt_regs *regs)
{
	return on_return(regs, DIR_RECV);
}

/* The end of a socket: its state is not freed with it. */
SEC("kprobe")
int enter_destruct(struct pt_regs *regs)
{
	return conn_gone((struct sock *)ARG0(regs));
}
