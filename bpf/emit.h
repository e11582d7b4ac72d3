/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Records into the ring: reserve, header, bytes, submit; what finds no room is counted. */
#ifndef SPANDREL_EMIT_H
#define SPANDREL_EMIT_H

#include "conn.h"

/*
 * The reader raises `idle` before it sleeps and looks at the ring once more after that: whoever clears the flag wakes it.
 * While it is awake nobody pays for a wake-up.
 */
inline_always __u64 wake_flags(void)
{
	if (!*(volatile __u32 *)&wake.idle)
		return BPF_RB_NO_WAKEUP;
	wake.idle = 0;
	return BPF_RB_FORCE_WAKEUP;
}

/* For a record that was handed over without a look at the flag: a wake-up of its own, in a record that is none. */
inline_always void wake_reader(void)
{
	void *nothing;

	if (wake_flags() == BPF_RB_NO_WAKEUP)
		return;
	nothing = bpf_ringbuf_reserve(&ring, 8, 0);
	if (nothing)
		bpf_ringbuf_discard(nothing, BPF_RB_FORCE_WAKEUP);
}

inline_always void head_fill(struct ev_head *h, __u16 type, __u16 flags, __u32 len)
{
	h->type = type;
	h->flags = flags;
	h->len = len;
	h->time = bpf_ktime_get_boot_ns();
}

inline_always void emit_submit(void *record)
{
	bpf_ringbuf_submit(record, wake_flags());
}

/* ---- EV_OPEN ---- */

inline_always void open_unix(struct ev_open *e, struct unix_sock *u)
{
	struct sock *peer = BPF_CORE_READ(u, peer);
	struct unix_address *addr = BPF_CORE_READ(u, addr);
	int len;

	e->self_key = sock_key(u);
	e->peer_key = sock_key(peer);
	if (!addr && peer)
		addr = BPF_CORE_READ((struct unix_sock *)peer, addr);
	if (!addr || bpf_core_read(&len, sizeof(len), &addr->len))
		return;
	len -= 2; /* sun_family */
	if (len <= 0)
		return;
	len = BOUND(len, EV_PATH_MAX);
	if (bpf_probe_read_kernel(e->path, len, &addr->name[0].sun_path))
		return;
	if (e->path[0]) /* a path in the file system ends with NUL, an abstract name begins with one */
		len = bpf_probe_read_kernel_str(e->path, EV_PATH_MAX, &addr->name[0].sun_path) - 1;
	e->path_len = len;
}

inline_always void open_inet(struct ev_open *e, struct sock *sk)
{
	e->lport = GET(sk, __sk_common.skc_num);
	e->rport = __builtin_bswap16(GET(sk, __sk_common.skc_dport));
	sock_local(sk, e->laddr);
	sock_remote(sk, e->raddr);
}

/* True once the record is in the ring; nothing else of a connection may be sent before. */
subprog int emit_open(struct sock *sk, struct conn *c)
{
	struct ev_open *e;

	if (!c || !sk)
		return 0;
	e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
	if (!e) {
		count(KC_MISSED_OPEN, 1);
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));
	/* moved bytes are missing also where the ring was full when it was to be told of first */
	head_fill(&e->h, EV_OPEN, c->flags & CF_MID || c->off[0] || c->off[1] ? EVF_MID : 0, sizeof(*e));
	e->conn = c->id;
	e->start[0] = c->off[0];
	e->start[1] = c->off[1];
	e->pid = c->pid;
	e->tid = c->tid;
	e->netns = sock_netns(sk);
	e->family = c->family;
	e->role = c->role;
	if (c->family == FAM_UNIX)
		open_unix(e, (struct unix_sock *)sk);
	else
		open_inet(e, sk);
	emit_submit(e);
	c->flags |= CF_OPENED;
	return 1;
}

/* ---- EV_END ---- */

inline_always void emit_end(struct conn *c, __u8 dirs, __u16 flags, __u32 pid)
{
	struct ev_end *e;

	if (!(c->flags & CF_OPENED))
		return;
	e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
	if (!e) {
		count(KC_MISSED_END, 1);
		return;
	}
	__builtin_memset(e, 0, sizeof(*e));
	head_fill(&e->h, EV_END, flags, sizeof(*e));
	e->conn = c->id;
	e->off[0] = c->off[0];
	e->off[1] = c->off[1];
	e->pid = pid;
	e->dirs = dirs;
	emit_submit(e);
}

/* Of the end that was put off until the program had read what was left. */
inline_always __u16 abort_flags(const struct conn *c)
{
	return EVF_FINAL | (c->flags & CF_RESET ? EVF_RESET : 0);
}

/* Reports what has not been reported yet. */
inline_always void conn_end(struct conn *c, __u8 dirs, __u16 flags, __u32 pid)
{
	__u16 had = c->flags;

	if (had & (CF_FINAL | CF_NEVER))
		return;
	if (had & CF_RECV_ENDED)
		dirs &= ~(1 << DIR_RECV);
	if (had & CF_SEND_ENDED)
		dirs &= ~(1 << DIR_SEND);
	if (!dirs && !(flags & EVF_FINAL))
		return;
	if (dirs & (1 << DIR_RECV))
		c->flags |= CF_RECV_ENDED;
	if (dirs & (1 << DIR_SEND))
		c->flags |= CF_SEND_ENDED;
	if (flags & EVF_FINAL) {
		c->flags |= CF_FINAL;
		conns_ended[c->id & (ENDED_SLOTS - 1)] = c->id;
	}
	emit_end(c, flags & EVF_FINAL ? 3 : dirs, flags, pid);
}

/* Whatever happened: nothing more comes of this socket. */
inline_always int conn_gone(struct sock *sk)
{
	struct conn *c = conn_find(sk);

	if (!c)
		return 0;
	if (c->id)
		conn_end(c, 3, abort_flags(c), 0);
	if (way.hashed)
		hashed_forget(sk);
	return 0;
}

#endif
