// SPDX-License-Identifier: Apache-2.0
/* The kernel's table of TLS sessions: programs that end without ending theirs leave them there. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/scope.h"
#include "base/stats.h"
#include "probe/inner.h"
#include "spandrel.skel.h"

static bool is_gone(uint32_t tgid)
{
	return kill((pid_t)tgid, 0) && errno == ESRCH;
}

struct sweep {
	struct session_key *gone; /* of processes that are gone */
	size_t n, present;	  /* those, and all that were there */
};

static void look(struct sweep *s, int map, size_t max)
{
	struct session_key at, next;

	for (bool first = true; s->present < max && !bpf_map_get_next_key(map, first ? NULL : &at, &next); first = false) {
		if (is_gone(next.tgid))
			s->gone[s->n++] = next;
		s->present++;
		at = next;
	}
}

static size_t sweep(struct probe *p)
{
	size_t max = bpf_map__max_entries(p->plan.skel->maps.sessions);
	_free_ struct session_key *gone = calloc(max, sizeof(*gone));
	int map = bpf_map__fd(p->plan.skel->maps.sessions);
	struct sweep s = { .gone = gone };

	if (!gone)
		return max;
	look(&s, map, max);
	for (size_t i = 0; i < s.n && !p->plan.skel->bss->self.pid_level; i++) /* in another namespace the ids are not ours */
		p->swept += !bpf_map_delete_elem(map, &s.gone[i]);
	return s.present;
}

/* Room is made without a word. What was made, has not ended and is not there either; rather too few than too many of them. */
void sessions_sweep(struct probe *p)
{
	uint64_t made = kernel_count(p, KC_SESSIONS), over = kernel_count(p, KC_SESSIONS_ENDED) + p->swept + p->evicted, present;

	if (made <= over + SESSIONS_MAX / 2)
		return;
	over = p->swept + p->evicted;
	present = sweep(p);
	over += present + kernel_count(p, KC_SESSIONS_ENDED);
	if (made <= over)
		return;
	stat_add(sessions_evicted, made - over);
	p->evicted += made - over;
}
