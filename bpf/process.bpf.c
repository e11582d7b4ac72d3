// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Processes: which are selected, from their first instruction on; and what user space is told of them. */
#include "tell.h"
#include "compat.h"
#include "mapped.h"
#include "mmsg.h"
#include "session.h"

/* It was not selected, by what it is or does now it may be. */
inline_always void proc_joined(struct task_struct *task, __u32 tgid, bool was)
{
	if (!was && proc_selected(tgid))
		mapped_join(task, tgid);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	__u32 tgid = task->tgid, bits = 0;

	if (tgid == knobs.self)
		return 0;
	if (knobs.check)
		bits = proc_review(task, tgid, SEL_EXE | SEL_COMM | SEL_PLACE, AREA_EXEC);
	/* selected by what it is: told at once. Selected by what it does: told when it does it */
	if (knobs.need ? bits_selected(bits) : proc_told(tgid))
		proc_tell(tgid, AREA_EXEC);
	mapped_exec(task, tgid);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 tgid = child->tgid, bits;

	if ((__u32)child->pid != tgid || (__u32)parent->tgid == tgid)
		return 0;
	mapped_fork(parent, tgid);
	if (!knobs.check)
		return 0;
	bits = proc_bits(parent->tgid);
	if (knobs.check & SEL_PLACE) /* clone3 may put it elsewhere */
		bits = (bits & ~BITS_OF(SEL_PLACE)) | (walk_to(child, AREA_FORK) ? match_group(AREA_FORK) : 0);
	proc_set(tgid, bits); /* none, too: the number may have been another's */
	proc_joined(child, tgid, proc_selected(parent->tgid));
	return 0;
}

SEC("tp_btf/task_rename")
int BPF_PROG(on_rename, struct task_struct *task, const char *name)
{
	__u32 tgid = task->tgid;
	struct walk *w;
	bool was;

	if (!(knobs.check & SEL_COMM) || (__u32)task->pid != tgid || tgid == knobs.self)
		return 0;
	w = walk_to(task, AREA_RENAME);
	if (!w || bpf_probe_read_kernel_str(w->path, 16, name) < 0)
		return 0;
	was = proc_selected(tgid);
	proc_learn(tgid, SEL_COMM, match_comm(AREA_RENAME));
	proc_joined(task, tgid, was);
	return 0;
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_cgroup, struct cgroup *to, const char *path, struct task_struct *task, bool group)
{
	bool was = proc_selected(task->tgid);

	if (!(knobs.check & SEL_PLACE) || task->pid != task->tgid || !walk_to(task, AREA_CGROUP))
		return 0;
	proc_learn(task->tgid, SEL_PLACE, match_group(AREA_CGROUP));
	proc_joined(task, task->tgid, was);
	return 0;
}

/* User space looks at the path and says what it selects. */
inline_always int cgroup_tell(struct cgroup *cgroup, const char *path, __u16 flags)
{
	__u32 hierarchy = cgroup->root->hierarchy_id;
	struct ev_cgroup *e;
	long n;

	if (!(knobs.check & SEL_KUBE) || (hierarchy && hierarchy != knobs.hierarchy))
		return 0;
	e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
	if (!e) {
		count(KC_MISSED_PROC, 1);
		return 0;
	}
	head_fill(&e->h, EV_CGROUP, flags, sizeof(*e));
	e->id = cgroup->kn->id;
	e->hierarchy = hierarchy;
	e->reserved = 0;
	n = bpf_probe_read_kernel_str(e->path, sizeof(e->path), path);
	e->path_len = n > 0 ? n - 1 : 0;
	emit_submit(e);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_mkdir, struct cgroup *cgroup, const char *path)
{
	return cgroup_tell(cgroup, path, 0);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_rmdir, struct cgroup *cgroup, const char *path)
{
	return cgroup_tell(cgroup, path, EVF_GONE);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	__u32 tgid = task->tgid;
	struct ev_exit *e;

	tls_forget(bpf_get_current_pid_tgid());
	if (task->signal->live.counter)
		return 0;
	mapped_exit(task, tgid);
	if (!proc_told(tgid))
		goto forget;
	bpf_map_delete_elem(&told, &tgid);
	e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
	if (!e) {
		count(KC_MISSED_PROC, 1);
		goto forget;
	}
	head_fill(&e->h, EV_EXIT, 0, sizeof(*e));
	e->pid = tgid;
	e->reserved = 0;
	emit_submit(e);
forget:
	if (knobs.check)
		proc_set(tgid, 0);
	return 0;
}

/* Every process that already runs. With find = 2, {process id, the same in our namespace} of each selected one is written. */
SEC("iter/task")
int each_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u32 ids[2];
	bool was;

	if (task && way.registers)
		mmsg_mark(task);
	if (!task || task->pid != task->tgid || (task->flags & PF_KTHREAD) || (__u32)task->tgid == knobs.self)
		return 0;
	was = proc_selected(task->tgid);
	if (knobs.check)
		proc_review(task, task->tgid, (SEL_PID | SEL_EXE | SEL_COMM | SEL_PLACE) & ~keep, AREA_WALK);
	if (find != 2) {
		proc_joined(task, task->tgid, was);
	} else if (proc_selected(task->tgid)) {
		ids[0] = task->tgid;
		ids[1] = task_nr(task);
		bpf_seq_write(ctx->meta->seq, ids, sizeof(ids));
		mapped_hold(ids[0]);
	}
	return 0;
}

/* Run once by user space: who are we, seen from the initial namespace? */
SEC("raw_tp")
int whoami(void *ctx)
{
	struct task_struct *task = current_task();
	struct pid *pid = BPF_CORE_READ(task, thread_pid);

	self.tgid = bpf_get_current_pid_tgid() >> 32;
	self.netns = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	self.pid_level = BPF_CORE_READ(pid, level);
	self.pidns = pid_at(pid, self.pid_level).ns;
	self.root_dentry = (__u64)BPF_CORE_READ(task, fs, root.dentry);
	self.root_mnt = (__u64)BPF_CORE_READ(task, fs, root.mnt);
	return 0;
}
