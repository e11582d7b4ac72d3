// SPDX-License-Identifier: Apache-2.0
/* Which protocol does a connection speak? Told by the first bytes of either direction, or found inside when those were missed. */
#include <errno.h>
#include <stdlib.h>

#include "base/stats.h"
#include "conn/flow.h"

static bool give_up(struct conn *c, bool tls)
{
	if (tls) {
		session_enciphered(c);
	} else {
		flow_opaque(c, STAT_drop_out_of_step);
	}
	return true;
}

static bool adopt(struct conn *c, const struct proto_ops *proto)
{
	if (flow_adopt(c, proto))
		return give_up(c, false);
	return true;
}

/* The connection was joined inside: the first place that looks like a message says what it is. */
static bool find(struct conn *c, enum ev_dir dir, struct slice in)
{
	struct flow *f = &c->flow[dir];
	bool more = false;

	for (const struct proto_ops *const *p = c->table->config.protocols; *p; p++) {
		int64_t at;

		if (!session_speaks(c, *p))
			continue;
		if (flow_adopt(c, *p))
			return give_up(c, false);
		at = c->proto->resync(c->session, dir, in);
		if (at >= 0) {
			stream_consume(f->stream, (size_t)at);
			f->lost = f->joining = false;
			f->searched = c->flow[!dir].searched = 0;
			if (c->flow[!dir].lost) /* before there are requests that this could void */
				c->proto->resync(c->session, !dir, SLICE(""));
			return true;
		}
		flow_disown(c);
		more |= at == -EINPROGRESS;
	}
	if (more && in.n < FLOW_SNIFF_MAX)
		return false;
	f->searched += (uint32_t)in.n;
	stream_consume(f->stream, in.n);
	if (f->searched + c->flow[!dir].searched > FLOW_SEARCH_MAX)
		return give_up(c, false);
	return true;
}

bool detect_step(struct conn *c, enum ev_dir dir)
{
	struct slice in = stream_peek(c->flow[dir].stream);
	enum sniff tls = proto_sniff_tls(in);
	bool more = tls == SNIFF_MORE;

	if (tls == SNIFF_YES)
		return give_up(c, !c->info.tls);
	if (c->flow[dir].lost)
		return find(c, dir, in);
	for (const struct proto_ops *const *p = c->table->config.protocols; *p; p++) {
		enum sniff s = session_speaks(c, *p) ? (*p)->sniff(in, dir) : SNIFF_NO;

		if (s == SNIFF_YES)
			return adopt(c, *p);
		more |= s == SNIFF_MORE;
	}
	if (more && in.n < FLOW_SNIFF_MAX)
		return false;
	return give_up(c, false);
}

bool detect_enabled(const struct conn *c, const struct proto_ops *proto)
{
	for (const struct proto_ops *const *p = c->table->config.protocols; *p; p++)
		if (*p == proto)
			return true;
	return false;
}

/* The connection goes on in another protocol, and the request that asked for it is answered in that. */
void detect_switch(struct conn *c, uint64_t key, const struct proto_ops *next)
{
	const struct proto_ops *old = c->proto;
	struct exchange *x = pair_find(&c->pair, key);
	void *session = c->session;

	if (flow_adopt(c, next)) {
		flow_opaque(c, STAT_drop_out_of_step);
		return;
	}
	old->fini(session);
	free(session);
	for (int dir = 0; dir < 2; dir++)
		c->flow[dir].message = (struct flow_message){ 0 };
	if (x && pair_switch(&c->pair, x, next, c->session))
		flow_opaque(c, STAT_drop_memory);
}
