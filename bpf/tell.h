/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* EV_EXEC: what a process is, told when it becomes of interest, in its own context. */
#ifndef SPANDREL_TELL_H
#define SPANDREL_TELL_H

#include "emit.h"
#include "select.h"

/* Hands over EV_EXEC of the current process, by way of a work area (select.h). A global function: verified once (piece.h). */
int tell_exec(__u32 area);

inline_always bool proc_told(__u32 tgid)
{
	return bpf_map_lookup_elem(&told, &tgid);
}

inline_always void proc_tell(__u32 tgid, __u32 area)
{
	__u8 one = 1;

	bpf_map_update_elem(&told, &tgid, &one, BPF_ANY);
	tell_exec(area);
}

#endif
