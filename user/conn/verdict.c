// SPDX-License-Identifier: Apache-2.0
/* What the kernel is told of a connection: which bytes need not be copied, which ones must, and where its frames begin. */
#include "base/scope.h"
#include "conn/flow.h"

#define SKIP_WORTH 8192 /* what is shorter has passed before we could say so; and the slot is a cache line that the hooks read each time */
#define GRANT_NEAR (32 * 1024)

static void tell(struct conn *c, const uint64_t skip_to[2], const uint64_t grant_to[2])
{
	const struct verdict_sink *v = &c->table->verdicts;

	if (v->set)
		v->set(v->arg, c->info.id, skip_to, grant_to);
}

void verdict_off(struct conn *c)
{
	static const uint64_t never[2] = { UINT64_MAX, UINT64_MAX }, none[2];

	tell(c, never, none);
}

static bool grant(struct flow *f)
{
	struct stream *s = f->stream;
	struct flow_grant *g = &f->grant;
	uint64_t at = stream_seen(s), to = stream_skip_to(s);
	bool changed = false;

	if (to > at && to - at >= SKIP_WORTH && to != g->skip_to) {
		g->skip_to = to;
		changed = true;
	}
	at = MAX(at, to);
	if (g->turn < GRANT_NEAR || at > UINT64_MAX - FLOW_GRANT || f->lost)
		return changed;
	if (g->grant_to < at + GRANT_NEAR) {
		g->grant_to = at + FLOW_GRANT;
		changed = true;
	}
	return changed;
}

/* Where the direction's next frame begins, if that has not passed yet; else 0. */
static uint64_t next_frame(struct conn *c, enum ev_dir dir)
{
	struct flow *f = &c->flow[dir];
	uint64_t at = MAX(stream_front(f->stream), stream_skip_to(f->stream));
	uint64_t ahead = f->lost ? UINT64_MAX : c->proto->ahead(c->session, dir);

	if (ahead > UINT64_MAX - at || at + ahead < stream_seen(f->stream))
		return 0;
	return at + ahead;
}

static void tell_frames(struct conn *c)
{
	const struct verdict_sink *v = &c->table->verdicts;
	const struct framing *framing = c->proto->framing(c->session);
	uint64_t at[2] = { next_frame(c, DIR_RECV), next_frame(c, DIR_SEND) };

	if (framing == c->framing && at[0] == c->flow[0].grant.frame_at && at[1] == c->flow[1].grant.frame_at)
		return;
	c->framing = framing;
	for (int dir = 0; dir < 2; dir++)
		c->flow[dir].grant.frame_at = at[dir];
	v->frames(v->arg, c->info.id, framing, at);
}

void flow_verdict(struct conn *c)
{
	struct flow *r = &c->flow[DIR_RECV], *s = &c->flow[DIR_SEND];
	bool changed;

	if (c->off || !c->proto)
		return;
	changed = grant(r);
	changed |= grant(s);
	if (changed)
		tell(c, (uint64_t[2]){ r->grant.skip_to, s->grant.skip_to },
		     (uint64_t[2]){ r->grant.grant_to, s->grant.grant_to });
	if (c->proto->framings && c->table->verdicts.frames)
		tell_frames(c);
}
