// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "select.h"

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

	if ((__u64)dentry == self.root_dentry && (__u64)mnt == self.root_mnt - bpf_core_field_offset(struct mount, mnt))
		return 1;
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

int exe_path(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct walking walking = { .w = w };
	struct task_struct *task;
	struct file *exe;

	if (!w)
		return WALK_PATH;
	task = w->task;
	exe = BPF_CORE_READ(task, mm, exe_file);
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

/* Does path[begin … end) of the work area match pattern i of this kind? */
int match_one(__u32 area, __u32 kind, __u32 i, __u32 begin, __u32 end)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct matching m = { .w = w };

	if (!w || i >= SEL_MAX)
		return 0;
	m.pat = kind == SEL_EXE ? &knobs.exe[i] : &knobs.comm[i];
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

inline_always __u32 match_exe(struct walk *w, __u32 area)
{
	struct walking walking = { .w = w };
	__u32 bits = 0, begin = exe_path(area);

	if (begin >= WALK_PATH)
		return 0;
	w->pos = WALK_PATH;
	bpf_loop(WALK_PATH, basename_step, &walking, 0);
	for (__u32 i = 0; i < SEL_MAX && i < knobs.n_exe; i++) {
		struct sel_glob *g = &knobs.exe[i];

		if (match_one(area, SEL_EXE, i, g->last ? w->pos : begin, WALK_PATH))
			bits |= g->exclude ? EXCLUDED(SEL_EXE) : SEL_EXE;
	}
	return bits;
}

int match_comm(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	__u32 bits = 0, len;

	if (!w)
		return 0;
	for (len = 0; len < 15 && w->path[len]; len++)
		;
	for (__u32 i = 0; i < SEL_MAX && i < knobs.n_comm; i++)
		if (match_one(area, SEL_COMM, i, 0, len))
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

int match_cgroup(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct walking walking = { .w = w };
	struct task_struct *task;

	if (!w)
		return 0;
	task = w->task;
	w->bits = 0;
	w->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	bpf_loop(ANCESTORS, cgroup_step, &walking, 0);
	return w->bits;
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

inline_always __u32 match_pid(struct walk *w)
{
	struct walking walking = { .w = w };

	w->bits = 0;
	bpf_loop(ANCESTORS, parent_step, &walking, 0);
	return w->bits;
}

/* ---- all of it ---- */

int match_task(__u32 kinds, __u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct task_struct *task;
	__u32 bits = 0;

	if (!w)
		return 0;
	kinds &= knobs.check;
	task = w->task;
	if (kinds & SEL_EXE)
		bits |= match_exe(w, area);
	if (kinds & SEL_COMM) {
		bpf_core_read(w->path, 16, &task->comm);
		bits |= match_comm(area);
	}
	if (kinds & SEL_CGROUP)
		bits |= match_cgroup(area);
	if (kinds & SEL_PID) /* last: it climbs */
		bits |= match_pid(w);
	return bits;
}
