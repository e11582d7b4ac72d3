/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The bytes of one operation on their way into the ring. A hook describes them in its work area, then calls piece_emit(), whose
 * parts are global functions, which the verifier checks once and alone, not again with each path that leads to them.
 */
#ifndef SPANDREL_PIECE_H
#define SPANDREL_PIECE_H

#include "call.h"
#include "emit.h"

/* Of the work area `slot`: nothing to copy, one buffer, several elements. */
int piece_hole(__u32 slot);
int buffer_loop(__u32 slot);
int vector_loop(__u32 slot);

/* Hands over what the work area describes. */
inline_always void piece_emit(const struct scratch *s, bool vector)
{
	if (!s->piece.rest)
		piece_hole(s->slot);
	else if (vector)
		vector_loop(s->slot);
	else
		buffer_loop(s->slot);
}

inline_always void piece_done(struct piece *p, __u64 n)
{
	p->off += n;
	p->seq += n;
	p->rest -= n;
}

#endif
