/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Files that selected processes map: told of once each, so that user space can look whether there is TLS in them before the
 * process gets to use it. A file that is known costs one look-up. Of the processes that map a file of interest each one is told,
 * and its children, its next program and its end, so that user space knows when the last one has gone.
 */
#ifndef SPANDREL_MAPPED_H
#define SPANDREL_MAPPED_H

#include "emit.h"
#include "select.h"

#define S_IFMT 0170000
#define S_IFREG 0100000

/* False: not a regular file. */
inline_always bool file_identify(struct file *file, struct file_id *id)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	if (!inode || (BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFREG)
		return false;
	id->ino = BPF_CORE_READ(inode, i_ino);
	id->size = BPF_CORE_READ(inode, i_size);
	id->mtime = inode_mtime(inode);
	id->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	id->generation = BPF_CORE_READ(inode, i_generation);
	return true;
}

/* Puts the file into the work area, as an address that can be computed with. */
inline_always bool walk_to_file(struct file *file, __u32 area)
{
	struct walk *w = bpf_map_lookup_elem(&walks, &area);

	return w && !bpf_probe_read_kernel(&w->file, sizeof(w->file), &file);
}

/*
 * The current process maps the file that the work area names, or runs it (enum mapped_what): hands over what is to be told of that. A
 * global function: verified once (piece.h).
 */
int mapped_tell(__u32 what, __u32 area);

inline_always bool mapped_holds(__u32 tgid)
{
	return bpf_map_lookup_elem(&holders, &tgid);
}

enum { HOLDS = 1, HOLDS_BLIND = 2 };

/* Another program: nothing is known of its sessions. */
inline_always void mapped_sees(__u32 tgid)
{
	__u8 *holds = bpf_map_lookup_elem(&holders, &tgid);

	if (holds)
		*holds = HOLDS;
}

/* From now on the process's end is told. */
inline_always bool mapped_hold(__u32 tgid)
{
	__u8 holds = HOLDS;

	return bpf_map_lookup_elem(&holders, &tgid) || !bpf_map_update_elem(&holders, &tgid, &holds, BPF_ANY);
}

/* A record about a process alone. */
inline_always bool mapped_note(__u16 what, struct task_struct *task, __u32 child, __u16 flags)
{
	struct ev_mapped *e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);

	if (!e) {
		count(KC_MISSED_MAPPED, 1);
		return false;
	}
	__builtin_memset(e, 0, sizeof(*e));
	head_fill(&e->h, EV_MAPPED, flags, sizeof(*e));
	e->pid = BPF_CORE_READ(task, tgid);
	e->nr = task_nr(task);
	e->child = child;
	e->what = what;
	emit_submit(e);
	return true;
}

/* ---- what happens to a process ---- */

inline_always void mapped_exec(struct task_struct *task, __u32 tgid)
{
	struct file *exe;

	if (!find || !(mapped_holds(tgid) || proc_selected(tgid)))
		return;
	mapped_sees(tgid);
	exe = BPF_CORE_READ(task, mm, exe_file);
	if (exe && walk_to_file(exe, AREA_EXEC))
		mapped_tell(MAPPED_EXEC, AREA_EXEC);
}

inline_always void mapped_fork(struct task_struct *parent, __u32 tgid)
{
	if (!find || !mapped_holds(BPF_CORE_READ(parent, tgid)))
		return;
	mapped_note(MAPPED_FORK, parent, tgid, mapped_hold(tgid) ? 0 : EVF_UNTRACKED);
}

inline_always void mapped_exit(struct task_struct *task, __u32 tgid)
{
	if (mapped_holds(tgid) && !bpf_map_delete_elem(&holders, &tgid))
		mapped_note(MAPPED_EXIT, task, 0, 0);
}

/* The process is selected now and was not before, for a reason other than its program. */
inline_always void mapped_join(struct task_struct *task, __u32 tgid)
{
	if (find)
		mapped_note(MAPPED_ALL, task, 0, mapped_hold(tgid) ? 0 : EVF_UNTRACKED);
}

#endif
