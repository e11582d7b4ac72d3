// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "compat.h"
#include "select.h"

/* ---- a file's path, as /proc/PID/exe shows the executable's ---- */

inline_always struct mount *mount_of(struct vfsmount *v)
{
	return (struct mount *)((char *)v - bpf_core_field_offset(struct mount, mnt));
}

/* One directory or mount point. */
checked_alone int climb_step(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct dentry *dentry, *parent;
	struct mount *mnt;
	__u64 len, at;

	if (!w)
		return 1;
	dentry = w->dentry;
	parent = BPF_CORE_READ(dentry, d_parent);
	mnt = w->mnt;
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
LOOP(climb, 16, 16)

checked_alone int file_path(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct file *file;

	if (!w || !w->file)
		return WALK_PATH;
	file = w->file;
	w->pos = WALK_PATH;
	w->cut = 0;
	w->dentry = BPF_CORE_READ(file, f_path.dentry);
	w->mnt = mount_of(BPF_CORE_READ(file, f_path.mnt));
	climb_loop(area);
	if (w->cut)
		count(KC_PATH_TOO_LONG, 1);
	return w->pos <= WALK_PATH ? w->pos : WALK_PATH;
}

checked_alone int exe_path(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct task_struct *task;

	if (!w)
		return WALK_PATH;
	task = w->task;
	w->file = BPF_CORE_READ(task, mm, exe_file);
	return file_path(area);
}

/* ---- patterns ---- */

checked_alone int match_step(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct sel_glob *g;
	__u64 p, s;

	if (!w)
		return 1;
	g = &(w->kind == SEL_EXE ? knobs.exe : knobs.comm)[MASK(w->pattern, SEL_MAX - 1)];
	p = BOUND(w->glob.p, SEL_GLOB_MAX - 1);
	s = BOUND(w->begin + w->glob.s, WALK_PATH + 255);
	w->result = glob_step(&w->glob, g->pat[p], g->len, w->path[s], w->len);
	return w->result != GLOB_MORE;
}
ROW(match_row, match_step, 50)
ROW(match_rows, match_row, 50)
ROW(match_loop, match_rows, 50)
_Static_assert((SEL_GLOB_MAX + 1) * (WALK_PATH + 1) < 125000, "steps of a pattern");

/* Does path[begin … end) of the work area match pattern i of this kind? */
inline_always bool match_one(__u32 area, __u32 kind, __u32 i, __u32 begin, __u32 end)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);

	if (!w)
		return 0;
	w->kind = kind;
	w->pattern = i;
	w->begin = begin;
	w->len = end - begin;
	__builtin_memset(&w->glob, 0, sizeof(w->glob));
	match_loop(area);
	return w->result == GLOB_YES;
}

checked_alone int basename_step(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);

	if (!w || !w->pos || w->path[BOUND(w->pos - 1, WALK_PATH - 1)] == '/')
		return 1;
	w->pos--;
	return 0;
}
LOOP(basename, 32, 32)

/* The bits that pattern i gives. */
checked_alone int exe_bits(__u32 area, __u32 i, __u32 begin)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct sel_glob *g = &knobs.exe[MASK(i, SEL_MAX - 1)];

	if (!w || !match_one(area, SEL_EXE, i, g->last ? w->pos : begin, WALK_PATH))
		return 0;
	return g->exclude ? EXCLUDED(SEL_EXE) : SEL_EXE;
}

checked_alone int comm_bits(__u32 area, __u32 i, __u32 len)
{
	if (!match_one(area, SEL_COMM, i, 0, len))
		return 0;
	return knobs.comm[MASK(i, SEL_MAX - 1)].exclude ? EXCLUDED(SEL_COMM) : SEL_COMM;
}

checked_alone int match_exe(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	__u32 bits = 0, begin = exe_path(area);

	if (!w || begin >= WALK_PATH)
		return 0;
	w->pos = WALK_PATH;
	basename_loop(area);
	for (__u32 i = 0; i < SEL_MAX && i < knobs.n_exe; i++)
		bits |= exe_bits(area, i, begin);
	return bits;
}

checked_alone int match_comm(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	__u32 bits = 0, len;

	if (!w)
		return 0;
	for (len = 0; len < 15 && w->path[len]; len++)
		;
	for (__u32 i = 0; i < SEL_MAX && i < knobs.n_comm; i++)
		bits |= comm_bits(area, i, len);
	return bits;
}

/* ---- cgroups and process ids ---- */

checked_alone int pid_bits(__u64 id)
{
	__u32 bits = 0;

	for (__u32 i = 0; id && i < SEL_MAX && i < knobs.n_pid; i++)
		if (knobs.pid[i].id == id)
			bits |= knobs.pid[i].exclude ? EXCLUDED(SEL_PID) : SEL_PID;
	return bits;
}

checked_alone int cgroup_bits(__u64 id)
{
	__u32 bits = 0;

	for (__u32 i = 0; id && i < SEL_MAX && i < knobs.n_cgroup; i++)
		if (knobs.cgroup[i].id == id)
			bits |= knobs.cgroup[i].exclude ? EXCLUDED(SEL_CGROUP) : SEL_CGROUP;
	return bits;
}

checked_alone int cgroup_step(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct cgroup *cgroup;

	if (!w)
		return 1;
	cgroup = w->cgroup;
	if ((int)w->pos > BPF_CORE_READ(cgroup, level))
		return 1;
	w->bits |= cgroup_bits(cgroup_ancestor(cgroup, w->pos++));
	return 0;
}
LOOP(cgroup, 8, 8)

checked_alone int match_cgroup(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct task_struct *task;

	if (!w)
		return 0;
	task = w->task;
	w->bits = 0;
	w->pos = 0;
	w->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	cgroup_loop(area);
	return w->bits;
}

/* ---- what user space says of control groups ---- */

/* The nearest directory that something is known of decides. */
checked_alone int place_step(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct cgroup *cgroup;
	__u32 *bits;
	__u64 key;

	if (!w)
		return 1;
	cgroup = w->cgroup;
	if ((int)w->pos > BPF_CORE_READ(cgroup, level))
		return 1;
	key = cgroup_ancestor(cgroup, w->pos++) | w->tag;
	bits = bpf_map_lookup_elem(&cgroups, &key);
	if (bits)
		w->bits = *bits;
	return 0;
}
LOOP(place, 8, 8)

/* Where the task is in the one v1 hierarchy that is looked at. */
inline_always struct cgroup *cgroup_v1(struct task_struct *task)
{
	char *set = (char *)BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *css = NULL;

	bpf_probe_read_kernel(&css, sizeof(css), set + bpf_core_field_offset(struct css_set, subsys) + 8 * (__u64)(knobs.subsys - 1));
	return BPF_CORE_READ(css, cgroup);
}

checked_alone int match_place(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct task_struct *task;
	__u32 unified;

	if (!w)
		return 0;
	task = w->task;
	w->bits = w->pos = 0;
	w->tag = 0;
	w->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	place_loop(area);
	unified = w->bits;
	if (!knobs.subsys || unified & CGROUP_DECIDED)
		return unified & BITS_OF(SEL_KUBE);
	w->bits = w->pos = 0;
	w->tag = CGROUP_V1;
	w->cgroup = cgroup_v1(task);
	place_loop(area);
	return (w->bits ? w->bits : unified) & BITS_OF(SEL_KUBE);
}

checked_alone int match_group(__u32 area)
{
	__u32 bits = 0;

	if (knobs.check & SEL_CGROUP)
		bits |= match_cgroup(area);
	if (knobs.check & SEL_KUBE)
		bits |= match_place(area);
	return bits & BITS_OF(SEL_PLACE);
}

checked_alone int parent_step(__u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct task_struct *task;

	if (!w)
		return 1;
	task = w->task;
	if (!BPF_CORE_READ(task, tgid))
		return 1;
	w->bits |= pid_bits(task_nr(task));
	w->task = BPF_CORE_READ(task, real_parent);
	return 0;
}
LOOP(parent, 8, 8)

inline_always __u32 match_pid(struct walk *w, __u32 area)
{
	w->bits = 0;
	parent_loop(area);
	return w->bits;
}

/* ---- all of it ---- */

checked_alone int match_task(__u32 kinds, __u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);
	struct task_struct *task;
	__u32 bits = 0;

	if (!w)
		return 0;
	kinds &= knobs.check;
	task = w->task;
	if (kinds & SEL_EXE)
		bits |= match_exe(area);
	if (kinds & SEL_COMM) {
		bpf_core_read(w->path, 16, &task->comm);
		bits |= match_comm(area);
	}
	if (kinds & SEL_PLACE)
		bits |= match_group(area);
	if (kinds & SEL_PID) /* last: it climbs */
		bits |= match_pid(w, area);
	return bits;
}
