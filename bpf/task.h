/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Is this process traced? The answer is kept in procs and looked up; how it is found is in select.h. */
#ifndef SPANDREL_TASK_H
#define SPANDREL_TASK_H

#include "maps.h"

#define PF_KTHREAD 0x00200000
#define PF_IO_WORKER 0x00000010

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
