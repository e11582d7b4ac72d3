/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The bytes of one operation on their way into the ring. A hook describes them in its work area, then calls
 * piece_emit(): a global function, which the verifier checks once and alone, not again with each path that leads to it.
 */
#ifndef SPANDREL_PIECE_H
#define SPANDREL_PIECE_H

#include "call.h"
#include "emit.h"

/* Hands over what the work area `slot` describes. */
int piece_emit(__u32 slot, __u32 vector);

inline_always void piece_done(struct piece *p, __u64 n)
{
	p->off += n;
	p->seq += n;
	p->rest -= n;
}

#endif
