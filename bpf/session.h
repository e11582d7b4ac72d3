/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * TLS sessions: each has a struct conn of its own, for the plaintext, in `sessions`. Which socket carries it is learnt from the socket
 * operations between the beginning and the end of one of its calls on the same thread (BIND_NESTED), which is proof only once the
 * end was seen; or from the descriptor that the session was given (BIND_FD). Of a session that enciphers in memory, for an event loop,
 * from the first bytes of its ciphertext: the socket at which the same process sends just these is its own (BIND_BYTES). It stays with
 * that socket until that has ended.
 */
#ifndef SPANDREL_SESSION_H
#define SPANDREL_SESSION_H

#include "emit.h"

/* ---- what the sockets' hooks ask ---- */

enum { CLAIM_NOTED = 1, CLAIM_CARRIED = 2 };

/*
 * A thread has moved bytes on connection `id` (SESSION_NEVER: on one that may not be traced). Inside a TLS call as far as we know:
 * notes it. CLAIM_CARRIED: it carries that call's session; CLAIM_NOTED: it was noted in this call before. Global functions: see piece.h.
 */
int session_nested(__u64 who, __u64 id, __u32 polled);
/* The session that was given the descriptor of this socket (sock_number()) has connection `id`: CLAIM_CARRIED, or 0. */
int session_arrives(__u64 sk, __u64 who, __u64 id);
/* The process sends bytes from `addr` of its memory on, at least CIPHER_HEAD, on connection `id`: do they come from a session? Likewise. */
int session_met(__u64 who, __u64 id, __u64 addr);

#define BLIND_NS 2000000000ULL /* what was enciphered is sent so soon, or the program will have other bytes for us */

/* Could a thread that moves bytes be at the work of a TLS session? Looks into no map. */
inline_always bool tls_about(__u64 who, int dir)
{
	__u64 slot = who >> 32 & (TLS_SLOTS - 1);

	return tls_threads[(__u32)who & (TLS_SLOTS - 1)] || tls_awaits[slot] || (dir == DIR_SEND && tls_blind[slot]);
}

/* Has this process enciphered something whose socket is not known? */
inline_always bool process_blind(__u64 who)
{
	__u64 at = tls_blind[(who >> 32) & (TLS_SLOTS - 1)];

	return at && bpf_ktime_get_boot_ns() - at < BLIND_NS;
}

/* epoll watches it: what the linker has to know of an event loop that has shown nothing else yet. */
inline_always __u16 polled(struct sock *sk, int dir)
{
	return dir == DIR_RECV && file_polled(sock_file(sk)) ? EVF_POLLED : 0;
}

inline_always __u64 conn_as_carrier(const struct conn *c)
{
	return c->flags & CF_NEVER ? SESSION_NEVER : c->id;
}

/* A socket for as long as it exists: another one at its address has another file. */
inline_always __u64 sock_number(__u64 sk, struct file *file)
{
	return sk ^ (__u64)BPF_CORE_READ(file, f_inode, i_ino) << 32;
}

/* A socket is used inside a call. Was it noted before? */
inline_always bool call_uses(struct tls_call *call, __u64 id, __u32 polled)
{
	bool before = call->carrier == id;

	if (call->carrier && !before)
		call->mixed = 1;
	else
		call->carrier = id;
	call->polled |= polled;
	return before;
}

/* The same of whatever call the thread is in, for a connection that is known to be a carrier. */
inline_always void calls_use(__u64 who, __u64 id, __u32 polled)
{
	struct tls_thread *t = bpf_map_lookup_elem(&tls_calls, &who);

	if (!t)
		return;
	if (t->now.kind)
		call_uses(&t->now, id, polled);
	if (t->below.kind)
		call_uses(&t->below, id, polled);
}

/* Does this connection carry a session that we read? Looks into no map where neither thread nor process is about to. */
subprog int conn_claims(struct conn *c, struct sock *sk, __u64 who, int dir)
{
	int claims = 0;
	__u64 at;

	if (!c || !sk)
		return 0;
	if (tls_threads[(__u32)who & (TLS_SLOTS - 1)])
		claims = session_nested(who, conn_as_carrier(c), polled(sk, dir));
	if (tls_awaits[(who >> 32) & (TLS_SLOTS - 1)] && !(c->flags & CF_TLS)) {
		bpf_probe_read_kernel(&at, sizeof(at), &sk); /* a number, no pointer any more */
		claims |= session_arrives(sock_number(at, sock_file(sk)), who, conn_as_carrier(c));
	}
	if (claims & CLAIM_CARRIED)
		c->flags |= CF_TLS;
	return claims;
}

/* The end of a call was not seen. That is normal where only ends that move something pass a probe. */
inline_always void tls_unseen(const struct tls_thread *t, const struct tls_call *c)
{
	if (t->sure & (1 << (c->kind & 15)) && c->kind != TLS_SPENT)
		count(KC_TLS_UNFINISHED, 1);
}

/* A thread ends, perhaps in the middle of a TLS call: another one may get its number. */
inline_always void tls_forget(__u64 who)
{
	__u32 *calls = &tls_threads[(__u32)who & (TLS_SLOTS - 1)];
	struct tls_thread *t = *calls ? bpf_map_lookup_elem(&tls_calls, &who) : NULL;

	if (!t || !t->now.kind)
		return;
	tls_unseen(t, &t->now);
	bpf_map_delete_elem(&tls_calls, &who);
	__sync_fetch_and_add(calls, -1);
}

/* ---- a session ---- */

inline_always struct session *session_find(const struct session_key *key)
{
	struct session *s = bpf_map_lookup_elem(&sessions, key);

	return s && s->conn.id && s->mm == (__u64)BPF_CORE_READ(current_task(), mm) ? s : NULL;
}

/* 1 once the record is in the ring. */
inline_always int emit_session(struct session *s)
{
	struct conn *c = &s->conn;
	struct ev_session *e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);

	if (!e) {
		count(KC_MISSED_SESSION, 1);
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));
	head_fill(&e->h, EV_SESSION, c->flags & CF_MID || (!(c->flags & CF_OPENED) && (c->off[0] || c->off[1])) ? EVF_MID : 0, sizeof(*e));
	e->conn = c->id;
	e->carrier = s->carrier;
	e->start[0] = c->off[0];
	e->start[1] = c->off[1];
	e->pid = c->pid;
	e->tid = c->tid;
	e->binding = s->binding;
	e->alpn_len = s->alpn_len;
	__builtin_memcpy(e->alpn, s->alpn, EV_ALPN_MAX);
	emit_submit(e);
	c->flags |= CF_OPENED;
	return 1;
}

/* The handle stands for another session from now on, of whose beginning nothing was missed unless `flags` says so. */
inline_always void session_begin(struct session *s, __u64 who, __u16 flags)
{
	__builtin_memset(s, 0, sizeof(*s));
	s->mm = (__u64)BPF_CORE_READ(current_task(), mm);
	s->conn.flags = flags;
	s->conn.pid = who >> 32;
	s->conn.tid = (__u32)who;
	s->conn.last = DIR_SEND;
	s->conn.id = conn_new_id();
	count(KC_SESSIONS, 1);
}

/* Of a connection id: only what ended later in the same slot can hide that it has not. */
inline_always bool conn_ended(__u64 id)
{
	return conns_ended[id & (ENDED_SLOTS - 1)] >= id;
}

/* Nothing more comes of it, its handle may be used again. */
inline_always void session_over(struct session *s, __u32 pid)
{
	conn_end(&s->conn, 3, EVF_FINAL, pid);
	count(KC_SESSIONS_ENDED, 1);
}

/* Its socket is known: told at once, so that nobody takes the ciphertext for a connection that cannot be read. */
inline_always void session_bind(struct session *s, __u64 carrier, __u8 binding, __u64 who)
{
	if (s->carrier == carrier)
		return;
	if (carrier == SESSION_NEVER) {
		s->conn.flags |= CF_NEVER;
		return;
	}
	if (s->carrier && !conn_ended(s->carrier)) /* a socket that the library uses beside it: a cache, a service that signs … */
		return;
	if (s->carrier) {
		session_over(s, who >> 32);
		session_begin(s, who, 0);
	}
	s->carrier = carrier;
	s->binding = binding;
	emit_session(s);
}

#endif
