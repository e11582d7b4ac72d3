// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "compat.h"
#include "tell.h"

inline_always void exec_args(struct ev_exec *e, struct task_struct *task)
{
	__u64 from = BPF_CORE_READ(task, mm, arg_start), to = BPF_CORE_READ(task, mm, arg_end), n = to - from;

	if (to <= from)
		return;
	n = BOUND(n, EV_ARGS_MAX);
	if (!bpf_probe_read_user(e->args, n, (void *)from))
		e->args_len = n;
}

inline_always void exec_path(struct ev_exec *e, struct task_struct *task, __u32 area)
{
	struct walk *w = walk_to(task, area);
	__u32 begin;
	__u64 n, at;

	if (!w)
		return;
	begin = exe_path(area);
	if (begin < WALK_PATH - EV_EXE_MAX)
		begin = WALK_PATH - EV_EXE_MAX;
	n = WALK_PATH - begin;
	at = BOUND(begin, WALK_PATH);
	n = BOUND(n, EV_EXE_MAX);
	if (n && !bpf_probe_read_kernel(e->exe, n, w->path + at))
		e->exe_len = n;
}

checked_alone int tell_exec(__u32 area)
{
	struct task_struct *task = current_task();
	struct ev_exec *e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);

	if (!e) {
		count(KC_MISSED_PROC, 1);
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));
	head_fill(&e->h, EV_EXEC, 0, sizeof(*e));
	e->start = BPF_CORE_READ(task, group_leader, start_boottime);
	e->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	e->pid = BPF_CORE_READ(task, tgid);
	e->ppid = BPF_CORE_READ(task, real_parent, tgid);
	bpf_core_read(e->comm, 16, &task->comm);
	exec_path(e, task, area);
	exec_args(e, task);
	/* the process may be gone in a moment: user space reads what else it wants to know at once */
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
	return 0;
}
