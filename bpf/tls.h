/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Calls of TLS libraries: a program at a function's beginning notes the call (tls_begin), one at its end hands over what it moved
 * (tls_end). A process that is not selected costs the look-up that says so.
 *
 * Calls of one session inside each other that move the same bytes (a function of the library that calls another) are the innermost ones,
 * each of which tells what it moved; the ends around them tell nothing. Others inside each other, of two sessions (TLS inside TLS) or about
 * other bytes (a program that is told of the handshake inside a write), count both. Ends go unseen:
 * by a jump, with a thread, and as a rule where only those that move something pass a probe. Every end has a beginning of its own, which
 * stands on top; what is left below by unseen ends is dropped when the stack is seen to be shorter, and never gets another one's end.
 *
 * For programs at user-space probes: a file that includes this defines BY_READING before.
 */
#ifndef SPANDREL_TLS_H
#define SPANDREL_TLS_H

#include "arch.h"
#include "hand.h"
#include "session.h"
#include "task.h"

#define TLS_FRAME_MAX (32 * 1024) /* of stack that a function takes before its probe, at most */
#define TLS_FRAME 512		  /* ... as a rule */

/* This process has a session that uses no socket: user space is told once. A global function. */
int mapped_blind(__u32 tgid);

/* ---- the calls in progress ---- */

inline_always void tls_thread_add(__u64 key, int n)
{
	__sync_fetch_and_add(&tls_threads[(__u32)key & (TLS_SLOTS - 1)], n);
}

/* False: the thread is in none, certainly. */
inline_always bool tls_in_call(__u64 key)
{
	return tls_threads[(__u32)key & (TLS_SLOTS - 1)];
}

/* The call on top is over, seen or not. */
inline_always void tls_pop(struct tls_thread *t)
{
	t->now = t->below;
	t->below.kind = 0;
}

/* Calls that began where the stack is now, or deeper, are over; but for one that jumped into the one that begins, whose end comes as well. */
inline_always void tls_drop(struct tls_thread *t, const struct tls_call *next)
{
	NO_UNROLL
	for (int i = 0; i < 2; i++) {
		if (!t->now.kind || t->now.sp > next->sp || (t->now.sp == next->sp && t->now.session == next->session))
			return;
		tls_unseen(t, &t->now);
		tls_pop(t);
	}
}

/* A call begins inside another one of the same session, or after the unseen end of that: it is as good as that one, from now on. */
inline_always void tls_replace(struct tls_thread *t, const struct tls_call *next)
{
	__u8 wraps = t->now.wraps + (t->now.kind != TLS_SPENT);
	__u64 outer_sp = t->now.wraps ? t->now.outer_sp : t->now.sp;

	t->now = *next;
	t->now.wraps = wraps;
	t->now.outer_sp = outer_sp;
}

inline_always bool tls_moves(const struct tls_call *c)
{
	return c->kind <= TLS_HOLE;
}

/*
 * Inside a call that moves bytes one of the same session moves the same ones, or it is another matter: a handshake that completes inside
 * a write tells the program, which asks there for the protocol's name.
 */
inline_always bool tls_same_work(const struct tls_call *c, const struct tls_call *next)
{
	if (c->session != next->session)
		return false;
	return !tls_moves(c) || (tls_moves(next) && c->dir == next->dir);
}

/* `next` says what the call is: kind, dir, session, buffer, length, out, sp. */
inline_always void tls_begin(__u64 key, const struct tls_call *next)
{
	static const struct tls_thread none;
	struct tls_thread *t = bpf_map_lookup_elem(&tls_calls, &key);

	if (!t) {
		bpf_map_update_elem(&tls_calls, &key, (void *)&none, BPF_ANY);
		t = bpf_map_lookup_elem(&tls_calls, &key);
		if (!t)
			return;
	}
	if (!t->now.kind)
		tls_thread_add(key, 1);
	tls_drop(t, next);
	if (t->now.kind && tls_same_work(&t->now, next)) {
		tls_replace(t, next);
		return;
	}
	if (t->now.kind) {
		if (t->below.kind)
			tls_unseen(t, &t->below);
		t->below = t->now;
	}
	t->now = *next;
}

/* The call on top is over; of calls around it the ends are still to come. */
inline_always void tls_over(struct tls_thread *t)
{
	__u8 wraps = t->now.wraps;
	__u64 outer_sp = t->now.outer_sp;

	if (!wraps) {
		tls_pop(t);
		return;
	}
	t->now.kind = TLS_SPENT;
	t->now.wraps = wraps - 1;
	t->now.sp = outer_sp;
	t->now.carrier = 0;
}

/* A call ends here: a copy of it, unless it is one whose end tells nothing. every: no end of such calls goes unseen. */
inline_always bool tls_finish(__u64 key, __u64 sp, bool every, struct tls_call *out)
{
	struct tls_thread *t = tls_in_call(key) ? bpf_map_lookup_elem(&tls_calls, &key) : NULL;

	if (!t || !t->now.kind)
		return false;
	if (t->below.kind && sp > t->now.sp + RETURN_SIZE + TLS_FRAME) { /* the one inside has ended unseen */
		tls_unseen(t, &t->now);
		tls_pop(t);
	}
	*out = t->now;
	if (every)
		t->sure |= 1 << (out->kind & 15);
	tls_over(t);
	if (!t->now.kind)
		tls_thread_add(key, -1);
	return out->kind != TLS_SPENT && sp <= out->sp + RETURN_SIZE + TLS_FRAME_MAX;
}

/* ---- its session ---- */

/* The session of a handle, made if there is none: `flags` are then CF_MID or 0. */
inline_always struct session *session_make(__u64 session, __u64 who, __u16 flags)
{
	static const struct session none;
	struct session_key key = { .session = session, .tgid = who >> 32 };
	struct session *s = session_find(&key);

	if (s)
		return s;
	bpf_map_update_elem(&sessions, &key, (void *)&none, BPF_ANY);
	s = bpf_map_lookup_elem(&sessions, &key);
	if (s)
		session_begin(s, who, flags);
	else
		count(KC_NO_SESSION, 1);
	return s;
}

/* Freed, or cleared for another use. libssl clears a new one inside its handshake: one that was not used stays what it is. */
inline_always void session_free(__u64 session, __u32 tgid)
{
	struct session_key key = { .session = session, .tgid = tgid };
	struct session *s = session_find(&key);

	if (!s || (!s->carrier && !s->conn.off[0] && !s->conn.off[1]))
		return;
	session_over(s, tgid);
	bpf_map_delete_elem(&sessions, &key);
}

/* The handle is gone, or a new one's: what comes next under its address is another session, also where this one was never used. */
inline_always void session_close(__u64 session, __u32 tgid)
{
	struct session_key key = { .session = session, .tgid = tgid };
	struct session *s = session_find(&key);

	if (!s)
		return;
	session_over(s, tgid);
	bpf_map_delete_elem(&sessions, &key);
}

/* The socket that it will use. */
inline_always void session_await(struct session *s, const struct session_key *key, __u64 sk, __u64 who)
{
	if (!sk || s->sk == sk)
		return;
	if (s->carrier && s->sk) {
		session_over(s, who >> 32);
		session_begin(s, who, 0);
	}
	s->sk = sk;
	if (!s->carrier && !bpf_map_update_elem(&awaited, &sk, key, BPF_ANY))
		__sync_fetch_and_add(&tls_awaits[(who >> 32) & (TLS_SLOTS - 1)], 1);
}

/* The number of the TCP or UNIX stream socket that a descriptor of this process leads to, 0: of none. */
inline_always __u64 fd_sock(__u32 fd)
{
	struct fdtable *fdt = BPF_CORE_READ(current_task(), files, fdt);
	struct file *file = NULL;
	struct socket *socket;
	struct sock *sk;

	if (fd >= BPF_CORE_READ(fdt, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(fdt, fd) + fd);
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	return sk && sock_kind(sk) != KIND_NONE ? sock_number((__u64)sk, file) : 0;
}

/* ---- what has moved ---- */

/* Of a selected port, as far as ports are selected: not said before the socket is known. */
inline_always bool session_wanted(const struct session *s)
{
	return !(s->conn.flags & CF_NEVER) && (s->carrier || (!knobs.port_need && !knobs.port_exclude));
}

inline_always __u16 session_flags(const struct session *s, int dir)
{
	return dir == DIR_RECV && (s->polled || !s->carrier) ? EVF_POLLED : 0; /* who deciphers in memory has a loop */
}

/* Plaintext of a session in the middle of its life: in one record, without a work area. False: that takes more, none was handed over. */
inline_always bool session_warm(struct session *s, const struct op *op)
{
	struct conn *c = &s->conn;
	int dir = op->dir & 1;

	if ((c->flags & (CF_TOLD | CF_OPENED)) != (CF_TOLD | CF_OPENED) || !session_wanted(s))
		return false;
	if (frames_maybe(c, &verdicts[c->id & (VERDICT_SLOTS - 1)], dir) || !conn_hand_whole(c, op, PIECE_MAX, session_flags(s, dir)))
		return false;
	c->off[dir] += op->size;
	return true;
}

/* Plaintext that has moved in a session: scratch->op, whose bytes are located. */
inline_always void session_moved(struct session *s, struct scratch *at)
{
	struct conn *c = &s->conn;
	struct op *op = &at->op;
	struct wanted w;

	if (session_wanted(s)) {
		if (!(c->flags & CF_TOLD))
			conn_tell(c, at, op->who >> 32);
		if (!(c->flags & CF_OPENED) && !emit_session(s))
			count(KC_MISSED_DATA, 1);
		else if (conn_wanted(c, op, &w))
			conn_hand(c, at, &w, session_flags(s, op->dir));
	}
	c->off[op->dir & 1] += op->size;
}

/* The plaintext that a call moved, by what it returned. More than it was given is no count of ours. */
inline_always __u32 tls_moved(const struct tls_call *c, __u64 result)
{
	__s32 r = result;
	__u64 n = 0;

	if (c->kind == TLS_ALL)
		return r ? 0 : c->length;
	if (c->kind == TLS_EX) {
		if ((r != 1 && r != 7000) || bpf_probe_read_user(&n, sizeof(n), (void *)c->out))
			return 0;
		return n <= c->length ? n : 0;
	}
	if (r <= 0 || (c->kind != TLS_COUNT && c->kind != TLS_HOLE))
		return 0;
	return c->kind == TLS_HOLE || !c->length || (__u32)r <= c->length ? r : 0; /* GnuTLS goes on with what it was given before */
}

/* Hands over n bytes of a call. */
inline_always void tls_hand(struct session *s, const struct tls_call *c, __u32 n, __u64 who, __u64 ctx)
{
	struct op op = { .size = n, .dir = c->dir & 1, .where = AT_BUFFER, .addr = c->buffer, .who = who, .ctx = ctx };
	struct scratch *at;

	if (c->kind == TLS_HOLE || !c->length)
		op_hole(&op, HOLE_NO_BUFFER);
	if (session_warm(s, &op))
		return;
	at = scratch_take();
	if (!at) {
		count(KC_MISSED_DATA, 1);
		s->conn.off[op.dir] += n;
		return;
	}
	at->op = op;
	session_moved(s, at);
	scratch_give(at);
}

/* The protocol's name that a call gave. */
inline_always void session_name(struct session *s, const struct tls_call *c)
{
	struct {
		__u64 name;
		__u32 length, reserved;
	} d = { 0 };

	if (c->kind == TLS_DATUM) {
		if (bpf_probe_read_user(&d, sizeof(d), (void *)c->buffer))
			return;
	} else if (bpf_probe_read_user(&d.name, sizeof(d.name), (void *)c->buffer) ||
		   bpf_probe_read_user(&d.length, sizeof(d.length), (void *)c->out)) {
		return;
	}
	if (!d.name || !d.length || d.length > EV_ALPN_MAX || s->alpn_len == d.length)
		return;
	if (bpf_probe_read_user(s->alpn, BOUND(d.length, EV_ALPN_MAX), (void *)d.name))
		return;
	s->alpn_len = d.length;
	if (s->conn.flags & CF_OPENED)
		emit_session(s);
}

/* A session enciphers these bytes. In memory, as it seems: its socket is where they are met again. */
inline_always void session_enciphers(const struct tls_call *c, __u64 bytes, __u64 who)
{
	struct session_key key = { .session = c->session, .tgid = who >> 32 };
	struct cipher cipher = { .tgid = who >> 32 };
	struct session *s = c->carrier ? NULL : session_make(c->session, who, CF_MID);

	if (!s || s->carrier || bpf_probe_read_user(cipher.head, sizeof(cipher.head), (void *)bytes))
		return;
	if (!bpf_map_update_elem(&ciphers, &cipher, &key, BPF_ANY))
		tls_blind[(who >> 32) & (TLS_SLOTS - 1)] = bpf_ktime_get_boot_ns();
}

/* Data, or a part of the handshake, and no socket was used for it. */
inline_always bool call_blind(const struct tls_call *c, __u32 n)
{
	return !c->carrier && (n || c->kind == TLS_NOTHING);
}

/* A call that tls_finish() gave has returned `result`. */
inline_always void tls_end(const struct tls_call *c, __u64 result, __u64 who, __u64 ctx)
{
	__u32 n = tls_moved(c, result);
	struct session *s;

	if (!n && !c->carrier && c->kind != TLS_NAME && c->kind != TLS_DATUM && !call_blind(c, n))
		return;
	s = session_make(c->session, who, CF_MID);
	if (!s)
		return;
	s->polled |= c->polled;
	if (c->carrier && !c->mixed)
		session_bind(s, c->carrier, BIND_NESTED, who);
	if (!s->carrier && !s->sk && call_blind(c, n))
		mapped_blind(who >> 32);
	if (c->kind == TLS_NAME || c->kind == TLS_DATUM)
		session_name(s, c);
	if (n)
		tls_hand(s, c, n, who, ctx);
}

#endif
