// SPDX-License-Identifier: Apache-2.0
/* A UNIX socket is closed without a word; asking which ones still exist is the only way to know. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/scope.h"
#include "probe/inner.h"
#include "spandrel.skel.h"

#define SWEEP_MAX (1 << 20) /* bytes of the record: 131,000 connections */
#define READ_MAX 4096	    /* records */
#define READ_TURNS 64	    /* one may be reserved and not handed over yet */

static void collect(void *arg, const void *p, size_t n)
{
	buf_append(arg, p, n);
}

/* Records that are older than the list: what a connection said before it ended comes before its end. */
static bool read_up(struct probe *p, void (*fn)(void *arg, const struct ev_head *ev), void *arg)
{
	uint64_t end = ring_end(&p->ring);

	for (int i = 0; i < READ_TURNS && !ring_reached(&p->ring, end); i++)
		probe_read(p, fn, arg, READ_MAX);
	return ring_reached(&p->ring, end);
}

int probe_sweep(struct probe *p, void (*fn)(void *arg, const struct ev_head *ev), void *arg)
{
	_cleanup_(buf_fini) struct buf b;
	struct ev_live live = { .h = { .type = EV_LIVE, .time = clock_boot() }, .netns = p->plan.skel->bss->knobs.netns };
	int err;

	sessions_sweep(p);
	buf_init(&b, SWEEP_MAX);
	err = buf_append(&b, &live, sizeof(live));
	if (!err)
		err = plan_walk(p->plan.skel->progs.each_unix, collect, &b);
	if (err || b.failed) /* half a list would end connections that live */
		return err ? err : -ENOSPC;
	if (!read_up(p, fn, arg))
		return -EAGAIN;
	live.count = (uint32_t)((b.n - sizeof(live)) / sizeof(uint64_t));
	live.h.len = (uint32_t)b.n;
	memcpy(b.p, &live, sizeof(live));
	fn(arg, (const struct ev_head *)(const void *)b.p);
	return 0;
}
