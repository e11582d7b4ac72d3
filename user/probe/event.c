// SPDX-License-Identifier: Apache-2.0
/* Records come from a ring, a file or a fuzzer: nothing behind this check looks at a length twice. */
#include "probe/probe.h"

#include <stddef.h>

/* A record's own length may include the padding to 8 bytes, no more: what lies behind would be stale memory. */
static bool exactly(const struct ev_head *ev, uint64_t need)
{
	return ev->len >= need && ev->len < need + 8;
}

static bool data_valid(const struct ev_head *ev)
{
	const struct ev_data *d = (const struct ev_data *)ev;

	if (ev->len < sizeof(*d) || !exactly(ev, sizeof(*d) + (uint64_t)d->cap))
		return false;
	if (d->dir > DIR_SEND || d->hole >= HOLE_MAX || d->cap > d->size)
		return false;
	return (d->cap == d->size || d->hole != HOLE_NONE) && d->off <= UINT64_MAX - d->size;
}

static bool open_valid(const struct ev_head *ev)
{
	const struct ev_open *o = (const struct ev_open *)ev;

	return exactly(ev, sizeof(*o)) && o->family >= FAM_INET && o->family <= FAM_UNIX &&
	       o->role <= ROLE_SERVER && o->path_len <= EV_PATH_MAX;
}

static bool end_valid(const struct ev_head *ev)
{
	const struct ev_end *e = (const struct ev_end *)ev;

	return exactly(ev, sizeof(*e)) && e->dirs <= (1 << DIR_RECV | 1 << DIR_SEND);
}

static bool session_valid(const struct ev_head *ev)
{
	const struct ev_session *s = (const struct ev_session *)ev;

	return exactly(ev, sizeof(*s)) && s->binding < BIND_MAX && s->alpn_len <= EV_ALPN_MAX;
}

static bool exec_valid(const struct ev_head *ev)
{
	const struct ev_exec *e = (const struct ev_exec *)ev;

	return exactly(ev, sizeof(*e)) && e->exe_len <= EV_EXE_MAX && e->args_len <= EV_ARGS_MAX;
}

static bool mapped_valid(const struct ev_head *ev)
{
	const struct ev_mapped *m = (const struct ev_mapped *)ev;

	return ev->len >= sizeof(*m) && m->path_len <= EV_MAPPED_PATH && ev->len <= sizeof(*m) + EV_MAPPED_PATH &&
	       m->path_len <= ev->len - sizeof(*m) && m->what >= MAPPED_FILE && m->what <= MAPPED_BLIND;
}

static bool cgroup_valid(const struct ev_head *ev)
{
	const struct ev_cgroup *c = (const struct ev_cgroup *)ev;

	return exactly(ev, sizeof(*c)) && c->path_len < EV_CGROUP_PATH;
}

static bool live_valid(const struct ev_head *ev)
{
	const struct ev_live *l = (const struct ev_live *)ev;

	return ev->len >= sizeof(*l) && exactly(ev, sizeof(*l) + 8 * (uint64_t)l->count);
}

static bool blob_valid(const struct ev_head *ev)
{
	const struct ev_blob *b = (const struct ev_blob *)ev;

	return ev->len >= sizeof(*b) && exactly(ev, sizeof(*b) + (uint64_t)b->size);
}

static bool name_valid(const struct ev_head *ev)
{
	const struct ev_name *n = (const struct ev_name *)ev;

	return ev->len >= sizeof(*n) && exactly(ev, sizeof(*n) + (uint64_t)n->name_len + n->space_len);
}

bool event_valid(const struct ev_head *ev, size_t size)
{
	if (size < sizeof(*ev) || ev->len < sizeof(*ev) || ev->len > size)
		return false;
	switch (ev->type) {
	case EV_DATA:
		return data_valid(ev);
	case EV_OPEN:
		return open_valid(ev);
	case EV_END:
		return end_valid(ev);
	case EV_SESSION:
		return session_valid(ev);
	case EV_EXEC:
		return exec_valid(ev);
	case EV_EXIT:
		return exactly(ev, sizeof(struct ev_exit));
	case EV_MAPPED:
		return mapped_valid(ev);
	case EV_CGROUP:
		return cgroup_valid(ev);
	case EV_TICK:
		return exactly(ev, sizeof(struct ev_tick));
	case EV_CLOCK:
		return exactly(ev, sizeof(struct ev_clock));
	case EV_PROGRESS:
		return exactly(ev, sizeof(struct ev_progress));
	case EV_LIVE:
		return live_valid(ev);
	case EV_PROC:
	case EV_HOST:
	case EV_POD:
		return blob_valid(ev);
	case EV_OTLP:
		return exactly(ev, sizeof(struct ev_otlp));
	case EV_NAME:
		return name_valid(ev);
	default:
		return false;
	}
}
