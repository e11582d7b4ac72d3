// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The life of sockets: who connects, how connections end, which sockets are older than the tracer. */
#include "emit.h"
#include "task.h"

/* The tracer's own ends are remembered, so that the other ends are never traced. */
subprog int own_note(struct sock *sk)
{
	struct own_end end = { 0 };
	__u8 one = 1;

	if (!sk)
		return 0;
	sock_local(sk, end.addr);
	endpoint_place(&end, sk);
	end.port = sk->__sk_common.skc_num;
	bpf_map_update_elem(&own_ends, &end, &one, BPF_ANY);
	return 0;
}

/* Somebody else may have the port next. What the other end of ours still reads was judged at its first sight. */
inline_always void own_forget(struct sock *sk, struct conn *c)
{
	struct own_end end = { 0 };

	sock_local(sk, end.addr);
	endpoint_place(&end, sk);
	end.port = c->tid;
	bpf_map_delete_elem(&own_ends, &end);
}

/* A connect() by a selected process: the storage remembers who until the ports are known. */
inline_always void on_connecting(struct sock *sk, __u32 tgid)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct conn *c;

	if (!tp || tp->inet_conn.icsk_ulp_ops) /* a subflow of MPTCP: the bytes pass on another socket */
		return;
	c = conn_make(sk);
	if (!c)
		return;
	if (c->flags & CF_OPENED) /* a socket used again after connect(AF_UNSPEC) */
		conn_end(c, 3, EVF_FINAL, tgid);
	__builtin_memset(c, 0, sizeof(*c));
	c->id = conn_new_id();
	c->pid = tgid;
	c->tid = (__u32)bpf_get_current_pid_tgid();
	c->flags = CF_CONNECTING;
	if (tgid == knobs.self)
		c->flags |= CF_NEVER;
}

/* The handshake is done: the client's EV_OPEN precedes what the server does. */
inline_always void on_connected(struct sock *sk, struct conn *c)
{
	struct tcp_sock *tp = tcp_of(sk);
	__u16 flags = c->flags;

	c->flags &= ~CF_CONNECTING;
	if (flags & CF_NEVER) {
		own_note(sk);
		c->flags |= CF_OWN;
		c->tid = GET(sk, __sk_common.skc_num);
		return;
	}
	if (!tp)
		return;
	c->role = ROLE_CLIENT;
	c->family = sk->__sk_common.skc_family == AF_INET || sock_mapped(sk) ? FAM_INET : FAM_INET6;
	c->base[DIR_RECV] = tcp_base_recv(tp);
	c->base[DIR_SEND] = tcp_acked_base(tp) + 1;
	c->tcp = 1;
	c->prot = sock_prot(sk);
	c->last = DIR_SEND;
	if (remote_is_tracer(sk, KIND_TCP)) {
		c->flags |= CF_NEVER;
		return;
	}
	if (ports_match(sk, KIND_TCP))
		emit_open(sk, c);
}

inline_always void on_closing(struct sock *sk, struct conn *c, int was, int now, __u32 tgid)
{
	__u16 flags = EVF_FINAL;

	if (now == TCP_FIN_WAIT1 || now == TCP_LAST_ACK) {
		if ((sk->sk_shutdown & BOTH_SHUTDOWN) == BOTH_SHUTDOWN)
			conn_end(c, 3, EVF_FINAL, tgid);
		else
			conn_end(c, 1 << DIR_SEND, 0, tgid);
		return;
	}
	if (was == TCP_ESTABLISHED || was == TCP_CLOSE_WAIT || sk->sk_err)
		flags |= EVF_RESET;
	/* not ours to end yet: the program may still read what came before, or is just inside a call on this socket */
	if (c->tcp && sk->sk_socket && (sock_unread(sk) || (sk->sk_lock.owned && sk->sk_shutdown != BOTH_SHUTDOWN))) {
		c->flags |= CF_ABORTED | (flags & EVF_RESET ? CF_RESET : 0);
		if (!sk->sk_lock.owned)
			conn_end(c, 1 << DIR_SEND, flags & EVF_RESET, 0);
		return;
	}
	conn_end(c, 3, flags, 0);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, struct sock *sk, int was, int now)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct conn *c;

	if (sock_kind(sk) != KIND_TCP)
		return 0;
	if (now == TCP_SYN_SENT) {
		if (tgid == knobs.self || (proc_selected(tgid) && ports_maybe(sk)))
			on_connecting(sk, tgid);
		return 0;
	}
	if (now != TCP_ESTABLISHED && now != TCP_FIN_WAIT1 && now != TCP_LAST_ACK && now != TCP_CLOSE)
		return 0;
	c = conn_find(sk);
	if (!c || !c->id)
		return 0;
	if (c->flags & CF_OWN)
		own_forget(sk, c);
	else if (now != TCP_ESTABLISHED)
		on_closing(sk, c, was, now, tgid);
	else if (c->flags & CF_CONNECTING)
		on_connected(sk, c);
	return 0;
}

/* Whatever happened: nothing more comes. */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(on_destroy, struct sock *sk)
{
	struct conn *c = conn_find(sk);

	if (c && c->id)
		conn_end(c, 3, abort_flags(c), 0);
	return 0;
}

/* bpf_sock_from_file() came with 5.11. */
inline_always struct sock *sock_of(struct file *file)
{
	struct socket *socket;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_sock_from_file)) {
		socket = bpf_sock_from_file(file);
		return socket ? socket->sk : NULL;
	}
	if ((__u64)file->f_op != way.socket_file_ops)
		return NULL;
	socket = file->private_data;
	return BPF_CORE_READ(socket, sk);
}

inline_always bool counts_alone(struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	if (BPF_CORE_READ(sk, sk_type) != SOCK_STREAM)
		return false;
	return family == AF_UNIX || ((family == AF_INET || family == AF_INET6) && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_MPTCP);
}

/* Sockets without sequence numbers that exist when the tracer starts: what is older is marked, wherever it is open. */
SEC("iter/task_file")
int each_file(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct conn *c;
	struct sock *sk;

	if (!file)
		return 0;
	sk = sock_of(file);
	if (!sk || !counts_alone(sk))
		return 0;
	c = conn_create(sk);
	if (c && !c->id)
		c->flags |= CF_MID;
	return 0;
}

/* The UNIX connections of the reader's network namespace that still exist: their ids, one after the other. */
SEC("iter/unix")
int each_unix(struct bpf_iter__unix *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct unix_sock *u = ctx->unix_sk;
	struct conn *c;

	if (!u)
		return 0;
	c = conn_find(&u->sk);
	if (c && (c->flags & CF_OPENED))
		bpf_seq_write(seq, &c->id, sizeof(c->id));
	return 0;
}
