/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Is this process traced? The answer is kept in procs and looked up; how it is found is in select.h. */
#ifndef SPANDREL_TASK_H
#define SPANDREL_TASK_H

#include "compat.h"
#include "maps.h"

#define PF_KTHREAD 0x00200000
#define PF_IO_WORKER 0x00000010

/*
 * Process and thread that this is done for. io_uring's threads belong to the process since 5.12 (3bfe6106693b); before they were the
 * kernel's own, which borrow the memory of the process.
 */
inline_always __u64 current_user(void)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct task_struct *task, *owner;
	struct mm_struct *mm;

	if (!way.io_kthreads)
		return id;
	task = current_task();
	if (!(BPF_CORE_READ(task, flags) & PF_KTHREAD))
		return id;
	mm = BPF_CORE_READ(task, mm);
	owner = mm && bpf_core_field_exists(mm->owner) ? BPF_CORE_READ(mm, owner) : NULL;
	return owner ? (__u64)BPF_CORE_READ(owner, tgid) << 32 | (__u32)id : id;
}

inline_always bool bits_selected(__u32 bits)
{
	return (bits & knobs.need) == knobs.need && !(bits >> 8);
}

inline_always __u32 proc_bits(__u32 tgid)
{
	__u32 *bits = bpf_map_lookup_elem(&procs, &tgid);

	return bits ? *bits : 0;
}

inline_always bool proc_selected(__u32 tgid)
{
	if (!tgid || tgid == knobs.self)
		return false;
	return !knobs.check || bits_selected(proc_bits(tgid));
}

/*
 * Likewise, for those who ask often, as every process with a library does that is probed: what the last answer in the process's slot was,
 * about whom, and at which of procs_changes.
 */
inline_always bool proc_traced(__u32 tgid)
{
	__u64 *last = &procs_asked[tgid & (TLS_SLOTS - 1)], had = *(volatile __u64 *)last;
	__u64 about = (__u64)tgid << 32 | (*(volatile __u32 *)&procs_changes << 1);

	if ((had & ~1ULL) != about) {
		had = about | proc_selected(tgid);
		*(volatile __u64 *)last = had;
	}
	return had & 1;
}

/* Likewise of whoever moves bytes on a socket with state (c may be NULL): looked up again only after a change. */
inline_always bool user_selected(struct conn *c, __u32 tgid)
{
	__u32 at = *(volatile __u32 *)&procs_changes;

	if (c && c->user == tgid && c->user_at == at)
		return true;
	if (!proc_selected(tgid))
		return false;
	if (c) {
		c->user_at = at;
		c->user = tgid;
	}
	return true;
}

#endif
