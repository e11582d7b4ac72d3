// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Bytes that move: one hook per socket operation, in the caller's context. */
#include "piece.h"
#include "tell.h"

enum { MSG_OOB = 1, MSG_PEEK = 2, MSG_TRUNC = 0x20, MSG_ERRQUEUE = 0x2000 };

/* The end that has the name was bound, so it listened; a socketpair has none. */
inline_always int unix_role(struct sock *sk)
{
	struct unix_sock *u = bpf_skc_to_unix_sock(sk);
	struct unix_address *theirs = NULL;

	if (!u || !u->peer)
		return ROLE_UNKNOWN;
	bpf_core_read(&theirs, sizeof(theirs), &((struct unix_sock *)u->peer)->addr);
	if (!u->addr == !theirs)
		return ROLE_UNKNOWN;
	return theirs ? ROLE_CLIENT : ROLE_SERVER;
}

/* First sight. op has moved already; offsets are set to what they were before it. */
subprog int conn_init(struct conn *c, struct sock *sk, struct op *op)
{
	struct tcp_sock *tp;
	enum kind kind;
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	if (!c || !sk || !op)
		return 0;
	kind = sock_kind(sk);
	if (__sync_val_compare_and_swap(&c->id, 0, conn_new_id()))
		return 0; /* another thread is at it */
	c->pid = pid_tgid >> 32;
	c->tid = (__u32)pid_tgid;
	c->last = op->dir;
	if (remote_is_tracer(sk, kind)) {
		c->flags |= CF_NEVER;
		return 0;
	}
	if (kind == KIND_UNIX) {
		c->family = FAM_UNIX;
		c->role = unix_role(sk);
		if (!ready)
			c->flags |= CF_MID;
		return 1;
	}
	c->family = sk->__sk_common.skc_family == AF_INET || sock_mapped(sk) ? FAM_INET : FAM_INET6;
	tp = kind == KIND_TCP ? bpf_skc_to_tcp_sock(sk) : NULL;
	if (tp) {
		c->role = tcp_role(tp, sk);
		conn_bases(c, tp, sk);
		c->off[op->dir & 1] -= op->size;
	}
	return 1;
}

/* Sets off to where this operation began; false when it cannot be placed. */
inline_always bool conn_place(struct conn *c, struct sock *sk, const struct op *op)
{
	struct tcp_sock *tp;
	__u32 begin;
	__s32 ahead;
	int dir = op->dir & 1;

	if (!c->tcp)
		return true;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return false;
	begin = tcp_moved(tp, sk, dir) - op->size - c->base[dir];
	ahead = begin - (__u32)c->off[dir];
	if (ahead < 0) {
		count(KC_RACES, 1);
		return false;
	}
	if (ahead) {
		count(KC_HOLE_BYTES + HOLE_UNSEEN, ahead);
		c->off[dir] += ahead;
	}
	return true;
}

/* What a verdict says of [off, off + size): bytes at its beginning to pass over. All of it and no record: ~0. */
inline_always __u64 verdict_skip(struct verdict *v, int dir, __u64 off, __u64 size)
{
	__u64 to = v->skip_to[dir & 1];

	if (to <= off)
		return 0;
	if (to == U64_MAX)
		return to;
	v->seen[dir & 1] = off + size;
	v->seen_time = bpf_ktime_get_boot_ns();
	if (off + size < to)
		return U64_MAX;
	return to - off;
}

/* epoll watches it: what the linker has to know of an event loop that has shown nothing else yet. */
inline_always __u16 polled(struct sock *sk, int dir)
{
	return dir == DIR_RECV && sk->sk_socket->file->f_ep ? EVF_POLLED : 0;
}

inline_always void piece_init(struct piece *p, const struct conn *c, const struct op *op, struct sock *sk)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	int dir = op->dir & 1;

	p->conn = c->id;
	p->off = c->off[dir];
	p->seq = c->base[dir] + (__u32)p->off;
	p->flags = (c->tcp ? EVF_SEQ : 0) | polled(sk, dir);
	p->pid = pid_tgid >> 32;
	p->tid = (__u32)pid_tgid;
	p->dir = dir;
	p->addr = op->addr;
	p->count = op->count;
	p->rest = op->size;
	p->tail = 0;
	p->at = 0;
	p->element = 0;
	p->hole = HOLE_NONE;
	p->fault = 0;
}

/* Turns the end of the bytes to capture into a tail, from offset `to` on. */
inline_always void piece_cut(struct piece *p, __u64 to, __u8 hole)
{
	__u64 keep = to > p->off ? to - p->off : 0;

	if (keep >= p->rest)
		return;
	p->tail += p->rest - keep;
	p->rest = keep;
	p->hole = hole;
}

/* Passes over n bytes at the beginning; when that is all, the record says so. */
inline_always void piece_skip(struct piece *p, __u64 n, bool vector)
{
	if (n == p->rest + p->tail) {
		p->tail = n;
		p->rest = 0;
		p->hole = HOLE_SKIPPED;
		return;
	}
	count(KC_HOLE_BYTES + HOLE_SKIPPED, n);
	piece_done(p, n);
	if (vector)
		p->at = n;
	else
		p->addr += n;
}

/* Hands over what op moved. c->off is where it began. */
inline_always void conn_data(struct conn *c, struct scratch *s, struct task_struct *task, struct sock *sk)
{
	struct verdict *v = &verdicts[c->id & (VERDICT_SLOTS - 1)];
	struct op *op = &s->op;
	__u64 limit, skip = 0;
	int dir = op->dir & 1;

	if (c->last != dir) {
		c->last = dir;
		c->turn[dir] = c->off[dir];
	}
	limit = c->turn[dir] + TURN_BUDGET;
	if (v->conn == c->id) {
		skip = verdict_skip(v, dir, c->off[dir], op->size);
		if (skip == U64_MAX) {
			count(KC_HOLE_BYTES + HOLE_SKIPPED, op->size);
			return;
		}
		if (v->skip_to[dir] > c->turn[dir]) {
			c->turn[dir] = v->skip_to[dir];
			limit = c->turn[dir] + TURN_BUDGET;
		}
		if (v->grant_to[dir] > limit)
			limit = v->grant_to[dir];
	}
	if (!op->hole)
		op_locate(s, task, sk);
	piece_init(&s->piece, c, op, sk);
	if (skip)
		piece_skip(&s->piece, skip, op->where == AT_VECTOR);
	if (op->where == AT_NOWHERE)
		piece_cut(&s->piece, 0, op->hole);
	else
		piece_cut(&s->piece, limit, HOLE_BUDGET);
	piece_emit(op->where == AT_VECTOR);
}

/* A process of which nothing is known yet comes before its first bytes. */
inline_always void conn_tell(struct conn *c)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	c->flags |= CF_TOLD;
	if (!proc_told(tgid))
		proc_tell(tgid);
}

/* The shared body: `size` bytes have moved on a selected socket. */
inline_always void conn_moved(struct conn *c, struct sock *sk, struct scratch *s, struct task_struct *task)
{
	struct op *op = &s->op;

	if (!c)
		c = conn_make(sk);
	if (!c)
		return;
	if (!c->id)
		conn_init(c, sk, op);
	if (c->flags & (CF_NEVER | CF_FINAL) || !c->family)
		return;
	if (!conn_place(c, sk, op))
		return;
	if (!(c->flags & CF_TOLD))
		conn_tell(c);
	if (!(c->flags & CF_OPENED) && !emit_open(sk, c))
		count(KC_MISSED_DATA, 1);
	else
		conn_data(c, s, task, sk);
	c->off[op->dir & 1] += op->size;
	if ((c->flags & CF_ABORTED) && !sock_unread(sk))
		conn_end(c, 3, abort_flags(c), 0);
}

/* Nothing moved: the peer has ended its direction, or a UNIX socket is dead. */
inline_always void conn_nothing(struct conn *c, struct sock *sk, enum kind kind, int dir, int ret, __u32 pid)
{
	if (!c)
		return;
	if (c->flags & CF_ABORTED)
		conn_end(c, 3, abort_flags(c), pid);
	else if (!ret && dir == DIR_RECV && (sk->sk_shutdown & RCV_SHUTDOWN) && !sock_unread(sk))
		conn_end(c, 1 << DIR_RECV, 0, pid);
	else if (kind == KIND_UNIX && ret == -104) /* ECONNRESET: the peer left with bytes unread */
		conn_end(c, 3, EVF_RESET | EVF_FINAL, pid);
	else if (kind == KIND_UNIX && ret == -32) /* EPIPE */
		conn_end(c, 1 << DIR_SEND, 0, pid);
}

/* Moved by a process that is not traced. TCP's sequence numbers will tell; other sockets' offsets only know what is added. */
inline_always void conn_unseen(struct conn *c, enum kind kind, int dir, int ret)
{
	if (kind == KIND_TCP || ret <= 0 || !c || !(c->flags & CF_OPENED))
		return;
	c->off[dir & 1] += ret;
	count(KC_HOLE_BYTES + HOLE_UNSEEN, ret);
}

inline_always void op_init(struct op *op, int ret, int dir)
{
	__builtin_memset(op, 0, sizeof(*op));
	op->size = ret;
	op->dir = dir;
}

inline_always int on_move(struct sock *sk, int ret, int flags, int dir)
{
	enum kind kind = sock_kind(sk);
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 cpu = bpf_get_smp_processor_id();
	struct task_struct *task;
	struct scratch *s;
	struct conn *c;

	if (kind == KIND_NONE || !ports_match(sk, kind))
		return 0;
	c = conn_find(sk);
	if (!user_selected(c, pid_tgid >> 32)) {
		if (!(flags & (MSG_PEEK | MSG_ERRQUEUE)))
			conn_unseen(c, kind, dir, ret);
		return 0;
	}
	s = bpf_map_lookup_elem(&scratches, &cpu);
	if (!s || !sk->sk_socket->file) /* a socket of the kernel's own (NFS …), whoever it works for */
		return 0;
	task = bpf_get_current_task_btf();
	op_init(&s->op, ret, dir);
	op_call(&s->call, task, dir);
	if (!s->call.hole && nr_mmsg(s->call.nr))
		s->op.index = mmsg_step(&s->call, (__u32)pid_tgid, ret);
	if (flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE))
		return 0;
	if (ret <= 0) {
		conn_nothing(c, sk, kind, dir, ret, pid_tgid >> 32);
		return 0;
	}
	if (kind != KIND_UNIX && (flags & MSG_TRUNC))
		op_hole(&s->op, HOLE_TRUNC);
	conn_moved(c, sk, s, task);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(on_send, struct sock *sk, int ret, int flags)
{
	return on_move(sk, ret, 0, DIR_SEND);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(on_recv, struct sock *sk, int ret, int flags)
{
	return on_move(sk, ret, flags, DIR_RECV);
}
