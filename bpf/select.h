/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The one evaluator of the selectors: which of them does this process match? Asked when a process starts, changes its program,
 * name or cgroup, and once for each that already runs. Works on any task, in any context. Global functions, as in piece.h: they take
 * the task from the work area. Each program has its own, as one can preempt another, but none itself.
 */
#ifndef SPANDREL_SELECT_H
#define SPANDREL_SELECT_H

#include "task.h"

enum { AREA_EXEC, AREA_FORK, AREA_RENAME, AREA_CGROUP, AREA_WALK, AREA_MAP, AREA_DATA }; /* the last + level (scratch.h) */

_Static_assert(AREA_DATA + SCRATCH_LEVELS == WALK_AREAS, "work areas");

/* The bits of those of `kinds` that are looked at at all. */
int match_task(__u32 kinds, __u32 area);
/* Those of SEL_PLACE alone. */
int match_group(__u32 area);
/* Those of SEL_COMM, for a name that stands at the beginning of the area's path. */
int match_comm(__u32 area);
/* Writes the path of the task's executable, as /proc/PID/exe shows it; it begins at path[result] and ends at WALK_PATH: none. */
int exe_path(__u32 area);
/* Likewise of the file that the work area names. */
int file_path(__u32 area);

/* What follows from the control group that a process is in. */
#define SEL_PLACE (SEL_CGROUP | SEL_KUBE)

struct pid_in {
	__u32 nr, ns;
};

inline_always struct pid_in pid_at(struct pid *pid, __u32 level)
{
	struct upid up = { 0 };

	bpf_core_read(&up, sizeof(up), &pid->numbers[level]);
	return (struct pid_in){ up.nr, BPF_CORE_READ(up.ns, ns.inum) };
}

/* The process id as our own namespace has it, which is where --pid was typed; 0: it has none there. */
inline_always __u32 task_nr(struct task_struct *task)
{
	struct pid *pid;
	struct pid_in at;

	if (!self.pid_level)
		return BPF_CORE_READ(task, tgid);
	pid = BPF_CORE_READ(task, group_leader, thread_pid);
	if (BPF_CORE_READ(pid, level) < self.pid_level)
		return 0;
	at = pid_at(pid, self.pid_level);
	return at.ns == self.pidns ? at.nr : 0;
}

#define BITS_OF(kinds) ((kinds) | EXCLUDED(kinds))

/* Puts the task into the work area, as an address that can be computed with. */
inline_always struct walk *walk_to(struct task_struct *task, __u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);

	if (w)
		bpf_probe_read_kernel(&w->task, sizeof(w->task), &task);
	return w;
}

inline_always void proc_set(__u32 tgid, __u32 bits)
{
	if (bits && bpf_map_update_elem(&procs, &tgid, &bits, BPF_ANY))
		count(KC_PROCS_FULL, 1);
	else if (bits || !bpf_map_delete_elem(&procs, &tgid))
		__sync_fetch_and_add(&procs_changes, 1); /* after the change: who looks it up now is right */
}

/* What is known now of `kinds`; the rest stays. Returns what the process is. */
inline_always __u32 proc_learn(__u32 tgid, __u32 kinds, __u32 matched)
{
	__u32 had = proc_bits(tgid), bits = (had & ~BITS_OF(kinds)) | matched;

	if (bits != had)
		proc_set(tgid, bits);
	return bits;
}

/* Looks at `kinds` again. */
inline_always __u32 proc_review(struct task_struct *task, __u32 tgid, __u32 kinds, __u32 area)
{
	return proc_learn(tgid, kinds, walk_to(task, area) ? match_task(kinds, area) : 0);
}

#endif
