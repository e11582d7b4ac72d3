/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The one evaluator of the selectors: which of them does this process match? Asked when a process starts, changes its program,
 * name or cgroup, and once for each that already runs. Works on any task, in any context.
 */
#ifndef SPANDREL_SELECT_H
#define SPANDREL_SELECT_H

#include "task.h"

#define WALK_STEPS 256	/* directories and mount points of one path */
#define ANCESTORS 64	/* processes above, cgroups above */

/* ---- the executable's path, as /proc/PID/exe shows it ---- */

struct walking {
	struct walk *w;
};

inline_always struct mount *mount_of(struct vfsmount *v)
{
	return (struct mount *)((char *)v - bpf_core_field_offset(struct mount, mnt));
}

static long climb_step(__u32 i, struct walking *walking)
{
	struct walk *w = walking->w;
	struct dentry *dentry = w->dentry, *parent = BPF_CORE_READ(dentry, d_parent);
	struct mount *mnt = w->mnt;
	__u64 len, at;

	if (dentry == BPF_CORE_READ(mnt, mnt.mnt_root) || dentry == parent) {
		struct mount *up = BPF_CORE_READ(mnt, mnt_parent);

		if (up == mnt)
			return 1;
		w->dentry = BPF_CORE_READ(mnt, mnt_mountpoint);
		w->mnt = up;
		return 0;
	}
	len = BPF_CORE_READ(dentry, d_name.len);
	if (len > 255 || w->pos < len + 1) {
		w->cut = 1;
		return 1;
	}
	w->pos -= len + 1;
	at = MASK(w->pos, WALK_PATH - 1);
	w->path[at] = '/';
	len = BOUND(len, 255);
	bpf_probe_read_kernel(&w->path[at + 1], len, BPF_CORE_READ(dentry, d_name.name));
	w->dentry = parent;
	return 0;
}

/* Writes the path; its first byte is w->path[result], it ends at WALK_PATH. WALK_PATH: none. */
subprog __u32 exe_path(struct task_struct *task, struct walk *w)
{
	struct walking walking = { .w = w };
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);

	if (!exe)
		return WALK_PATH;
	w->pos = WALK_PATH;
	w->cut = 0;
	w->dentry = BPF_CORE_READ(exe, f_path.dentry);
	w->mnt = mount_of(BPF_CORE_READ(exe, f_path.mnt));
	bpf_loop(WALK_STEPS, climb_step, &walking, 0);
	if (w->cut)
		count(KC_PATH_TOO_LONG, 1);
	return w->pos <= WALK_PATH ? w->pos : WALK_PATH;
}

/* ---- patterns ---- */

struct matching {
	struct walk *w;
	const struct sel_glob *pat;
};

static long match_step(__u32 i, struct matching *m)
{
	struct walk *w = m->w;
	__u64 p = BOUND(w->glob.p, SEL_GLOB_MAX - 1), s = BOUND(w->begin + w->glob.s, WALK_PATH + 255);

	w->result = glob_step(&w->glob, m->pat->pat[p], m->pat->len, w->path[s], w->len);
	return w->result != GLOB_MORE;
}

/* Does w->path[begin … end) match? */
subprog int match_one(const struct sel_glob *pat, struct walk *w, __u32 begin, __u32 end)
{
	struct matching m = { .w = w, .pat = pat };

	w->begin = begin;
	w->len = end - begin;
	__builtin_memset(&w->glob, 0, sizeof(w->glob));
	bpf_loop((SEL_GLOB_MAX + 1) * WALK_PATH, match_step, &m, 0);
	return w->result == GLOB_YES;
}

static long basename_step(__u32 i, struct walking *walking)
{
	struct walk *w = walking->w;

	if (!w->pos || w->path[BOUND(w->pos - 1, WALK_PATH - 1)] == '/')
		return 1;
	w->pos--;
	return 0;
}

inline_always __u32 match_exe(struct walk *w, __u32 begin)
{
	struct walking walking = { .w = w };
	__u32 bits = 0;

	if (begin >= WALK_PATH)
		return 0;
	w->pos = WALK_PATH;
	bpf_loop(WALK_PATH, basename_step, &walking, 0);
	for (__u32 i = 0; i < SEL_MAX && i < knobs.n_exe; i++) {
		struct sel_glob *g = &knobs.exe[i];

		if (match_one(g, w, g->last ? w->pos : begin, WALK_PATH))
			bits |= g->exclude ? EXCLUDED(SEL_EXE) : SEL_EXE;
	}
	return bits;
}

/* comm stands at the beginning of w->path. */
inline_always __u32 match_comm(struct walk *w)
{
	__u32 bits = 0, len = 0;

	for (len = 0; len < 15 && w->path[len]; len++)
		;
	for (__u32 i = 0; i < SEL_MAX && i < knobs.n_comm; i++)
		if (match_one(&knobs.comm[i], w, 0, len))
			bits |= knobs.comm[i].exclude ? EXCLUDED(SEL_COMM) : SEL_COMM;
	return bits;
}

/* ---- cgroups and process ids ---- */

inline_always __u32 id_bits(const struct sel_id *ids, __u32 n, __u64 id, __u32 kind)
{
	__u32 bits = 0;

	for (__u32 i = 0; id && i < SEL_MAX && i < n; i++)
		if (ids[i].id == id)
			bits |= ids[i].exclude ? EXCLUDED(kind) : kind;
	return bits;
}

static long cgroup_step(__u32 i, struct walking *walking)
{
	struct walk *w = walking->w;
	struct cgroup *up = NULL, *cgroup = w->cgroup;

	if ((int)i > BPF_CORE_READ(cgroup, level))
		return 1;
	bpf_core_read(&up, sizeof(up), &cgroup->ancestors[i]);
	w->bits |= id_bits(knobs.cgroup, knobs.n_cgroup, BPF_CORE_READ(up, kn, id), SEL_CGROUP);
	return 0;
}

subprog __u32 match_cgroup(struct task_struct *task, struct walk *w)
{
	struct walking walking = { .w = w };

	w->bits = 0;
	w->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	bpf_loop(ANCESTORS, cgroup_step, &walking, 0);
	return w->bits;
}

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

static long parent_step(__u32 i, struct walking *walking)
{
	struct walk *w = walking->w;
	struct task_struct *task = w->task;

	if (!BPF_CORE_READ(task, tgid))
		return 1;
	w->bits |= id_bits(knobs.pid, knobs.n_pid, task_nr(task), SEL_PID);
	w->task = BPF_CORE_READ(task, real_parent);
	return 0;
}

subprog __u32 match_pid(struct task_struct *task, struct walk *w)
{
	struct walking walking = { .w = w };
	struct task_struct *first = task;

	w->bits = 0;
	bpf_probe_read_kernel(&w->task, sizeof(w->task), &first);
	bpf_loop(ANCESTORS, parent_step, &walking, 0);
	return w->bits;
}

/* ---- all of it ---- */

#define BITS_OF(kind) ((kind) | EXCLUDED(kind))

/* The bits of the kinds asked for that are looked at at all. */
subprog __u32 task_match(struct task_struct *task, __u32 kinds)
{
	__u32 zero = 0, bits = 0;
	struct walk *w = bpf_map_lookup_elem(&walks, &zero);

	if (!w)
		return 0;
	kinds &= knobs.check;
	if (kinds & SEL_EXE)
		bits |= match_exe(w, exe_path(task, w));
	if (kinds & SEL_COMM) {
		bpf_core_read(w->path, 16, &task->comm);
		bits |= match_comm(w);
	}
	if (kinds & SEL_CGROUP)
		bits |= match_cgroup(task, w);
	if (kinds & SEL_PID)
		bits |= match_pid(task, w);
	return bits;
}

inline_always void proc_set(__u32 tgid, __u32 bits)
{
	if (!bits)
		bpf_map_delete_elem(&procs, &tgid);
	else if (bpf_map_update_elem(&procs, &tgid, &bits, BPF_ANY))
		count(KC_PROCS_FULL, 1);
}

/* Looks at `kinds` again, keeps what is known of the others; what the process is now. */
inline_always __u32 proc_review(struct task_struct *task, __u32 tgid, __u32 kinds)
{
	__u32 had = proc_bits(tgid), bits;

	bits = (had & ~BITS_OF(kinds)) | task_match(task, kinds);
	if (bits != had)
		proc_set(tgid, bits);
	return bits;
}

#endif
