/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Which of an operation's bytes are wanted, by verdict, frames and budget; and handing those over. The same for sockets and TLS sessions. */
#ifndef SPANDREL_HAND_H
#define SPANDREL_HAND_H

#include "frame.h"
#include "piece.h"
#include "record.h"
#include "scratch.h"
#include "tell.h"

/* Bytes that nobody sees otherwise. */
inline_always void verdict_seen(struct verdict *v, int dir, __u64 to)
{
	v->seen[dir & 1] = to;
	v->seen_time = bpf_ktime_get_boot_ns();
}

/* What a verdict says of [off, off + size): bytes at its beginning to pass over. All of it and no record: ~0. */
inline_always __u64 verdict_skip(struct verdict *v, int dir, __u64 off, __u64 size)
{
	__u64 to = v->skip_to[dir & 1];

	if (to <= off)
		return 0;
	if (to == U64_MAX)
		return to;
	verdict_seen(v, dir, off + size);
	if (off + size < to)
		return U64_MAX;
	return to - off;
}

inline_always void piece_init(struct piece *p, const struct conn *c, const struct op *op, __u16 flags)
{
	int dir = op->dir & 1;

	p->conn = c->id;
	p->ctx = op->ctx ? op->ctx : (__u32)op->who;
	p->off = c->off[dir];
	p->seq = c->base[dir] + (__u32)p->off;
	p->flags = flags;
	p->pid = op->who >> 32;
	p->tid = (__u32)op->who;
	p->dir = dir;
	p->addr = op->addr;
	p->count = op->count;
	p->rest = op->size;
	p->tail = 0;
	p->at = op->at;
	p->where = op->where;
	p->element = 0;
	p->hole = HOLE_NONE;
	p->fault = 0;
	p->passed = 0;
}

/* Turns the end of the bytes to capture into a tail, from offset `to` on. */
inline_always void piece_cut(struct piece *p, __u64 to, __u8 hole)
{
	__u64 keep = to > p->off ? to - p->off : 0;

	if (keep >= p->rest)
		return;
	p->tail += p->rest - keep;
	p->rest = keep;
	p->hole = hole;
}

/* Passes over n bytes at the beginning; when that is all, the record says so. */
inline_always void piece_skip(struct piece *p, __u64 n, bool vector)
{
	if (n == p->rest + p->tail) {
		p->tail = n;
		p->rest = 0;
		p->hole = HOLE_SKIPPED;
		return;
	}
	count(KC_HOLE_BYTES + HOLE_SKIPPED, n);
	p->flags |= EVF_PASSED;
	piece_done(p, n);
	if (vector)
		p->at += n;
	else
		p->addr += n;
}

/* Frames that nobody has to name: they are followed already, or may begin here. */
inline_always bool frames_own(const struct conn *c, int dir)
{
	return c->frame[dir].framing || !(c->off[dir] || c->flags & CF_MID);
}

inline_always bool frames_maybe(const struct conn *c, const struct verdict *v, int dir)
{
	return v->conn == (c->id | VERDICT_FRAMED) || frames_own(c, dir);
}

/* Where the frames are known for certain: hands over all but payload to pass over. */
inline_always bool conn_framed(struct conn *c, struct scratch *s, struct verdict *v, __u16 flags)
{
	struct frame_slot *slot = v->conn == (c->id | VERDICT_FRAMED) ? frame_slot_of(c) : NULL;
	int dir = s->op.dir & 1;
	bool followed;

	if (slot && (slot->conn != c->id || !slot->framing))
		slot = NULL;
	if (!slot && !frames_own(c, dir))
		return false;
	followed = frames_follow(c, s, slot);
	if (slot)
		frames_tell(slot, dir, followed);
	if (!followed || (!slot && !c->framed))
		return false;
	piece_init(&s->piece, c, &s->op, flags);
	if (!frame_emit(s) && (v->conn & ~VERDICT_FRAMED) == c->id)
		verdict_seen(v, dir, c->off[dir] + s->op.size);
	return true;
}

struct wanted { /* of an operation's bytes */
	__u64 skip;  /* bytes at its beginning that are passed over */
	__u64 limit; /* offset where the budget of this turn ends */
};

/* c->off is where op began. False: nobody wants any of it. */
inline_always bool conn_wanted(struct conn *c, const struct op *op, struct wanted *w)
{
	struct verdict *v = &verdicts[c->id & (VERDICT_SLOTS - 1)];
	int dir = op->dir & 1;

	w->skip = 0;
	if (c->last != dir) {
		c->last = dir;
		c->turn[dir] = c->off[dir];
	}
	w->limit = c->turn[dir] + TURN_BUDGET;
	if ((v->conn & ~VERDICT_FRAMED) != c->id)
		return true;
	w->skip = verdict_skip(v, dir, c->off[dir], op->size);
	if (w->skip == U64_MAX) {
		count(KC_HOLE_BYTES + HOLE_SKIPPED, op->size);
		return false;
	}
	if (v->skip_to[dir] > c->turn[dir]) {
		c->turn[dir] = v->skip_to[dir];
		w->limit = c->turn[dir] + TURN_BUDGET;
	}
	if (v->grant_to[dir] > w->limit)
		w->limit = v->grant_to[dir];
	return true;
}

/* Hands over what is wanted of scratch->op, whose bytes have been located. */
inline_always void conn_hand(struct conn *c, struct scratch *s, const struct wanted *w, __u16 flags)
{
	struct op *op = &s->op;

	if (conn_framed(c, s, &verdicts[c->id & (VERDICT_SLOTS - 1)], flags))
		return;
	piece_init(&s->piece, c, op, flags);
	if (w->skip)
		piece_skip(&s->piece, w->skip, op->where >= AT_VECTOR);
	if (op->where == AT_NOWHERE)
		piece_cut(&s->piece, 0, op->hole);
	else
		piece_cut(&s->piece, w->limit, HOLE_BUDGET);
	piece_emit(s, op->where >= AT_VECTOR);
}

/*
 * The same in one record, straight from an op that is located, of one buffer or none. False: it is to be handed over in parts, or has
 * more than `max` bytes; what conn_wanted() has noted by then, it notes once more as it is. True also where nobody wants it.
 */
inline_always bool conn_hand_whole(struct conn *c, const struct op *op, __u32 max, __u16 flags)
{
	struct piece p;
	struct wanted w;
	bool lost;

	if (!conn_wanted(c, op, &w))
		return true;
	if (w.skip || op->size > max || c->off[op->dir & 1] + op->size > w.limit)
		return false;
	piece_init(&p, c, op, flags);
	if (op->where == AT_NOWHERE) {
		piece_cut(&p, 0, op->hole);
		lost = emit_hole(&p);
	} else {
		lost = op->size <= SMALL_MAX ? emit_small(&p, op->size) : emit_large(&p, op->size);
	}
	if (lost)
		count(KC_MISSED_DATA, 1);
	return true;
}

/* A process of which nothing is known yet comes before its first bytes. */
inline_always void conn_tell(struct conn *c, const struct scratch *s, __u32 tgid)
{
	c->flags |= CF_TOLD;
	if (!proc_told(tgid))
		proc_tell(tgid, AREA_DATA + s->slot % SCRATCH_LEVELS);
}

#endif
