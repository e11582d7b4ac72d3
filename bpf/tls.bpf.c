// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The shapes of calls of TLS libraries, one program each (probe/uprobe.h says what stands where). */
#define BY_READING
#include "tls.h"

inline_always int on_begin(struct pt_regs *regs, struct tls_call *c)
{
	__u64 who = bpf_get_current_pid_tgid();

	if (!proc_traced(who >> 32))
		return 0;
	c->session = ARG0(regs);
	c->sp = STACK(regs);
	tls_begin(who, c);
	return 0;
}

#define ON_BYTES(name, how, direction, count_at)                                                   \
	SEC("uprobe")                                                                              \
	int name(struct pt_regs *regs)                                                             \
	{                                                                                          \
		struct tls_call c = {                                                              \
			.kind = how,                                                               \
			.dir = direction,                                                          \
			.buffer = ARG1(regs),                                                      \
			.length = (__u32)ARG2(regs),                                               \
			.out = count_at,                                                           \
		};                                                                                 \
                                                                                                   \
		return on_begin(regs, &c);                                                         \
	}

ON_BYTES(tls_write, TLS_COUNT, DIR_SEND, 0)
ON_BYTES(tls_write_all, TLS_ALL, DIR_SEND, 0)
ON_BYTES(tls_write_ex, TLS_EX, DIR_SEND, ARG3(regs))
ON_BYTES(tls_write_ex2, TLS_EX, DIR_SEND, ARG4(regs))
ON_BYTES(tls_read, TLS_COUNT, DIR_RECV, 0)
ON_BYTES(tls_read_ex, TLS_EX, DIR_RECV, ARG3(regs))

/*
 * NSPR's calls, which plain descriptors pass as well: only those that NSS has made sessions of (tls_new). Bytes that are only looked
 * at (PR_MSG_PEEK) do not move.
 */
#define PR_MSG_PEEK 2

inline_always int on_known(struct pt_regs *regs, int direction, __u32 flags)
{
	struct session_key key = { .session = ARG0(regs), .tgid = bpf_get_current_pid_tgid() >> 32 };
	struct tls_call c = { .kind = TLS_COUNT, .dir = direction, .buffer = ARG1(regs), .length = (__u32)ARG2(regs) };

	if ((flags & PR_MSG_PEEK) || !session_find(&key))
		return 0;
	return on_begin(regs, &c);
}

SEC("uprobe")
int tls_write_known(struct pt_regs *regs)
{
	return on_known(regs, DIR_SEND, 0);
}

SEC("uprobe")
int tls_read_known(struct pt_regs *regs)
{
	return on_known(regs, DIR_RECV, 0);
}

SEC("uprobe")
int tls_recv_known(struct pt_regs *regs)
{
	return on_known(regs, DIR_RECV, ARG3(regs));
}

SEC("uprobe")
int tls_sendfile(struct pt_regs *regs)
{
	struct tls_call c = { .kind = TLS_HOLE, .dir = DIR_SEND };

	return on_begin(regs, &c);
}

SEC("uprobe")
int tls_alpn(struct pt_regs *regs)
{
	struct tls_call c = { .kind = TLS_NAME, .buffer = ARG1(regs), .out = ARG2(regs) };

	return on_begin(regs, &c);
}

SEC("uprobe")
int tls_alpn_datum(struct pt_regs *regs)
{
	struct tls_call c = { .kind = TLS_DATUM, .buffer = ARG1(regs) };

	return on_begin(regs, &c);
}

/* Of a session that may have moved anything by now. */
SEC("uprobe")
int tls_inside(struct pt_regs *regs)
{
	struct tls_call c = { .kind = TLS_NOTHING };

	return on_begin(regs, &c);
}

/* A session that is first seen before it has moved anything is seen from its beginning. */
SEC("uprobe")
int tls_call(struct pt_regs *regs)
{
	struct tls_call c = { .kind = TLS_NOTHING };
	__u64 who = bpf_get_current_pid_tgid();

	if (proc_traced(who >> 32))
		session_make(ARG0(regs), who, 0);
	return on_begin(regs, &c);
}

SEC("uprobe")
int tls_new(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid(), session = RESULT(regs);

	if (!session || !proc_traced(who >> 32))
		return 0;
	session_close(session, who >> 32); /* one whose end was not seen */
	session_make(session, who, 0);
	return 0;
}

SEC("uprobe")
int tls_free(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid();

	if (proc_traced(who >> 32))
		session_free(ARG0(regs), who >> 32);
	return 0;
}

SEC("uprobe")
int tls_close(struct pt_regs *regs)
{
	session_close(ARG0(regs), bpf_get_current_pid_tgid() >> 32);
	return 0;
}

SEC("uprobe")
int tls_set_fd(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct session_key key = { .session = ARG0(regs), .tgid = who >> 32 };
	__u32 fd = ARG1(regs);
	struct session *s;

	if (!proc_traced(who >> 32))
		return 0;
	s = session_make(key.session, who, 0);
	if (s)
		session_await(s, &key, fd_sock(fd), who);
	return 0;
}

/* BIO_write: in memory or not, ciphertext passes here on its way out. */
SEC("uprobe")
int tls_cipher(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct tls_thread *t;

	if (!tls_in_call(who) || (__s32)ARG2(regs) < CIPHER_HEAD || !proc_traced(who >> 32))
		return 0;
	t = bpf_map_lookup_elem(&tls_calls, &who);
	if (t && t->now.kind)
		session_enciphers(&t->now, ARG1(regs), who);
	return 0;
}

inline_always int on_end(struct pt_regs *regs, bool every)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct tls_call c;

	if (tls_finish(who, STACK(regs), every, &c))
		tls_end(&c, RESULT(regs), who, 0);
	return 0;
}

SEC("uprobe")
int tls_done(struct pt_regs *regs)
{
	return on_end(regs, true);
}

SEC("uprobe")
int tls_return(struct pt_regs *regs)
{
	return on_end(regs, false);
}
