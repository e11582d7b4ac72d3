/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A socket: is it of a kind we trace, do its ports match, whose is it, and where in its two streams does it stand? */
#ifndef SPANDREL_CONN_H
#define SPANDREL_CONN_H

#include "compat.h"
#include "maps.h"

enum { AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, SOCK_STREAM = 1 };
enum { IPPROTO_TCP = 6, IPPROTO_MPTCP = 262 };
enum { RCV_SHUTDOWN = 1, SEND_SHUTDOWN = 2, BOTH_SHUTDOWN = 3 };
enum { S_IFMT = 0170000, S_IFSOCK = 0140000 };
enum { SOCK_DONE = 1 }; /* enum sock_flags: the peer's FIN has arrived */
enum tcp_state {
	TCP_ESTABLISHED = 1, TCP_SYN_SENT, TCP_SYN_RECV, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_TIME_WAIT, TCP_CLOSE,
	TCP_CLOSE_WAIT, TCP_LAST_ACK, TCP_LISTEN, TCP_CLOSING,
};

enum kind { KIND_NONE, KIND_TCP, KIND_MPTCP, KIND_UNIX };

inline_always enum kind sock_kind(struct sock *sk)
{
	__u16 family = GET(sk, __sk_common.skc_family);

	if (GET(sk, sk_type) != SOCK_STREAM)
		return KIND_NONE;
	if (family == AF_UNIX)
		return KIND_UNIX;
	if (family != AF_INET && family != AF_INET6)
		return KIND_NONE;
	if (GET(sk, sk_protocol) == IPPROTO_TCP)
		return KIND_TCP;
	return GET(sk, sk_protocol) == IPPROTO_MPTCP ? KIND_MPTCP : KIND_NONE;
}

/* Before 6.18 the verifier takes a swapped 16-bit value for one of 64 bits. */
inline_always bool port_in(const __u8 *bits, __u16 port)
{
	return bits[MASK(port >> 3, 0x1fff)] & (1 << (port & 7));
}

inline_always bool ports_match(struct sock *sk, enum kind kind)
{
	__u16 lport, rport;

	if (!knobs.port_need && !knobs.port_exclude)
		return true;
	if (kind == KIND_UNIX)
		return !knobs.port_need;
	lport = GET(sk, __sk_common.skc_num);
	rport = __builtin_bswap16(GET(sk, __sk_common.skc_dport));
	if (knobs.port_exclude && (port_in(knobs.port_not, lport) || port_in(knobs.port_not, rport)))
		return false;
	return !knobs.port_need || port_in(knobs.port_bits, lport) || port_in(knobs.port_bits, rport);
}

inline_always __u32 sock_netns(struct sock *sk)
{
	struct net *net = GET(sk, __sk_common.skc_net.net);

	return GET(net, ns.inum);
}

inline_always struct file *sock_file(struct sock *sk)
{
	struct socket *socket = GET(sk, sk_socket);

	return GET(socket, file);
}

inline_always bool sock_mapped(struct sock *sk)
{
	__be32 a[4];

	bpf_core_read(a, sizeof(a), &sk->__sk_common.skc_v6_daddr);
	return !a[0] && !a[1] && a[2] == __builtin_bswap32(0xffff);
}

inline_always void addr_v4(__u8 to[16], __be32 addr)
{
	__u32 words[4] = { 0, 0, __builtin_bswap32(0xffff), addr };

	__builtin_memcpy(to, words, 16);
}

inline_always void sock_local(struct sock *sk, __u8 to[16])
{
	if (GET(sk, __sk_common.skc_family) == AF_INET)
		addr_v4(to, GET(sk, __sk_common.skc_rcv_saddr));
	else
		bpf_core_read(to, 16, &sk->__sk_common.skc_v6_rcv_saddr);
}

inline_always void sock_remote(struct sock *sk, __u8 to[16])
{
	if (GET(sk, __sk_common.skc_family) == AF_INET)
		addr_v4(to, GET(sk, __sk_common.skc_daddr));
	else
		bpf_core_read(to, 16, &sk->__sk_common.skc_v6_daddr);
}

/* A number that says nothing of the address it was made from, the same each time. */
inline_always __u64 sock_key(const void *sk)
{
	__u64 k = 0;

	if (!sk)
		return 0;
	bpf_probe_read_kernel(&k, sizeof(k), &sk); /* a pointer may not be computed with, its copy may */
	k ^= knobs.key;
	k *= 0x9e3779b97f4a7c15ULL;
	k ^= k >> 29;
	k ^= knobs.key << 7;
	k *= 0xd6e8feb86659fd93ULL;
	return k ^ k >> 32;
}

/* Before the local port is known. */
inline_always bool ports_maybe(struct sock *sk)
{
	__u16 rport = __builtin_bswap16(GET(sk, __sk_common.skc_dport));

	return !knobs.port_need || port_in(knobs.port_bits, rport) || port_in(knobs.port_bits, GET(sk, __sk_common.skc_num));
}

/* 127.0.0.0/8 or ::1: in each network namespace another place. */
inline_always bool addr_loopback(const __u8 a[16])
{
	const __u32 *w = (const __u32 *)a;

	if (w[0] || w[1])
		return false;
	return (w[2] == __builtin_bswap32(0xffff) && a[12] == 127) || (!w[2] && w[3] == __builtin_bswap32(1));
}

inline_always void endpoint_place(struct own_end *end, struct sock *sk)
{
	if (addr_loopback(end->addr))
		end->netns = sock_netns(sk);
}

/* Connections whose other end is the tracer are never traced. */
inline_always bool remote_is_tracer(struct sock *sk, enum kind kind)
{
	struct own_end end = { 0 };

	if (kind == KIND_UNIX) {
		struct pid *peer = GET(sk, sk_peer_pid);

		return peer && knobs.self && (__u32)BPF_CORE_READ(peer, numbers[0].nr) == knobs.self;
	}
	sock_remote(sk, end.addr);
	endpoint_place(&end, sk);
	end.port = __builtin_bswap16(GET(sk, __sk_common.skc_dport));
	return bpf_map_lookup_elem(&own_doors, &end) || bpf_map_lookup_elem(&own_ends, &end);
}

/* ---- TCP: sequence numbers ---- */

#ifdef BY_READING
inline_always struct tcp_sock *tcp_of(struct sock *sk)
{
	return sock_kind(sk) == KIND_TCP ? (struct tcp_sock *)sk : NULL;
}
#else
inline_always struct tcp_sock *tcp_of(struct sock *sk)
{
	return bpf_skc_to_tcp_sock(sk);
}
#endif

/* The functions that move the bytes of a TCP socket: its sequence numbers count what the program reads and writes only with TCP's own. */
inline_always __u64 sock_prot(struct sock *sk)
{
	return (__u64)GET(sk, __sk_common.skc_prot);
}

/* Not so where the kernel encrypts (kTLS) or moves bytes between sockets (sockmap). */
inline_always bool tcp_plain(struct tcp_sock *tp, __u64 prot)
{
	if (way.tcp_prot)
		return prot == way.tcp_prot || prot == way.tcpv6_prot;
	return !GET(tp, inet_conn.icsk_ulp_ops); /* the addresses are hidden from us */
}

/*
 * The sequence number behind the last byte the program has moved. Reading the last byte of a segment that
 * carries FIN moves copied_seq past the FIN as well; that one is no byte.
 */
inline_always __u32 tcp_moved(struct tcp_sock *tp, struct sock *sk, int dir)
{
	__u32 seq;

	if (dir == DIR_SEND)
		return GET(tp, write_seq);
	seq = GET(tp, copied_seq);
	if ((GET(sk, __sk_common.skc_flags) & (1 << SOCK_DONE)) && seq == GET(tp, rcv_nxt))
		seq--;
	return seq;
}

/* Bytes that have arrived and were not read; a FIN is none. */
inline_always __u32 tcp_unread(struct tcp_sock *tp, struct sock *sk)
{
	__u32 left = GET(tp, rcv_nxt) - GET(tp, copied_seq);

	return left && (GET(sk, __sk_common.skc_flags) & (1 << SOCK_DONE)) ? left - 1 : left;
}

inline_always bool sock_unread(struct sock *sk)
{
	struct tcp_sock *tp = tcp_of(sk);

	return tp ? tcp_unread(tp, sk) : GET(sk, sk_receive_queue.qlen);
}

/* The initial sequence number of the receiving direction, plus one: bytes_received counts a FIN as rcv_nxt does. */
inline_always __u32 tcp_base_recv(struct tcp_sock *tp)
{
	__u32 nxt = 0, base = 0;

	for (int i = 0; i < 4; i++) { /* a segment may arrive between the two reads */
		__u32 again;

		nxt = GET(tp, rcv_nxt);
		base = nxt - (__u32)GET(tp, bytes_received);
		again = GET(tp, rcv_nxt);
		if (again == nxt)
			break;
	}
	return base;
}

/* Likewise of the sending direction, or less by one when we connected: bytes_acked then counts the SYN. */
inline_always __u32 tcp_acked_base(struct tcp_sock *tp)
{
	__u32 una = 0, base = 0;

	for (int i = 0; i < 4; i++) {
		una = GET(tp, snd_una);
		base = una - (__u32)GET(tp, bytes_acked);
		if (una == GET(tp, snd_una))
			break;
	}
	return base;
}

/*
 * Who connected, told from the socket alone. A listener's backlog is inherited by what it accepts. Else: sequence
 * numbers used, less the bytes sent, are 1 (our SYN) for the end that connected and 0 for the one that accepted;
 * after a FIN of ours, or in the middle of a retransmission, nothing is certain.
 */
inline_always int tcp_role(struct tcp_sock *tp, struct sock *sk)
{
	__u32 state = GET(sk, __sk_common.skc_state), extra;

	if (GET(sk, sk_max_ack_backlog))
		return ROLE_SERVER;
	if (state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT)
		return ROLE_UNKNOWN;
	extra = GET(tp, snd_nxt) - tcp_acked_base(tp) - (__u32)(GET(tp, bytes_sent) - GET(tp, bytes_retrans));
	return extra == 0 ? ROLE_SERVER : extra == 1 ? ROLE_CLIENT : ROLE_UNKNOWN;
}

/* Sets the sequence numbers of both offsets 0, and the offsets. */
inline_always void conn_bases(struct conn *c, struct tcp_sock *tp, struct sock *sk)
{
	c->base[DIR_RECV] = tcp_base_recv(tp);
	c->base[DIR_SEND] = tcp_acked_base(tp) + (c->role == ROLE_CLIENT);
	c->tcp = 1;
	for (int dir = 0; dir < 2; dir++)
		c->off[dir] = tcp_moved(tp, sk, dir) - c->base[dir];
}

/* ---- the state of a connection ---- */

static const struct conn conn_none; /* all zero */

inline_always struct conn *hashed_find(struct sock *sk, bool make)
{
	struct conn *c;
	__u64 key;

	bpf_probe_read_kernel(&key, sizeof(key), &sk); /* a number, no pointer any more */
	c = bpf_map_lookup_elem(&hashed, &key);
	if (c || !make)
		return c;
	bpf_map_update_elem(&hashed, &key, (void *)&conn_none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&hashed, &key);
}

inline_always void hashed_forget(struct sock *sk)
{
	__u64 key;

	bpf_probe_read_kernel(&key, sizeof(key), &sk);
	bpf_map_delete_elem(&hashed, &key);
}

#ifdef BY_READING
inline_always struct conn *conn_find(struct sock *sk)
{
	return hashed_find(sk, false);
}

inline_always struct conn *conn_create(struct sock *sk)
{
	return hashed_find(sk, true);
}
#else
inline_always struct conn *conn_find(struct sock *sk)
{
	if (way.hashed)
		return hashed_find(sk, false);
	return sk->sk_bpf_storage ? bpf_sk_storage_get(&conns, sk, 0, 0) : NULL;
}

/* The allocator waits for no lock: what fails once may work at once. */
inline_always struct conn *conn_create(struct sock *sk)
{
	struct conn *c;

	if (way.hashed)
		return hashed_find(sk, true);
	c = bpf_sk_storage_get(&conns, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	return c ? c : bpf_sk_storage_get(&conns, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
}
#endif

/* The state of a socket, made if there is none. */
inline_always struct conn *conn_make(struct sock *sk)
{
	struct conn *c = conn_create(sk);

	if (!c)
		count(KC_NO_STORAGE, 1);
	return c;
}

/*
 * Atomics that return a value came with 5.12. Without them: who sees the number one higher after having added one than before is the
 * only one who does, because two that add see at least two.
 */
inline_always __u64 conn_new_id(void)
{
	for (int i = 0; i < 8; i++) {
		__u64 before = *(volatile __u64 *)&conn_ids;

		__sync_fetch_and_add(&conn_ids, 1);
		if (*(volatile __u64 *)&conn_ids == before + 1)
			return before + 1;
	}
	return (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32(); /* others were faster each time */
}

/* May this thread, and no other, set up a connection that has no id? Two that come at once both may not. */
inline_always bool conn_claim(struct conn *c)
{
	if (*(volatile __u32 *)&c->claims)
		return false;
	__sync_fetch_and_add(&c->claims, 1);
	if (*(volatile __u32 *)&c->claims == 1)
		return true;
	__sync_fetch_and_add(&c->claims, -1);
	return false;
}

#endif
