// SPDX-License-Identifier: Apache-2.0
/* Every probe: for which ways in, what it needs of the kernel, and what is lost without it. In the order in which they are attached. */
#include <bpf/btf.h>

#include "base/scope.h"
#include "probe/inner.h"
#include "probe/uprobe.h"

#define TRACEPOINT(prog, tp, need, lost) { prog, NULL, WAY_ALL, need, BTF_KIND_TYPEDEF, "btf_trace_" tp, lost }
#define ITERATOR(prog, name, need, lost) { prog, NULL, WAY_ALL, need, BTF_KIND_FUNC, "bpf_iter_" name, lost }
#define SOCKTP(prog, tp, lost) { prog, NULL, WAY_SOCKTP, NEED_ALWAYS, BTF_KIND_TYPEDEF, "btf_trace_" tp, lost }
#define FEXIT(func, need, lost) { "fexit_" func, NULL, WAY_FENTRY, need, BTF_KIND_FUNC, func, lost }
#define KPROBE(prog, func, need, lost) { prog, func, WAY_KPROBE, need, BTF_KIND_FUNC, func, lost }
#define UPROBE(id, prog, lost) { #prog, NULL, WAY_ALL, NEED_IN_FILES, 0, NULL, lost },
#define MAPPING(prog, way, kind, name) { prog, NULL, way, NEED_OPTIONAL, kind, name, "what is in TLS where a library is loaded later" }
#define KPROBES(enter, ret, func, need, lost) KPROBE(ret, func, need, lost), KPROBE(enter, func, need, lost)

const struct probe_row probe_rows[] = {
	{ "whoami", NULL, WAY_ALL, NEED_ALWAYS, 0, NULL, "which process the tracer itself is" },
	/* processes */
	TRACEPOINT("on_fork", "sched_process_fork", NEED_ALWAYS, "descendants"),
	TRACEPOINT("on_exec", "sched_process_exec", NEED_ALWAYS, "new processes"),
	TRACEPOINT("on_rename", "task_rename", NEED_OPTIONAL, "--comm of processes that rename themselves"),
	TRACEPOINT("on_cgroup", "cgroup_attach_task", NEED_OPTIONAL, "--cgroup, --container and --kube-… of processes that are moved"),
	TRACEPOINT("on_mkdir", "cgroup_mkdir", NEED_OPTIONAL, "containers that start later"),
	TRACEPOINT("on_rmdir", "cgroup_rmdir", NEED_IF_THERE, "containers that end"),
	TRACEPOINT("on_exit", "sched_process_exit", NEED_ALWAYS, "process ends"),
	ITERATOR("each_task", "task", NEED_ALWAYS, "processes that already run"),
	/* files that they map; before the walk, so that none is missed */
	MAPPING("on_unmapped_area", WAY_SOCKTP, BTF_KIND_TYPEDEF, "btf_trace_vm_unmapped_area"),
	MAPPING("fentry_mmap_file", WAY_FENTRY, BTF_KIND_FUNC, "security_mmap_file"),
	KPROBE("enter_mmap_file", "security_mmap_file", NEED_OPTIONAL, "what is in TLS where a library is loaded later"),
	{ "identify", NULL, WAY_ALL, NEED_IF_THERE, BTF_KIND_FUNC, "bpf_find_vma", "which file is below an overlay" },
	{ "identify_file", NULL, WAY_ALL, NEED_OPTIONAL, 0, NULL, "what is in TLS" },
	/* the life of sockets */
	TRACEPOINT("on_state", "inet_sock_set_state", NEED_ALWAYS, "who connects, how TCP ends"),
	TRACEPOINT("on_destroy", "tcp_destroy_sock", NEED_OPTIONAL, "ends of connections reset while unread"),
	{ "fentry_inet_sock_destruct", NULL, WAY_FENTRY, NEED_HASHED, BTF_KIND_FUNC, "inet_sock_destruct", "ends of sockets" },
	{ "fentry_unix_sock_destructor", NULL, WAY_FENTRY, NEED_END, BTF_KIND_FUNC, "unix_sock_destructor", "ends of UNIX sockets" },
	KPROBE("enter_destruct", "inet_sock_destruct", NEED_HASHED, "ends of sockets"),
	KPROBE("enter_destruct", "unix_sock_destructor", NEED_HASHED, "ends of UNIX sockets"),
	ITERATOR("each_unix", "unix", NEED_OPTIONAL, "UNIX connections closed without a word"),
	/* bytes */
	SOCKTP("on_send", "sock_send_length", "bytes sent"),
	SOCKTP("on_recv", "sock_recv_length", "bytes received"),
	FEXIT("inet_sendmsg", NEED_ALWAYS, "bytes sent"),
	FEXIT("inet_recvmsg", NEED_ALWAYS, "bytes received"),
	FEXIT("inet6_sendmsg", NEED_OPTIONAL, "bytes sent on IPv6 sockets"),
	FEXIT("inet6_recvmsg", NEED_OPTIONAL, "bytes received on IPv6 sockets"),
	FEXIT("unix_stream_sendmsg", NEED_OPTIONAL, "bytes sent on UNIX sockets"),
	FEXIT("unix_stream_recvmsg", NEED_OPTIONAL, "bytes received on UNIX sockets"),
	FEXIT("inet_sendpage", NEED_IF_THERE, "bytes sent by sendfile"), /* gone in 6.5: sendmsg takes pages */
	FEXIT("unix_stream_sendpage", NEED_IF_THERE, "bytes sent by sendfile on UNIX sockets"),
	FEXIT("tcp_splice_read", NEED_OPTIONAL, "the time of bytes spliced from TCP sockets"),
	FEXIT("unix_stream_splice_read", NEED_OPTIONAL, "bytes spliced from UNIX sockets"),
	KPROBES("enter_sendmsg", "return_send", "inet_sendmsg", NEED_ALWAYS, "bytes sent"),
	KPROBES("enter_recvmsg", "return_recv", "inet_recvmsg", NEED_ALWAYS, "bytes received"),
	KPROBES("enter_sendmsg", "return_send", "inet6_sendmsg", NEED_OPTIONAL, "bytes sent on IPv6 sockets"),
	KPROBES("enter_recvmsg", "return_recv", "inet6_recvmsg", NEED_OPTIONAL, "bytes received on IPv6 sockets"),
	KPROBES("enter_sendmsg", "return_send", "unix_stream_sendmsg", NEED_OPTIONAL, "bytes sent on UNIX sockets"),
	KPROBES("enter_recvmsg", "return_recv", "unix_stream_recvmsg", NEED_OPTIONAL, "bytes received on UNIX sockets"),
	KPROBES("enter_sendpage", "return_send", "inet_sendpage", NEED_IF_THERE, "bytes sent by sendfile"),
	KPROBES("enter_sendpage", "return_send", "unix_stream_sendpage", NEED_IF_THERE, "bytes sent by sendfile on UNIX sockets"),
	KPROBES("enter_splice_read", "return_recv", "tcp_splice_read", NEED_OPTIONAL, "the time of bytes spliced from TCP sockets"),
	KPROBES("enter_splice_read", "return_recv", "unix_stream_splice_read", NEED_OPTIONAL, "bytes spliced from UNIX sockets"),
	/* put on files as they turn up */
	UPROBE_PROGRAMS_TABLE(UPROBE)
	/* last: what is used before this walk is done counts as old */
	ITERATOR("each_file", "task_file", NEED_OPTIONAL, "telling old UNIX and MPTCP connections from new ones"),
};

const size_t n_probe_rows = ARRAY_SIZE(probe_rows);
_Static_assert(ARRAY_SIZE(probe_rows) <= PROBES_MAX, "PROBES_MAX");
