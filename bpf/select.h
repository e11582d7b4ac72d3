/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The one evaluator of the selectors: which of them does this process match? Asked when a process starts, changes its program,
 * name or cgroup, and once for each that already runs. Works on any task, in any context.
 */
#ifndef SPANDREL_SELECT_H
#define SPANDREL_SELECT_H

#include "task.h"
#include "glob.h"

#define WALK_STEPS 256	/* directories and mount points of one path */
#define ANCESTORS 64	/* processes above, cgroups above */

/* ---- the executable's path, as /proc/PID/exe shows it ---- */

struct climb {
	struct walk *w;
	struct dentry *dentry;
	struct mount *mnt;
	__u32 pos;	/* the path so far is w->path[pos …] */
	__u32 cut;	/* it did not fit */
};

inline_always struct mount *mount_of(struct vfsmount *v)
{
	return (struct mount *)((char *)v - bpf_core_field_offset(struct mount, mnt));
}

static long climb_step(__u32 i, struct climb *c)
{
	struct walk *w = c->w;
	struct dentry *parent = BPF_CORE_READ(c->dentry, d_parent);
	__u64 len, at;

	if (c->dentry == BPF_CORE_READ(c->mnt, mnt.mnt_root) || c->dentry == parent) {
		struct mount *up = BPF_CORE_READ(c->mnt, mnt_parent);

		if (up == c->mnt)
			return 1;
		c->dentry = BPF_CORE_READ(c->mnt, mnt_mountpoint);
		c->mnt = up;
		return 0;
	}
	len = BPF_CORE_READ(c->dentry, d_name.len);
	if (len > 255 || c->pos < len + 1) {
		c->cut = 1;
		return 1;
	}
	c->pos -= len + 1;
	at = MASK(c->pos, WALK_PATH - 1);
	w->path[at] = '/';
	len = BOUND(len, 255);
	bpf_probe_read_kernel(&w->path[at + 1], len, BPF_CORE_READ(c->dentry, d_name.name));
	c->dentry = parent;
	return 0;
}

/* Writes the path; its first byte is w->path[result], it ends at WALK_PATH. WALK_PATH: none. */
subprog __u32 exe_path(struct task_struct *task, struct walk *w)
{
	struct climb c = { .w = w, .pos = WALK_PATH };
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);

	if (!exe || !w)
		return WALK_PATH;
	c.dentry = BPF_CORE_READ(exe, f_path.dentry);
	c.mnt = mount_of(BPF_CORE_READ(exe, f_path.mnt));
	bpf_loop(WALK_STEPS, climb_step, &c, 0);
	if (c.cut)
		count(KC_PATH_TOO_LONG, 1);
	return c.pos <= WALK_PATH ? c.pos : WALK_PATH;
}

/* ---- patterns ---- */

struct match {
	const struct sel_glob *pat;
	const __u8 *str; /* WALK_PATH + 256 bytes */
	__u32 begin, len;
	struct glob g;
	__u32 result;
};

static long match_step(__u32 i, struct match *m)
{
	__u64 p = BOUND(m->g.p, SEL_GLOB_MAX - 1), s = BOUND(m->begin + m->g.s, WALK_PATH + 255);

	m->result = glob_step(&m->g, m->pat->pat[p], m->pat->len, m->str[s], m->len);
	return m->result != GLOB_MORE;
}

subprog int match_one(const struct sel_glob *pat, const struct walk *w, __u32 begin, __u32 end)
{
	struct match m = { .pat = pat, .begin = begin, .len = end - begin };

	if (!pat || !w)
		return 0;
	m.str = w->path;
	bpf_loop((SEL_GLOB_MAX + 1) * WALK_PATH, match_step, &m, 0);
	return m.result == GLOB_YES;
}

struct basename {
	const struct walk *w;
	__u32 pos;
};

static long basename_step(__u32 i, struct basename *b)
{
	if (!b->pos || b->w->path[BOUND(b->pos - 1, WALK_PATH - 1)] == '/')
		return 1;
	b->pos--;
	return 0;
}

inline_always __u32 match_exe(struct walk *w, __u32 begin)
{
	struct basename b = { .w = w, .pos = WALK_PATH };
	__u32 bits = 0;

	if (begin >= WALK_PATH)
		return 0;
	bpf_loop(WALK_PATH, basename_step, &b, 0);
	for (__u32 i = 0; i < SEL_MAX && i < knobs.n_exe; i++) {
		struct sel_glob *g = &knobs.exe[i];

		if (match_one(g, w, g->last ? b.pos : begin, WALK_PATH))
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

	for (__u32 i = 0; i < SEL_MAX && i < n; i++)
		if (ids[i].id == id)
			bits |= ids[i].exclude ? EXCLUDED(kind) : kind;
	return bits;
}

struct above {
	struct cgroup *cgroup;
	struct task_struct *task;
	__u32 bits;
};

static long cgroup_step(__u32 i, struct above *a)
{
	struct cgroup *up = NULL;

	if ((int)i > BPF_CORE_READ(a->cgroup, level))
		return 1;
	bpf_core_read(&up, sizeof(up), &a->cgroup->ancestors[i]);
	a->bits |= id_bits(knobs.cgroup, knobs.n_cgroup, BPF_CORE_READ(up, kn, id), SEL_CGROUP);
	return 0;
}

subprog __u32 match_cgroup(struct task_struct *task)
{
	struct above a = { .cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp) };

	bpf_loop(ANCESTORS, cgroup_step, &a, 0);
	return a.bits;
}

static long parent_step(__u32 i, struct above *a)
{
	__u32 tgid = BPF_CORE_READ(a->task, tgid);

	if (!tgid)
		return 1;
	a->bits |= id_bits(knobs.pid, knobs.n_pid, tgid, SEL_PID);
	a->task = BPF_CORE_READ(a->task, real_parent);
	return 0;
}

subprog __u32 match_pid(struct task_struct *task)
{
	struct above a = { .task = task };

	bpf_loop(ANCESTORS, parent_step, &a, 0);
	return a.bits;
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
		BPF_CORE_READ_INTO((char(*)[16])w->path, task, comm);
		bits |= match_comm(w);
	}
	if (kinds & SEL_CGROUP)
		bits |= match_cgroup(task);
	if (kinds & SEL_PID)
		bits |= match_pid(task);
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
