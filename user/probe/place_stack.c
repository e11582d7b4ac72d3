// SPDX-License-Identifier: Apache-2.0
/* Where the stack pointer stands at each instruction, counted from the entry. */
#include <errno.h>
#include <stdlib.h>

#include "base/scope.h"
#include "probe/place_code.h"

#define UNKNOWN INT32_MIN

struct level {
	int32_t sp, frame; /* UNKNOWN, or bytes */
	bool seen;
};

static struct level level_after(const struct op *op, struct level l, const struct place_abi *abi)
{
	struct level next = l;

	if (op->stack == STACK_LOST)
		next.sp = UNKNOWN;
	else if (op->stack == STACK_FRAME)
		next.sp = l.frame == UNKNOWN ? UNKNOWN : l.frame + op->sp;
	else if (l.sp != UNKNOWN)
		next.sp = l.sp + op->sp;
	if (next.sp != UNKNOWN && (next.sp > 0 || next.sp < -(1 << 24)))
		next.sp = UNKNOWN;
	if (op->frame)
		next.frame = l.sp;
	else if (op->writes >> abi->frame & 1)
		next.frame = UNKNOWN;
	return next;
}

/* True if what was known has changed. */
static bool level_join(struct level *into, struct level from)
{
	struct level was = *into;

	if (!was.seen) {
		*into = from;
		return true;
	}
	if (was.sp != from.sp)
		into->sp = UNKNOWN;
	if (was.frame != from.frame)
		into->frame = UNKNOWN;
	return into->sp != was.sp || into->frame != was.frame;
}

/* Each instruction comes back at most twice: once for each of the two that may become unknown. */
static int levels_fill(const struct code *c, const struct place_abi *abi, struct level *levels)
{
	_cleanup_(free_p) uint32_t *todo = malloc((c->n * 3 + 2) * sizeof(*todo));
	size_t n = 0;

	if (!todo)
		return -ENOMEM;
	levels[0] = (struct level){ 0, UNKNOWN, true };
	todo[n++] = 0;
	while (n) {
		uint32_t i = todo[--n], to[2];
		struct level after = level_after(&c->ops[i], levels[i], abi);
		bool out;
		unsigned ways = code_next(c, i, to, NULL, &out);

		for (unsigned w = 0; w < ways; w++) {
			if (level_join(&levels[to[w]], after))
				todo[n++] = to[w];
		}
	}
	return 0;
}

int code_leaves_clean(const struct code *c, uint32_t last, const struct place_abi *abi)
{
	_cleanup_(free_p) struct level *levels = calloc(c->n, sizeof(*levels));
	int err;

	if (!levels)
		return -ENOMEM;
	err = levels_fill(c, abi, levels);
	if (err)
		return err;
	for (uint32_t i = 0; i < c->n; i++) {
		const struct op *op = &c->ops[i];
		bool leaves = op->kind == OP_AWAY || ((op->kind == OP_JUMP || op->kind == OP_COND) && op->to == OP_OUT);

		if (!leaves || (i == last && op->kind == OP_JUMP))
			continue;
		if (!levels[i].seen || levels[i].sp != 0 || levels[last].sp == 0 || levels[last].sp == UNKNOWN)
			return 0;
	}
	return 1;
}
