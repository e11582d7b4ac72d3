// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "call.h"
#include "iter.h"

/* One element back: its end is where we stood in the one behind. */
checked_alone int rewind_step(__u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);
	struct iovec e;
	struct iter *it;

	if (!s || s->iter.back <= s->iter.at)
		return 1;
	it = &s->iter;
	it->back -= it->at;
	it->vec -= sizeof(e);
	it->n++;
	it->at = 0;
	if (bpf_probe_read_kernel(&e, sizeof(e), (void *)it->vec))
		return 1;
	it->at = it->where == AT_BVEC ? (__u32)e.iov_len : e.iov_len;
	return 0;
}
LOOP(rewind, 33, 32)

checked_alone int iter_rewind(__u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	rewind_loop(slot);
	return !s || s->iter.back > s->iter.at;
}
