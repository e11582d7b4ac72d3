// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * crypto/tls of Go programs. A read is known by its goroutine and its frame's depth on the stack: goroutines change threads, and
 * their stacks move. Sessions inside each other (TLS to a proxy, and through it) are two connections, each with its own bytes.
 *
 * Reading makes a session known, writing alone does not: a reader that was waiting before we came gives bytes that we cannot
 * assign, and a response missing from a session would let its request meet the next one's.
 */
#define BY_READING
#include "tls.h"

#define GO_STATUS_RUNNING 2	 /* src/runtime/runtime2.go: _Grunning */
#define GO_STATUS_SCAN	  0x1000 /* _Gscan, beside it */
#define INT_LAST 0x7fffffff
#define APPLICATION_DATA 23 /* src/crypto/tls/common.go: recordTypeApplicationData */
#define GO_CTX		  (1ULL << 63) /* of an event's context: a goroutine, no thread */

struct goroutine {
	__u64 id;
	__u64 who;
	struct go_frame frame;
};

/* What stands right before the goroutine's number is its status: that shows which of the runtime's layouts this is. */
inline_always __u64 go_id(__u64 g)
{
	__u64 words[3] = { 0 }; /* from 144 on: 1.17 to 1.22 and since 1.25 status, number; 1.23 and 1.24 have one more word before */

	if (bpf_probe_read_user(words, sizeof(words), (void *)(g + 144)))
		return 0;
	if (((__u32)words[0] & ~GO_STATUS_SCAN) == GO_STATUS_RUNNING)
		return words[1];
	return ((__u32)words[1] & ~GO_STATUS_SCAN) == GO_STATUS_RUNNING ? words[2] : 0;
}

/* False: of a process that is not selected, or not on a goroutine's own stack. */
inline_always bool go_here(struct pt_regs *regs, struct goroutine *out)
{
	__u64 stack[2], sp = STACK(regs);

	out->who = bpf_get_current_pid_tgid();
	if (!proc_selected(out->who >> 32) || bpf_probe_read_user(stack, sizeof(stack), (void *)GO_G(regs)))
		return false;
	if (sp < stack[0] || sp >= stack[1])
		return false;
	out->id = go_id(GO_G(regs));
	out->frame.goid = out->id;
	out->frame.depth = stack[1] - sp;
	out->frame.tgid = out->who >> 32;
	return out->id;
}

/* ---- the socket ---- */

struct go_net { /* src/net/fd_unix.go: netFD, from poll.FD's Sysfd on; the same from 1.17 to date */
	__s64 fd;
	__u64 poll[4];
	__s64 family, type;
	__u64 connected;
	__u64 name, length;
};

#define GO_NET_AT 16
#define NET_TCP	  0x706374u /* "tcp", "tcp4", "tcp6" */
#define NET_UNIX  0x78696e75u
#define STREAM	  1

/*
 * The socket below a Conn: where its net.Conn is a *net.TCPConn or *net.UnixConn, which is a pointer to a netFD. Whether it is one is
 * seen from what it would have to say of itself; another type would have to have all of that in the same places.
 */
inline_always __u64 go_sock(__u64 conn)
{
	__u64 data = 0, at = 0;
	struct go_net n;
	__u32 name = 0;

	if (bpf_probe_read_user(&data, sizeof(data), (void *)(conn + 8)) || !data || bpf_probe_read_user(&at, sizeof(at), (void *)data) || !at ||
	    bpf_probe_read_user(&n, sizeof(n), (void *)(at + GO_NET_AT)))
		return 0;
	if (n.type != STREAM || (n.length != 3 && n.length != 4) || bpf_probe_read_user(&name, 3, (void *)n.name))
		return 0;
	if (n.length == 4 && bpf_probe_read_user(&name, 4, (void *)n.name))
		return 0;
	if ((name & 0xffffff) != NET_TCP && name != NET_UNIX)
		return 0;
	return n.fd >= 0 && n.fd <= INT_LAST ? fd_sock(n.fd) : 0;
}

inline_always void go_await(struct session *s, __u64 conn, __u64 who)
{
	struct session_key key = { .session = conn, .tgid = who >> 32 };

	session_await(s, &key, go_sock(conn), who);
}

/* ---- the programs ---- */

/* Begins a session, unless it is one that is at it again: its address may have been another one's. */
SEC("uprobe")
int go_handshake(struct pt_regs *regs)
{
	struct session_key key = { .session = GO0(regs) };
	struct goroutine g;
	struct session *s;

	if (!go_here(regs, &g))
		return 0;
	key.tgid = g.who >> 32;
	s = session_find(&key);
	if (s && s->carrier && !conn_ended(s->carrier) && s->sk == go_sock(key.session))
		return 0;
	if (s) {
		session_over(s, key.tgid);
		session_begin(s, g.who, 0);
	} else {
		s = session_make(key.session, g.who, 0);
	}
	if (s)
		go_await(s, key.session, g.who);
	return 0;
}

SEC("uprobe")
int go_read(struct pt_regs *regs)
{
	__u64 conn = GO0(regs);
	struct goroutine g;
	struct session *s;

	if (!go_here(regs, &g))
		return 0;
	s = session_make(conn, g.who, CF_MID);
	if (s && !s->sk)
		go_await(s, conn, g.who);
	bpf_map_update_elem(&go_reads, &g.frame, &conn, BPF_ANY);
	return 0;
}

/*
 * Both kinds of bytes. What is copied now is what the reader gets, and is there already. What is about to be written goes first, as
 * another goroutine may have read the answer before this one is back: an order that nobody could put right. After a write that
 * fails nothing more is written, ever.
 */
SEC("uprobe")
int go_bytes(struct pt_regs *regs)
{
	struct tls_call call = { .kind = TLS_COUNT };
	__u64 first = GO0(regs), second = GO1(regs), third = GO2(regs), fourth = GO3(regs), *conn;
	struct session_key key = { 0 };
	struct goroutine g;

	asm volatile("" : "+r"(first), "+r"(second), "+r"(third), "+r"(fourth)); /* read here: later the compiler would compute where */
	if (!go_here(regs, &g))
		return 0;
	if (second == APPLICATION_DATA) { /* where a copy has an address */
		call.dir = DIR_SEND;
		call.session = first;
		call.buffer = third;
		call.length = fourth;
	} else {
		conn = bpf_map_lookup_elem(&go_reads, &g.frame);
		if (!conn)
			return 0;
		call.dir = DIR_RECV;
		call.session = *conn;
		call.buffer = second;
		call.length = third;
		bpf_map_delete_elem(&go_reads, &g.frame);
	}
	key.session = call.session;
	key.tgid = g.who >> 32;
	if (call.length <= INT_LAST && session_find(&key))
		tls_end(&call, call.length, g.who, g.id | GO_CTX);
	return 0;
}
