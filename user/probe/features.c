// SPDX-License-Identifier: Apache-2.0
/* What the running kernel offers, read from its BTF: never by its version, never by loading and hoping. */
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "probe/inner.h"

static const struct {
	const char *name;
	uint32_t kind;
} sought[FEAT_MAX] = {
	[FEAT_SEND_LENGTH] = { "btf_trace_sock_send_length", BTF_KIND_TYPEDEF },
	[FEAT_RECV_LENGTH] = { "btf_trace_sock_recv_length", BTF_KIND_TYPEDEF },
	[FEAT_SET_STATE] = { "btf_trace_inet_sock_set_state", BTF_KIND_TYPEDEF },
	[FEAT_EXEC] = { "btf_trace_sched_process_exec", BTF_KIND_TYPEDEF },
	[FEAT_FORK] = { "btf_trace_sched_process_fork", BTF_KIND_TYPEDEF },
	[FEAT_EXIT] = { "btf_trace_sched_process_exit", BTF_KIND_TYPEDEF },
	[FEAT_RENAME] = { "btf_trace_task_rename", BTF_KIND_TYPEDEF },
	[FEAT_CGROUP] = { "btf_trace_cgroup_attach_task", BTF_KIND_TYPEDEF },
	[FEAT_DESTROY] = { "btf_trace_tcp_destroy_sock", BTF_KIND_TYPEDEF },
	[FEAT_ITER_TASK] = { "bpf_iter_task", BTF_KIND_FUNC },
	[FEAT_ITER_FILE] = { "bpf_iter_task_file", BTF_KIND_FUNC },
	[FEAT_ITER_UNIX] = { "bpf_iter_unix", BTF_KIND_FUNC },
};

const struct feature_info feature_infos[FEAT_MAX] = {
	[FEAT_BTF] = { "kernel BTF (/sys/kernel/btf/vmlinux)", "everything", true },
	[FEAT_SEND_LENGTH] = { "tracepoint sock_send_length", "bytes sent", true },
	[FEAT_RECV_LENGTH] = { "tracepoint sock_recv_length", "bytes received", true },
	[FEAT_SET_STATE] = { "tracepoint inet_sock_set_state", "who connects, how TCP ends", true },
	[FEAT_EXEC] = { "tracepoint sched_process_exec", "new processes", true },
	[FEAT_FORK] = { "tracepoint sched_process_fork", "descendants", true },
	[FEAT_EXIT] = { "tracepoint sched_process_exit", "process ends", true },
	[FEAT_RENAME] = { "tracepoint task_rename", "--comm of processes that rename themselves", false },
	[FEAT_CGROUP] = { "tracepoint cgroup_attach_task", "--cgroup of processes that are moved", false },
	[FEAT_DESTROY] = { "tracepoint tcp_destroy_sock", "ends of connections reset while unread", false },
	[FEAT_ITER_TASK] = { "iterator task", "processes that already run", true },
	[FEAT_ITER_FILE] = { "iterator task_file", "telling old UNIX connections from new ones", false },
	[FEAT_ITER_UNIX] = { "iterator unix", "UNIX connections closed without a word", false },
};

void features_read(struct features *f)
{
	struct btf *btf = btf__load_vmlinux_btf();

	*f = (struct features){ 0 };
	if (!btf)
		return;
	f->has[FEAT_BTF] = true;
	for (int i = FEAT_BTF + 1; i < FEAT_MAX; i++)
		f->has[i] = btf__find_by_name_kind(btf, sought[i].name, sought[i].kind) > 0;
	btf__free(btf);
}

enum feature features_missing(const struct features *f)
{
	for (int i = 0; i < FEAT_MAX; i++)
		if (feature_infos[i].required && !f->has[i])
			return (enum feature)i;
	return FEAT_MAX;
}

int backend_check(const char *backend)
{
	if (!backend || !strcmp(backend, "auto") || !strcmp(backend, "socktp"))
		return 0;
	return log_ret(-EINVAL, "--backend %s: this build has only socktp", backend);
}
