// SPDX-License-Identifier: Apache-2.0
/*
 * After a loss: whom to believe. Nearly every client sends the next request when the answer to the last is complete, so a
 * response belongs to the one request that passed before it and has no answer: times tell what order cannot any more. Two
 * candidates are no candidate. A connection that was seen to send requests ahead of answers ("pipelined") offers no such
 * proof: a loss is its end.
 */
#include "base/stats.h"
#include "conn/flow.h"

static bool same_operation(const struct mark *a, const struct mark *b)
{
	return a->time && a->time == b->time && a->tid == b->tid;
}

/* Requests that passed before this time will not be matched with their answers. */
static void cut_before(struct conn *c, uint64_t time, int drop)
{
	struct exchange *x;

	while ((x = pair_oldest(&c->pair)) && x->req_first.time < time)
		pair_close_one(&c->pair, x, CALL_CUT, c->table->now, drop);
}

static void lost_response(struct conn *c, struct flow *f, bool begun, int drop)
{
	struct exchange *x = f->message.type ? pair_find(&c->pair, f->message.key) : NULL;

	if (x) {
		pair_touch(&c->pair, MSG_RESPONSE, x->key, stream_last(f->stream));
		pair_close_one(&c->pair, x, CALL_CUT, c->table->now, drop);
	}
	if (begun)
		cut_before(c, stream_mark(f->stream, stream_front(f->stream)).time, drop);
}

static void lost_request(struct conn *c, struct flow *f, int drop)
{
	struct exchange *x = f->message.type ? pair_find(&c->pair, f->message.key) : NULL;

	if (x) {
		pair_touch(&c->pair, MSG_REQUEST, x->key, stream_last(f->stream));
		x->call.truncated = true;
	}
	c->doubt.distrust = drop;
}

void loss_happened(struct conn *c, enum ev_dir dir, bool begun, int drop)
{
	struct flow *f = &c->flow[dir];

	c->doubt.lossy = true;
	f->lost = true;
	f->blocked = false;
	f->searched = 0;
	if (c->doubt.pipelined) {
		flow_opaque(c, drop);
		return;
	}
	if (c->doubt.requests == (int8_t)dir)
		lost_request(c, f, drop);
	else
		lost_response(c, f, begun, drop);
	f->message = (struct flow_message){ 0 };
	c->proto->resync(c->session, dir, SLICE("")); /* from now on; what is at hand comes next */
}

bool loss_search(struct conn *c, enum ev_dir dir, struct slice in)
{
	struct flow *f = &c->flow[dir];
	int64_t at = c->proto->resync(c->session, dir, in);

	if (at >= 0) {
		stream_consume(f->stream, (size_t)at);
		f->lost = false;
		f->searched = 0;
		if (!f->joining)
			stat_inc(resyncs);
		f->joining = false;
		return true;
	}
	f->searched += (uint32_t)in.n;
	stream_consume(f->stream, in.n);
	if (f->searched > FLOW_SEARCH_MAX)
		flow_opaque(c, STAT_drop_out_of_step);
	return true;
}

static void nobody(struct conn *c, struct flow *f)
{
	f->orphan = c->proto->answers(c->session, 0);
}

/* Something was lost: of the requests that passed before this one began, only a single one can be meant. */
static void name(struct conn *c, struct flow *f, uint64_t time)
{
	struct exchange *x = pair_oldest(&c->pair), *next = x ? pair_next(&c->pair, x) : NULL;

	if (!x || x->req_first.time >= time) {
		nobody(c, f);
		return;
	}
	if ((!next || next->req_first.time >= time) && c->proto->answers(c->session, x->key)) {
		f->orphan = false;
		return;
	}
	cut_before(c, time, STAT_drop_gap);
	nobody(c, f);
}

void loss_response_next(struct conn *c, enum ev_dir dir)
{
	struct flow *f = &c->flow[dir];
	struct exchange *x;
	uint64_t time;

	if (!c->proto->answers || (f->message.type && f->message.key))
		return;
	time = stream_mark(f->stream, stream_front(f->stream)).time;
	if (c->doubt.lossy) {
		name(c, f, time);
		return;
	}
	x = pair_oldest(&c->pair);
	if (!x || c->doubt.unpaired)
		return;
	if (x->req_first.time > time)
		nobody(c, f);
	else if (f->orphan && c->proto->answers(c->session, x->key))
		f->orphan = false;
}

bool loss_trusts(struct conn *c, enum ev_dir dir, const struct mark *first)
{
	struct stream *s = c->flow[dir].stream;
	struct mark before;
	int drop = c->doubt.distrust;

	if (!drop)
		return true;
	before = stream_mark_end(s, stream_front(s) - 1);
	/* an answer since then: to what was lost, since nothing else was asked */
	if (!before.time || stream_last(c->flow[!dir].stream).time > before.time) {
		c->doubt.distrust = 0;
		return true;
	}
	stat_inc(requests_seen);
	stats[drop]++;
	if (same_operation(&before, first))
		flow_opaque(c, drop);
	return false;
}

void loss_note_request(struct conn *c, enum ev_dir dir, const struct mark *first)
{
	struct stream *s = c->flow[dir].stream;
	struct mark before;

	if (c->pair.n < 2)
		return;
	before = stream_mark_end(s, stream_front(s) - 1);
	if (same_operation(&before, first))
		c->doubt.pipelined = true;
}

void loss_note_response(struct conn *c, const struct exchange *x, const struct mark *first)
{
	const struct exchange *next = x ? pair_next(&c->pair, x) : NULL;

	if (next && !c->doubt.lossy && next->req_first.time < first->time)
		c->doubt.pipelined = true;
}
