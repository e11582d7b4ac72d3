// SPDX-License-Identifier: Apache-2.0
/*
 * After a loss: whom to believe. Nearly every client sends the next request when the answer to the last is complete, so a
 * response belongs to the one request that passed before it and has no answer: times tell what order cannot any more. Two
 * candidates are no candidate. A connection that was seen to send requests ahead of answers ("pipelined") offers no such
 * proof: a loss is its end.
 */
#include <errno.h>

#include "base/scope.h"
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
	c->doubt.missed = true;
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

/* Does the message at the front begin in the operation that ended the one before? */
static bool begins_within(const struct flow *f)
{
	uint64_t front = stream_front(f->stream);
	struct mark before = stream_mark_end(f->stream, front - 1), first = stream_mark(f->stream, front);

	return same_operation(&before, &first);
}

/* Streams that are open stay so: their end may yet be seen. */
static void lost_frames(struct conn *c, enum ev_dir dir, struct flow *f)
{
	struct exchange *x = f->message.type ? pair_find(&c->pair, f->message.key) : NULL;

	if (x) {
		pair_touch(&c->pair, f->message.type, x->key, stream_last(f->stream));
		x->call.truncated = true;
	}
	f->message = (struct flow_message){ 0 };
	c->doubt.lost_at = c->table->now;
	c->proto->resync(c->session, dir, SLICE(""));
}

void loss_happened(struct conn *c, enum ev_dir dir, bool begun, int drop)
{
	struct flow *f = &c->flow[dir];

	c->doubt.lossy = true;
	f->lost = true;
	f->blocked = false;
	f->searched = 0;
	if (c->proto->multiplexed) {
		lost_frames(c, dir, f);
		return;
	}
	if (begun && c->doubt.requests == (int8_t)dir && begins_within(f))
		c->doubt.pipelined = true;
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

/* One more hole before the direction was found again, or for the first time: an answer may have been in it. */
void loss_again(struct conn *c, enum ev_dir dir)
{
	c->doubt.lossy = true;
	if (c->doubt.requests != (int8_t)dir)
		c->doubt.missed = true;
	if (c->proto && c->proto->multiplexed)
		lost_frames(c, dir, &c->flow[dir]);
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
			stats[c->proto->resynced]++;
		f->joining = false;
		if (c->doubt.requests == (int8_t)dir)
			c->doubt.found = stream_front(f->stream);
		return true;
	}
	if (at == -EINPROGRESS)
		return false;
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

/*
 * Is every request between this one and that time known? Proof is that bytes of later ones have passed, and none is missing.
 * It matters only when the answer to x itself may have been missed: otherwise the next response is its answer.
 */
static bool nothing_between(const struct conn *c, const struct exchange *x, uint64_t time)
{
	const struct flow *f = &c->flow[c->doubt.requests];

	return !c->doubt.missed || (x->req_off >= c->doubt.found && !f->lost && stream_whole(f->stream) &&
				    stream_last(f->stream).time > time);
}

/*
 * Something was lost: of the requests that passed before this response began, only a single one can be meant. It began
 * between `from` and `to`: the same but where marks were merged.
 */
static void name(struct conn *c, struct flow *f, uint64_t from, uint64_t to)
{
	struct exchange *x = pair_oldest(&c->pair), *next = x ? pair_next(&c->pair, x) : NULL;

	if (!x || x->req_first.time >= to) {
		nobody(c, f);
		return;
	}
	if (x->req_first.time < from && (!next || next->req_first.time >= to) && nothing_between(c, x, to) &&
	    c->proto->answers(c->session, x->key)) {
		f->orphan = false;
		return;
	}
	cut_before(c, to, STAT_drop_gap);
	nobody(c, f);
}

void loss_response_next(struct conn *c, enum ev_dir dir)
{
	struct flow *f = &c->flow[dir];
	uint64_t front = stream_front(f->stream), to;
	struct exchange *x;

	if (!c->proto->answers || (f->message.type && f->message.key))
		return;
	to = stream_mark_end(f->stream, front).time;
	if (c->doubt.lossy) {
		name(c, f, stream_mark(f->stream, front).time, to);
		return;
	}
	x = pair_oldest(&c->pair);
	if (!x || c->doubt.unpaired)
		return;
	if (x->req_first.time > to)
		nobody(c, f);
	else if (f->orphan && c->proto->answers(c->session, x->key))
		f->orphan = false;
}

static bool distrusted(int drop)
{
	stat_inc(requests_seen);
	stats[drop]++;
	return false;
}

/* Was an answer seen, after the last request and before this one, to a request that was not? */
static bool lost_one_was_answered(const struct conn *c, enum ev_dir dir, const struct mark *first)
{
	struct stream *s = c->flow[!dir].stream;
	uint64_t time = c->doubt.orphan;

	if (!c->pair.n && stream_peek(s).n && !c->flow[!dir].message.type)
		time = stream_mark(s, stream_front(s)).time; /* it waits for its request */
	return time > c->doubt.asked && time < first->time;
}

bool loss_trusts(struct conn *c, enum ev_dir dir, const struct mark *first)
{
	struct stream *s = c->flow[dir].stream;
	struct mark before;
	int drop = c->doubt.distrust;

	/* merged marks, and a response that was given up before this request was seen: its time is no proof */
	if (c->doubt.lossy &&
	    (stream_mark_end(s, stream_front(s)).time != first->time || first->time < c->doubt.orphan))
		return distrusted(drop ? drop : STAT_drop_gap);
	if (!drop)
		return true;
	before = stream_mark_end(s, stream_front(s) - 1);
	/* an answer since then: to what was lost, since nothing else was asked */
	if (before.time ? stream_last(c->flow[!dir].stream).time > before.time : lost_one_was_answered(c, dir, first)) {
		c->doubt.distrust = 0;
		return true;
	}
	distrusted(drop);
	if (same_operation(&before, first))
		flow_opaque(c, drop);
	return false;
}

void loss_note_request(struct conn *c, enum ev_dir dir)
{
	if (c->pair.n > 1 && begins_within(&c->flow[dir]))
		c->doubt.pipelined = true;
}

void loss_note_response(struct conn *c, const struct exchange *x, const struct mark *first)
{
	const struct exchange *next = x ? pair_next(&c->pair, x) : NULL;

	if (next && !c->doubt.lossy && next->req_first.time < first->time)
		c->doubt.pipelined = true;
}

/* ---- multiplexed connections: what was open when bytes were lost ---- */

#define LOOK_NS 1000000000ULL

static bool may_have_ended(const struct conn *c, const struct exchange *x)
{
	return c->doubt.lost_at && x->req_first.time <= c->doubt.lost_at;
}

void loss_expire(struct conn *c)
{
	uint64_t now = c->table->now, timeout = c->table->config.request_timeout;

	if (c->off || !timeout || now - c->doubt.looked < LOOK_NS)
		return;
	c->doubt.looked = now;
	list_for_each_safe(at, &c->pair.open) {
		struct exchange *x = list_entry(at, struct exchange, link);
		uint64_t moved = MAX(x->req_last.time, x->resp_last.time);

		if (!may_have_ended(c, x))
			return; /* they are in the order of their beginnings */
		if (now < moved || now - moved < timeout)
			continue;
		stat_inc(requests_timed_out);
		c->proto->forget(c->session, x->key);
		pair_close_one(&c->pair, x, CALL_TIMEOUT, now, 0);
	}
}

void loss_close(struct conn *c, enum call_end why)
{
	bool lost = !c->off && c->doubt.requests >= 0 && c->flow[!c->doubt.requests].lost;

	flow_touch(c);
	if (!c->off && c->proto && c->proto->multiplexed) {
		flow_forget(c);
		list_for_each_safe(at, &c->pair.open) {
			struct exchange *x = list_entry(at, struct exchange, link);

			if (may_have_ended(c, x)) /* a span that says so: there is no other stream to mistake it for */
				pair_close_one(&c->pair, x, CALL_TIMEOUT, c->table->now, 0);
		}
	}
	pair_close(&c->pair, lost ? CALL_CUT : why, c->table->now, STAT_drop_gap);
}
