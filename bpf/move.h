/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Bytes that move: one hook per socket operation, in the caller's context. The body of every way in; a way (socktp, fentry, kprobe .bpf.c)
 * defines, before it includes this,
 *
 *	struct source     what it knows of where the bytes are
 *	source_begin()    called for every operation of a selected process, also for those that move nothing
 *	source_locate()   fills op->where and what belongs to it; called once the bytes are wanted
 *	source_spot()     the same where that is told at once: one buffer, or none (warm.h)
 *
 * and calls on_move() in its programs.
 */
#ifndef SPANDREL_MOVE_H
#define SPANDREL_MOVE_H

#include "hand.h"
#include "session.h"
#include "warm.h"

/* The end that has the name was bound, so it listened; a socketpair has none. */
inline_always int unix_role(struct sock *sk)
{
	struct unix_sock *u = (struct unix_sock *)sk, *peer = (struct unix_sock *)BPF_CORE_READ(u, peer);
	struct unix_address *theirs;

	if (!peer)
		return ROLE_UNKNOWN;
	theirs = BPF_CORE_READ(peer, addr);
	if (!BPF_CORE_READ(u, addr) == !theirs)
		return ROLE_UNKNOWN;
	return theirs ? ROLE_CLIENT : ROLE_SERVER;
}

/* First sight. op has moved already; offsets are set to what they were before it. */
subprog int conn_init(struct conn *c, struct sock *sk, struct op *op)
{
	struct tcp_sock *tp;
	enum kind kind;

	if (!c || !sk || !op)
		return 0;
	kind = sock_kind(sk);
	if (!conn_claim(c))
		return 0; /* another thread is at it */
	c->id = conn_new_id();
	c->prot = sock_prot(sk);
	c->pid = op->who >> 32;
	c->tid = (__u32)op->who;
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
	c->family = GET(sk, __sk_common.skc_family) == AF_INET || sock_mapped(sk) ? FAM_INET : FAM_INET6;
	tp = kind == KIND_TCP ? tcp_of(sk) : NULL;
	if (tp) {
		c->role = tcp_role(tp, sk);
		if (tcp_plain(tp, c->prot)) {
			conn_bases(c, tp, sk);
			c->off[op->dir & 1] -= op->size;
		} else {
			count(KC_LAYERED, 1);
		}
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
	tp = tcp_of(sk);
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

/* Hands over what op moved. c->off is where it began. */
inline_always void conn_data(struct conn *c, struct scratch *s, const struct source *src, struct sock *sk)
{
	struct wanted w;

	if (!conn_wanted(c, &s->op, &w))
		return;
	if (!s->op.hole && s->op.where == AT_NOWHERE)
		source_locate(src, s, sk);
	conn_hand(c, s, &w, (c->tcp ? EVF_SEQ : 0) | polled(sk, s->op.dir));
}

/* Other functions move the bytes from now on, and what they count is something else: in its middle begins another connection. */
inline_always void conn_again(struct conn *c)
{
	__u16 never = c->flags & CF_NEVER;

	conn_end(c, 3, EVF_FINAL, 0);
	__builtin_memset(c, 0, sizeof(*c));
	c->flags = CF_MID | never;
}

/* Where the operation's bytes begin in the process's memory; 0: not known, or fewer than n are in one place. */
inline_always __u64 op_first(const struct scratch *s, __u64 n)
{
	const struct op *op = &s->op;

	if (op->size < n || op->hole)
		return 0;
	if (op->where == AT_BUFFER)
		return op->addr;
	if ((op->where != AT_VECTOR && op->where != AT_IOVEC) || s->iov_at || s->iov[0].iov_len < op->at + n)
		return 0;
	return (__u64)s->iov[0].iov_base + op->at;
}

/* Is this the ciphertext of a session that we read? */
inline_always bool conn_enciphered(struct conn *c, struct sock *sk, struct scratch *s, const struct source *src)
{
	struct op *op = &s->op;
	__u64 first;

	conn_claims(c, sk, op->who, op->dir);
	if (!(c->flags & CF_TLS) && op->dir == DIR_SEND && process_blind(op->who)) {
		if (!op->hole)
			source_locate(src, s, sk);
		first = op_first(s, CIPHER_HEAD);
		if (first && session_met(op->who, conn_as_carrier(c), first))
			c->flags |= CF_TLS;
	}
	return c->flags & CF_TLS;
}

/* The kernel enciphers from now on: what a session that we read has shown is not shown again. */
inline_always void conn_changed(struct conn *c, struct sock *sk, const struct op *op)
{
	if (!conn_claims(c, sk, op->who, op->dir) && !(c->flags & CF_TLS)) {
		conn_again(c);
		return;
	}
	c->prot = sock_prot(sk);
	c->tcp = 0;
}

/* The shared body: `size` bytes have moved on a selected socket. */
inline_always void conn_moved(struct conn *c, struct sock *sk, struct scratch *s, const struct source *src)
{
	struct op *op = &s->op;

	if (!c)
		c = conn_make(sk);
	if (!c)
		return;
	if (c->family && c->prot != sock_prot(sk) && !(c->flags & CF_FINAL))
		conn_changed(c, sk, op);
	if (!c->id)
		conn_init(c, sk, op);
	if (c->flags & (CF_NEVER | CF_FINAL) || !c->family) {
		if (c->flags & CF_NEVER)
			conn_enciphered(c, sk, s, src);
		return;
	}
	if (!conn_place(c, sk, op))
		return;
	if (!(c->flags & CF_TOLD))
		conn_tell(c, s, op->who >> 32);
	if (!(c->flags & CF_OPENED) && !emit_open(sk, c))
		count(KC_MISSED_DATA, 1);
	else if (!conn_enciphered(c, sk, s, src))
		conn_data(c, s, src, sk);
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
	else if (!ret && dir == DIR_RECV && (GET(sk, sk_shutdown) & RCV_SHUTDOWN) && !sock_unread(sk))
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

inline_always void op_init(struct op *op, const struct motion *m)
{
	__builtin_memset(op, 0, sizeof(*op));
	op->size = m->ret;
	op->dir = m->dir;
	op->who = m->who;
}

/* Of a selected process. */
inline_always void move_seen(struct conn *c, struct sock *sk, struct scratch *s, const struct source *src, const struct motion *m)
{
	enum kind kind = sock_kind(sk);

	source_begin(src, s);
	if (m->flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE))
		return;
	if (m->ret <= 0) {
		conn_nothing(c, sk, kind, s->op.dir, m->ret, s->op.who >> 32);
		return;
	}
	if (kind != KIND_UNIX && (m->flags & MSG_TRUNC))
		op_hole(&s->op, HOLE_TRUNC);
	conn_moved(c, sk, s, src);
}

/* Whatever a hook can be about. */
subprog int move_any(struct sock *sk, const struct motion *m, const struct source *src)
{
	enum kind kind;
	struct scratch *s;
	struct conn *c;

	if (!sk || !m || !src)
		return 0;
	kind = sock_kind(sk);
	if (kind == KIND_NONE || !ports_match(sk, kind))
		return 0;
	c = m->c ? m->c : conn_find(sk);
	if (!user_selected(c, m->who >> 32)) {
		if (!(m->flags & (MSG_PEEK | MSG_ERRQUEUE)))
			conn_unseen(c, kind, m->dir, m->ret);
		return 0;
	}
	if (!sock_file(sk)) /* a socket of the kernel's own (NFS …), whoever it works for */
		return 0;
	s = scratch_take();
	if (s) {
		op_init(&s->op, m);
		move_seen(c, sk, s, src, m);
		scratch_give(s);
	} else if (m->ret > 0 && !(m->flags & (MSG_PEEK | MSG_ERRQUEUE))) {
		count(KC_MISSED_DATA, 1);
		conn_unseen(c, kind, m->dir, m->ret);
	}
	return 0;
}

/* Most hooks are about sockets without state, of processes that are not traced: two loads say so. */
inline_always int on_move(struct sock *sk, __u64 who, int ret, int flags, int dir, const struct source *src)
{
	struct motion m = { .who = who, .ret = ret, .flags = flags, .dir = dir };

	if (!way.hashed) {
		m.c = conn_find(sk);
		if (!(m.c && m.c->id) && !proc_traced(who >> 32))
			return 0;
		if (m.c && move_warm(m.c, sk, &m, src))
			return 0;
	}
	return move_any(sk, &m, src);
}

#endif
