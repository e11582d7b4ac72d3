// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Way in "fentry": the functions that every caller of a stream socket passes, when they return. msg says where the bytes are (iter.h).
 * inet_* sees UDP too (told by the protocol) and, other than tcp_*, the plaintext of kTLS.
 */
#include "call.h"
#include "iter.h"

struct source {
	struct msghdr *msg; /* NULL: a page, or nothing */
	__u64 size;	    /* before the operation */
	__u64 page, offset;
};

inline_always void source_begin(const struct source *src, struct scratch *s)
{
}

inline_always void source_locate(const struct source *src, struct scratch *s, struct sock *sk)
{
	if (src->msg)
		iter_locate(&s->op, s, src->msg, src->size);
	else if (src->page)
		page_locate(&s->op, s, src->page, src->offset);
	else
		op_hole(&s->op, HOLE_NO_BUFFER);
}

inline_always bool source_spot(const struct source *src, struct sock *sk, struct op *op)
{
	return src->msg && iter_spot(op, src->msg, src->size);
}

#include "move.h"

#define ON_SEND(name)                                                                              \
	SEC("fexit/" #name)                                                                        \
	int BPF_PROG(fexit_##name, struct socket *socket, struct msghdr *msg, __u64 size, int ret) \
	{                                                                                          \
		struct source src = { .msg = msg, .size = size };                                  \
                                                                                                   \
		return on_move(socket->sk, current_user(), ret, msg->msg_flags, DIR_SEND, &src);   \
	}

#define ON_RECV(name)                                                                              \
	SEC("fexit/" #name)                                                                        \
	int BPF_PROG(fexit_##name, struct socket *socket, struct msghdr *msg, __u64 size, int flags, int ret) \
	{                                                                                          \
		struct source src = { .msg = msg, .size = size };                                  \
                                                                                                   \
		return on_move(socket->sk, current_user(), ret, flags, DIR_RECV, &src);            \
	}

#define ON_PAGE(name)                                                                              \
	SEC("fexit/" #name)                                                                        \
	int BPF_PROG(fexit_##name, struct socket *socket, void *page, int offset, __u64 size, int flags, int ret) \
	{                                                                                          \
		struct source src = { .offset = (__u32)offset };                                   \
                                                                                                   \
		bpf_probe_read_kernel(&src.page, sizeof(src.page), &ctx[1]); /* a number: 5.10 does not compute with pointers */ \
		return on_move(socket->sk, current_user(), ret, 0, DIR_SEND, &src);                \
	}

/* Into a pipe: only how much is known. */
#define ON_SPLICE(name)                                                                            \
	SEC("fexit/" #name)                                                                        \
	int BPF_PROG(fexit_##name, struct socket *socket, void *pos, void *pipe, __u64 size, int flags, int ret) \
	{                                                                                          \
		struct source src = { 0 };                                                         \
                                                                                                   \
		return on_move(socket->sk, current_user(), ret, 0, DIR_RECV, &src);                \
	}

ON_SEND(inet_sendmsg)
ON_SEND(inet6_sendmsg)
ON_SEND(unix_stream_sendmsg)
ON_RECV(inet_recvmsg)
ON_RECV(inet6_recvmsg)
ON_RECV(unix_stream_recvmsg)
ON_PAGE(inet_sendpage)
ON_PAGE(unix_stream_sendpage)
ON_SPLICE(tcp_splice_read)
ON_SPLICE(unix_stream_splice_read)

/*
 * The end of a socket. Of a UNIX socket nothing else tells; and where its state is not freed with it (way.hashed), that is done here.
 */
SEC("fentry/inet_sock_destruct")
int BPF_PROG(fentry_inet_sock_destruct, struct sock *sk)
{
	return conn_gone(sk);
}

SEC("fentry/unix_sock_destructor")
int BPF_PROG(fentry_unix_sock_destructor, struct sock *sk)
{
	return conn_gone(sk);
}
