/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The common case, first and in one short piece: a TCP connection in the middle of its life moves bytes of one buffer, or of none that
 * can be read; user space knows the process and the connection, no TLS call is about, no frames are followed, all of it is wanted or
 * nothing. Likewise the ciphertext of a session that we read, which is only counted. A hook shares the caches with the program that it
 * looks at, so what counts is how few lines of code and data it touches. Whatever is not so is left to the whole body (move.h), untouched.
 * A way in that can tell at once where the bytes are defines
 *
 *	source_spot()     op->addr of the user's buffer (AT_BUFFER), or op->hole (AT_NOWHERE); false: that takes a closer look, or a scratch
 */
#ifndef SPANDREL_WARM_H
#define SPANDREL_WARM_H

#include "hand.h"
#include "session.h"

enum { MSG_OOB = 1, MSG_PEEK = 2, MSG_TRUNC = 0x20, MSG_ERRQUEUE = 0x2000 };

struct motion { /* what a hook is told */
	struct conn *c; /* NULL: not looked up, or none */
	__u64 who;
	int ret;
	int flags;
	int dir;
};

/* Of a process that user space knows, opened, not ended, and with no flag but `more`, by TCP's own sequence numbers. */
inline_always bool conn_steady(const struct conn *c, struct sock *sk, __u64 who, __u16 more)
{
	return (c->flags & ~CF_MID) == (CF_OPENED | CF_TOLD | more) && c->tcp && c->user == who >> 32 &&
	       c->user_at == *(volatile __u32 *)&procs_changes && c->prot == sock_prot(sk);
}

/* Where this operation began is where the one before ended. */
inline_always bool conn_follows(const struct conn *c, struct sock *sk, const struct op *op)
{
	struct tcp_sock *tp = tcp_of(sk);
	int dir = op->dir & 1;

	return tp && tcp_moved(tp, sk, dir) - op->size - c->base[dir] == (__u32)c->off[dir];
}

/* The socket of a session that we read: its bytes are only counted, and a call in progress has used it. True: all is done. */
inline_always bool warm_carrier(struct conn *c, struct sock *sk, const struct motion *m)
{
	struct op op = { .size = m->ret, .dir = m->dir & 1 };

	if (!conn_steady(c, sk, m->who, CF_TLS) || !ports_match(sk, KIND_TCP))
		return false;
	if (m->ret <= 0)
		return m->ret < 0;
	if (!conn_follows(c, sk, &op))
		return false;
	if (tls_threads[(__u32)m->who & (TLS_SLOTS - 1)])
		calls_use(m->who, c->id, polled(sk, op.dir));
	c->off[op.dir] += op.size;
	return true;
}

/* True: all is done. */
inline_always bool move_warm(struct conn *c, struct sock *sk, const struct motion *m, const struct source *src)
{
	struct op op = { .size = m->ret, .dir = m->dir & 1, .who = m->who };

	if (m->flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE | MSG_TRUNC))
		return false;
	if (c->flags & CF_TLS)
		return warm_carrier(c, sk, m);
	if (m->ret <= 0)
		return false;
	if (!conn_steady(c, sk, m->who, 0) || !ports_match(sk, KIND_TCP) || tls_about(m->who, op.dir) || !sock_file(sk))
		return false;
	if (frames_maybe(c, &verdicts[c->id & (VERDICT_SLOTS - 1)], op.dir) || !conn_follows(c, sk, &op))
		return false;
	if (!source_spot(src, sk, &op) || !conn_hand_whole(c, &op, SMALL_MAX, EVF_SEQ | polled(sk, op.dir)))
		return false;
	c->off[op.dir] += op.size;
	return true;
}

#endif
