/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Taking a work area. Programs of fexit can be preempted: the hook of another task may begin, and end, on this processor while
 * ours is in the middle of a copy. Each then has an area of its own, up to SCRATCH_LEVELS.
 */
#ifndef SPANDREL_SCRATCH_H
#define SPANDREL_SCRATCH_H

#include "maps.h"

/* Added first and looked at then: of those that meet, at most one sees itself alone (5.10 has no exchange for us). */
inline_always bool scratch_alone(struct scratch *s)
{
	__sync_fetch_and_add(&s->users, 1);
	if (*(volatile __u32 *)&s->users == 1)
		return true;
	__sync_fetch_and_add(&s->users, -1);
	return false;
}

/* NULL: all areas of this processor are in use. To be given back. */
inline_always struct scratch *scratch_take(void)
{
	__u32 slot = bpf_get_smp_processor_id() * SCRATCH_LEVELS;

	NO_UNROLL
	for (int level = 0; level < SCRATCH_LEVELS; level++, slot++) {
		struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

		if (!s)
			return NULL;
		if (scratch_alone(s)) {
			s->slot = slot;
			return s;
		}
	}
	return NULL;
}

inline_always void scratch_give(struct scratch *s)
{
	__sync_fetch_and_add(&s->users, -1);
}

#endif
