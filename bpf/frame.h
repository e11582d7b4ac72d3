/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Which bytes of an operation are payload that nobody wants? For connections whose protocol cuts its stream into frames, user space
 * describes a frame's header (struct framing) and the hooks follow the frames from one operation to the next: payload of the types to
 * pass over is counted and not copied, everything else is copied whole however late it comes. The hooks know no protocol: a framing is numbers.
 *
 * A direction is followed from its first byte where that looks like a framing's beginning, or from an offset that user space has
 * found (struct frame_slot); nothing is passed over before a framing's magic was seen, or user space has named it. What cannot be
 * followed (a header that is not plausible, bytes moved out of sight) is copied as of any connection.
 */
#ifndef SPANDREL_FRAME_H
#define SPANDREL_FRAME_H

#include "piece.h"

/* Follows the frames through what scratch->op and ->frames describe; the result is in scratch->frames. A global function: see piece.h. */
int frame_walk(__u32 slot);

inline_always struct frame_slot *frame_slot_of(const struct conn *c)
{
	return &frame_slots[c->id & (VERDICT_SLOTS - 1)];
}

/* Follows the frames through an operation. False: they are not known, or cannot be: the next walk sees what has passed unseen. */
inline_always bool frames_follow(struct conn *c, struct scratch *s, const struct frame_slot *slot)
{
	struct frames *f = &s->frames;
	int dir = s->op.dir & 1;

	if (s->op.where == AT_NOWHERE)
		return false;
	f->off = c->off[dir];
	f->dir = c->frame[dir];
	f->join = slot ? slot->framing : 0;
	f->join_at = slot ? slot->at[dir] : 0;
	frame_walk(s->slot);
	c->frame[dir] = f->dir;
	c->framed |= f->magic;
	return f->dir.framing;
}

/* Tells user space that it need not look for frames of this direction (or must again). */
inline_always void frames_tell(struct frame_slot *slot, int dir, bool followed)
{
	__u32 bit = 1 << (dir & 1);

	if (!(slot->followed & bit) == followed)
		slot->followed ^= bit;
}

/* ---- handing over ---- */

/* Moves on to offset `to`, whatever was handed over. */
inline_always void piece_move(struct piece *p, __u64 captured, __u64 to)
{
	__u64 n = to - captured;

	if (p->where == AT_BUFFER)
		p->addr += n;
	else
		p->at += n;
	p->seq += to - p->off;
	p->off = to;
	p->tail = 0;
}

/*
 * Captures up to `from`, and says that [from, to) was passed over; where that is all and no frame ends, says nothing, but for how many
 * they were, in the next record.
 */
inline_always void piece_framed(struct scratch *s, __u64 from, __u64 to, __u64 end)
{
	struct piece *p = &s->piece;

	p->rest = from - p->off;
	p->tail = to - from;
	p->hole = HOLE_SKIPPED;
	if (!p->rest && p->tail <= U16_MAX && (to < end || to < s->frames.dir.next)) {
		count(KC_HOLE_BYTES + HOLE_SKIPPED, p->tail);
		p->passed = p->tail;
		p->flags |= EVF_PASSED;
	} else {
		piece_emit(s, p->where >= AT_VECTOR);
	}
	if (!p->fault)
		piece_move(p, from, to);
}

/* What is left where nothing can be read. */
inline_always void piece_lost(struct scratch *s, __u64 end)
{
	struct piece *p = &s->piece;

	p->rest = 0;
	p->tail = end > p->off ? end - p->off : 0;
	p->hole = HOLE_FAULT;
	if (p->tail)
		piece_emit(s, 0);
}

/* Hands over scratch->piece but for what the walk found nobody to read. False if no record tells of its last byte. */
inline_always bool frame_emit(struct scratch *s)
{
	struct piece *p = &s->piece;
	__u64 end = p->off + p->rest;

	NO_UNROLL
	for (__u32 i = 0; i < FRAME_SKIPS; i++)
		if (i < s->frames.n && !p->fault)
			piece_framed(s, s->frames.skip[i].from, s->frames.skip[i].to, end);
	if (p->fault) {
		piece_lost(s, end);
		return true;
	}
	p->rest = end - p->off;
	p->hole = HOLE_NONE;
	if (!p->rest)
		return s->frames.dir.next <= end;
	piece_emit(s, p->where >= AT_VECTOR);
	return true;
}

#endif
