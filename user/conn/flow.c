// SPDX-License-Identifier: Apache-2.0
/* The way of bytes through one connection: stream → parser → pair, both directions, as far as they go. */
#include "conn/flow.h"

#include <errno.h>
#include <stdlib.h>

#include "base/scope.h"
#include "base/stats.h"

/* ---- messages ---- */

static struct pair_head head_of(const struct flow *f, enum ev_dir dir, size_t n)
{
	uint64_t front = stream_front(f->stream);
	struct pair_head h = { .first = stream_mark(f->stream, front),
			       .head = stream_mark_end(f->stream, front + n - 1),
			       .off = front,
			       .received = dir == DIR_RECV };

	h.has_seq = stream_seq(f->stream, front, &h.seq);
	return h;
}

static void stream_begins(struct conn *c, enum ev_dir dir, const struct proto_out *out, struct pair_head *h)
{
	bool promised = out->flags & OUT_PROMISED;

	if (promised)
		h->received = !h->received;
	else
		c->doubt.requests = (int8_t)dir;
	if (!pair_request(&c->pair, c->proto, out->msg, h))
		c->proto->forget(c->session, out->key);
}

static void request_begins(struct conn *c, enum ev_dir dir, size_t n, const struct proto_out *out)
{
	struct pair_head h = head_of(&c->flow[dir], dir, n);

	if (c->proto->multiplexed) {
		stream_begins(c, dir, out, &h);
		return;
	}
	c->doubt.requests = (int8_t)dir;
	if (!loss_trusts(c, dir, &h.first) || !pair_request(&c->pair, c->proto, out->msg, &h))
		c->doubt.unpaired = true;
	else
		loss_note_request(c, dir);
	c->doubt.asked = h.first.time;
}

static void response_begins(struct conn *c, enum ev_dir dir, size_t n, const struct proto_out *out)
{
	struct pair_head h = head_of(&c->flow[dir], dir, n);

	if (c->doubt.requests == (int8_t)dir && c->proto->multiplexed)
		h.first = (struct mark){ 0 }; /* ended by who asked: nobody answered */
	else
		c->doubt.requests = (int8_t)!dir;
	c->flow[dir].orphan = c->doubt.missed = false;
	if (out->flags & OUT_ORPHAN || !pair_response(&c->pair, out->msg, &h)) {
		stat_inc(orphan_responses);
		c->doubt.orphan = h.first.time;
		return;
	}
	if (!c->proto->multiplexed)
		loss_note_response(c, pair_find(&c->pair, out->key), &h.first);
}

static void message_ends(struct conn *c, struct flow *f)
{
	struct flow_message m = f->message;
	struct mark last = stream_mark_end(f->stream, stream_front(f->stream) - 1);

	f->message = (struct flow_message){ 0 };
	pair_end(&c->pair, m.type, m.key, last.time ? last : stream_last(f->stream));
}

/* The message that *out speaks of has an end of its own, and bytes of others in between. */
static void touch(struct conn *c, struct flow *f, const struct proto_out *out)
{
	f->message = (struct flow_message){ 0 };
	if (!out->key)
		return;
	if (stream_skipping(f->stream))
		f->message = (struct flow_message){ .key = out->key, .type = out->type };
	pair_touch(&c->pair, out->type, out->key, stream_mark_end(f->stream, stream_front(f->stream) - 1));
}

static void take_head(struct conn *c, enum ev_dir dir, size_t n, const struct proto_out *out)
{
	if (out->type == MSG_REQUEST)
		request_begins(c, dir, n, out);
	else
		response_begins(c, dir, n, out);
	if (!c->off)
		c->flow[dir].message = (struct flow_message){ .key = out->key, .type = out->type };
}

/* n bytes at the front are what *out says. */
static void take(struct conn *c, enum ev_dir dir, size_t n, const struct proto_out *out)
{
	struct flow *f = &c->flow[dir];

	if (out->flags & OUT_HEAD && !(out->flags & OUT_INTERIM))
		take_head(c, dir, n, out);
	if (c->off)
		return;
	if (out->flags & OUT_MORE)
		pair_more(&c->pair, out->msg);
	if (out->flags & OUT_ABOVE) {
		struct pair_head h = head_of(f, dir, n);

		pair_end_above(&c->pair, out->key, out->msg, &h);
	}
	stream_consume(f->stream, n);
	if (out->skip)
		stream_skip(f->stream, out->skip);
	if (out->flags & OUT_END)
		f->message = (struct flow_message){ .key = out->key, .type = out->type, .ending = true };
	else if (c->proto->multiplexed)
		touch(c, f, out);
	if (f->message.ending && !stream_skipping(f->stream))
		message_ends(c, f);
	if (out->flags & OUT_SWITCH)
		detect_switch(c, out->key, out->next);
	if (out->flags & OUT_OPAQUE)
		flow_opaque(c, STAT_drop_out_of_step);
}

/* ---- trouble ---- */

static bool looks_like_request(const struct conn *c, enum ev_dir dir, struct slice in)
{
	if (!in.n || c->doubt.requests != (int8_t)dir)
		return false;
	return c->proto->begins ? c->proto->begins(c->session, dir, in) : c->proto->sniff(in, dir) != SNIFF_NO;
}

/* What stands at the front cannot be read on. */
static void broken(struct conn *c, enum ev_dir dir, struct slice in, int drop)
{
	struct flow *f = &c->flow[dir];
	bool begun = !f->message.type && in.n;

	if (begun && looks_like_request(c, dir, in)) {
		stat_inc(requests_seen);
		stats[drop]++;
	}
	loss_happened(c, dir, begun, drop);
}

static void pass_hole(struct conn *c, enum ev_dir dir, struct slice in)
{
	struct flow *f = &c->flow[dir];

	stat_add(gap_bytes, stream_hole(f->stream));
	if (f->lost)
		loss_again(c, dir);
	else if (c->proto)
		broken(c, dir, in, STAT_drop_gap);
	if (c->off)
		return;
	f->lost = true;
	stream_pass_hole(f->stream);
}

static void block(struct conn *c, struct flow *f)
{
	c->doubt.unpaired = false; /* the session waits for nothing */
	if (!f->blocked)
		f->blocked_at = c->table->now;
	f->blocked = true;
}

static bool parse_failed(struct conn *c, enum ev_dir dir, struct slice in, int64_t r)
{
	if (r == -EAGAIN) {
		block(c, &c->flow[dir]);
		return false;
	}
	if (r == -EMSGSIZE) {
		broken(c, dir, in, STAT_drop_head_too_long);
	} else {
		stats[c->proto->out_of_step]++;
		broken(c, dir, in, STAT_drop_out_of_step);
	}
	if (!c->off)
		stream_consume(c->flow[dir].stream, in.n);
	return true;
}

/* ---- the loop ---- */

static bool parse(struct conn *c, enum ev_dir dir, struct slice in)
{
	struct flow *f = &c->flow[dir];
	struct proto_out out = { 0 };
	int64_t r;

	if (!c->proto->multiplexed && c->doubt.requests == (int8_t)!dir && (c->doubt.lossy || dir == DIR_SEND))
		loss_response_next(c, dir);
	r = c->proto->parse(c->session, dir, in, &out);
	if (r < 0)
		return parse_failed(c, dir, in, r);
	f->blocked = false;
	if (r) {
		if (out.flags & OUT_SWITCH && !detect_enabled(c, out.next)) /* an answer, and nothing that we know */
			out.flags ^= OUT_SWITCH | OUT_INTERIM | OUT_END | OUT_OPAQUE;
		take(c, dir, MIN((size_t)r, in.n), &out);
		return true;
	}
	if (!stream_hole(f->stream))
		return false;
	pass_hole(c, dir, in);
	return true;
}

/* Payload that was not captured is no loss. */
static bool does_without(struct conn *c, enum ev_dir dir)
{
	struct flow *f = &c->flow[dir];
	struct proto_out out = { 0 };

	if (!c->proto || !c->proto->lacks || f->lost)
		return false;
	if (!c->proto->lacks(c->session, dir, stream_hole(f->stream), &out))
		return false;
	take(c, dir, 0, &out);
	return true;
}

/* One step of a direction; false when it must wait for more. */
static bool step(struct conn *c, enum ev_dir dir)
{
	struct flow *f = &c->flow[dir];
	struct slice in;
	bool moved;

	if (c->off || stream_skipping(f->stream))
		return false;
	if (f->message.ending) {
		message_ends(c, f);
		return true;
	}
	in = stream_peek(f->stream);
	if (!in.n) {
		if (!stream_hole(f->stream))
			return false;
		if (!does_without(c, dir))
			pass_hole(c, dir, in);
		return true;
	}
	if (c->proto && !f->lost)
		return parse(c, dir, in);
	moved = c->proto ? loss_search(c, dir, in) : detect_step(c, dir);
	if (moved || c->off || !stream_hole(f->stream))
		return moved;
	pass_hole(c, dir, in); /* what it waits for will not come */
	return true;
}

void flow_run(struct conn *c, enum ev_dir dir)
{
	bool moved;

	do {
		moved = false;
		while (step(c, dir))
			moved = true;
		dir = !dir;
	} while (moved && !c->off && stream_peek(c->flow[dir].stream).n); /* it may have waited for this one */
}

int flow_adopt(struct conn *c, const struct proto_ops *proto)
{
	void *session = calloc(1, proto->session_size);

	if (!session)
		return -ENOMEM;
	if (proto->init(session, &c->table->config.proto) || (proto->multiplexed && pair_index(&c->pair))) {
		proto->fini(session);
		free(session);
		return -ENOMEM;
	}
	c->proto = proto;
	c->session = session;
	return 0;
}

void flow_disown(struct conn *c)
{
	if (!c->session)
		return;
	c->proto->fini(c->session);
	free(c->session);
	c->session = NULL;
	c->proto = NULL;
}

/* ---- ends ---- */

void flow_passed(struct conn *c, enum ev_dir dir, uint64_t seen, uint64_t time)
{
	struct stream *s = c->flow[dir].stream;
	uint64_t at = stream_seen(s), to = MIN(seen, stream_skip_to(s));

	if (!stream_skipping(s) || at >= to)
		return;
	stream_feed(s, &(struct chunk){ .off = at, .size = to - at, .mark = { .time = time } });
	c->last = MAX(c->last, time);
}

/* Bytes moved of which there is no record. */
static bool tail_missing(const struct flow *f, uint64_t bytes)
{
	return bytes > stream_seen(f->stream) && bytes > stream_skip_to(f->stream);
}

static void last_words(struct conn *c, enum ev_dir dir, const struct proto_out *out)
{
	if (out->flags & OUT_MORE)
		pair_more(&c->pair, out->msg);
	if (out->flags & OUT_END)
		pair_end(&c->pair, out->type, out->key, stream_last(c->flow[dir].stream));
}

void flow_end(struct conn *c, enum ev_dir dir, uint64_t bytes, bool reset)
{
	struct flow *f = &c->flow[dir];
	struct proto_out out = { 0 };

	if (c->off)
		return;
	flow_passed(c, dir, bytes, stream_last(f->stream).time);
	do {
		stream_tick(f->stream, UINT64_MAX);
		flow_run(c, dir);
	} while (!c->off && stream_waiting(f->stream));
	idle_unblock(c, dir);
	if (c->off)
		return;
	f->ended = true;
	if (!c->proto)
		return;
	if (tail_missing(f, bytes) && !f->lost)
		loss_happened(c, dir, false, STAT_drop_gap);
	else if (!reset && c->proto->finish(c->session, dir, &out))
		last_words(c, dir, &out);
}

void flow_leftover(struct conn *c, int drop)
{
	struct flow *f;

	if (c->off || !c->proto || c->doubt.requests < 0)
		return;
	f = &c->flow[c->doubt.requests];
	if (f->lost || (f->message.type && !c->proto->multiplexed) || stream_skipping(f->stream))
		return;
	if (!looks_like_request(c, (enum ev_dir)c->doubt.requests, stream_peek(f->stream)))
		return;
	stat_inc(requests_seen);
	stats[drop]++;
	stream_consume(f->stream, SIZE_MAX);
}

void flow_touch(struct conn *c)
{
	for (int dir = 0; !c->off && dir < 2; dir++) {
		const struct flow *f = &c->flow[dir];

		if (f->message.type)
			pair_touch(&c->pair, f->message.type, f->message.key, stream_last(f->stream));
	}
}

void flow_forget(struct conn *c)
{
	if (c->off || !c->proto || !c->proto->forget)
		return;
	list_for_each(at, &c->pair.open)
		c->proto->forget(c->session, list_entry(at, struct exchange, link)->key);
}

void flow_off(struct conn *c, int drop)
{
	verdict_off(c);
	if (c->off)
		return;
	flow_touch(c);
	pair_close(&c->pair, CALL_CUT, c->table->now, drop);
	flow_disown(c);
	for (int dir = 0; dir < 2; dir++) {
		stream_free(c->flow[dir].stream);
		c->flow[dir] = (struct flow){ 0 };
	}
	c->off = true;
}

void flow_opaque(struct conn *c, int drop)
{
	stat_inc(conns_opaque);
	flow_off(c, drop);
}
