/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What differs between kernels, and between the kinds of program that share the code of the hooks. Each difference names the
 * kernel that brought it; it can go when no older kernel is supported. CO-RE decides while the object is loaded: what is not
 * chosen is dead code, which the verifier does not look at. Only instructions that a kernel does not know must not even be
 * there: atomics that return a value (5.12) are not used anywhere.
 */
#ifndef SPANDREL_COMPAT_H
#define SPANDREL_COMPAT_H

#include "bound.h"

/*
 * A field of a kernel object. fentry, fexit and tp_btf programs hold pointers that the kernel knows the type of and may read them
 * directly; to kprobes (a file that defines BY_READING) they are numbers.
 */
#ifdef BY_READING
#define GET(p, field) BPF_CORE_READ(p, field)
#else
#define GET(p, field) ((p)->field)
#endif

/* The current task as a number, to be read with BPF_CORE_READ: bpf_get_current_task_btf() came with 5.11. */
inline_always struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

/*
 * A loop that the verifier goes through once for each turn of a row and once for each row, not for each turn of all: a function that
 * is not static is checked alone. LOOP(name, n, m) makes name_loop(arg), which calls name_step(arg) up to n × m times, until that
 * returns something. bpf_loop() does the same since 5.17.
 */
#define ROW(name, inner, n)                                                                        \
	checked_alone int name(__u32 arg)                                                          \
	{                                                                                          \
		for (int i = 0; i < (n); i++)                                                      \
			if (inner(arg))                                                            \
				return 1;                                                          \
		return 0;                                                                          \
	}

#define LOOP(name, n, m) ROW(name##_row, name##_step, n) ROW(name##_loop, name##_row, m)

/* Does epoll watch this file? 5.11 made a pointer of what was the head of a list (319c15174757). */
inline_always bool file_polled(struct file *file)
{
	struct file___510 *old = (void *)file;

	if (bpf_core_field_exists(file->f_ep))
		return GET(file, f_ep);
	return BPF_CORE_READ(old, f_ep_links.next) != (void *)old + bpf_core_field_offset(old->f_ep_links);
}

/* When the file was changed last, s. A timespec until 6.6, under another name until 6.10 (12cd44023651, 3aa63a569c64). */
inline_always __u64 inode_mtime(struct inode *inode)
{
	struct inode___610 *newer = (void *)inode;
	struct inode___66 *old = (void *)inode;

	if (bpf_core_field_exists(inode->i_mtime_sec))
		return BPF_CORE_READ(inode, i_mtime_sec);
	if (bpf_core_field_exists(newer->__i_mtime))
		return BPF_CORE_READ(newer, __i_mtime.tv_sec);
	return BPF_CORE_READ(old, i_mtime.tv_sec);
}

/* The id of the control group `level` steps below the root. 6.1 has pointers where there were ids (7f203bc89eb6). */
inline_always __u64 cgroup_ancestor(struct cgroup *cgroup, __u32 level)
{
	struct cgroup___60 *old = (void *)cgroup;
	struct cgroup *up = NULL;
	__u64 id = 0;

	if (bpf_core_field_exists(cgroup->ancestors)) {
		bpf_core_read(&up, sizeof(up), &cgroup->ancestors[level]);
		return BPF_CORE_READ(up, kn, id);
	}
	bpf_core_read(&id, sizeof(id), &old->ancestor_ids[level]);
	return id;
}

#endif
