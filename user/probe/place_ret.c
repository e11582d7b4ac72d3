// SPDX-License-Identifier: Apache-2.0
/* Where the return register holds what the function returns, and where it can return. */
#include <errno.h>
#include <stdlib.h>

#include "base/scope.h"
#include "probe/place_code.h"

#define ROUNDS_MAX 64 /* a proof that needs more is not made */

enum {
	NODE_REACHED = 1,
	NODE_FINAL = 2, /* from before it, every path returns with the return register as it is */
	NODE_LATER = 4, /* an emulated instruction of that kind is behind it */
	NODE_RET = 8,	/* one of the places */
	NODE_LOW = 16,	/* it is reached, the return register zero or negative, without passing a place */
	NODE_ANY = 32,	/* it is so with any value */
};

struct graph {
	const struct code *c;
	uint32_t ret; /* bit of the return register */
	uint8_t *node;
	uint32_t *todo;
	size_t n_todo;
};

static void graph_fini(struct graph *g)
{
	free(g->node);
	free(g->todo);
}

static int graph_init(struct graph *g, const struct code *c, const struct place_abi *abi)
{
	g->c = c;
	g->ret = UINT32_C(1) << abi->ret;
	g->node = calloc(c->n, 1);
	g->todo = malloc((2 * c->n + 2) * sizeof(*g->todo)); /* each comes twice at most: low, then any */
	return g->node && g->todo ? 0 : -ENOMEM;
}

/* Marks and lists it, unless it has the mark. */
static void graph_mark(struct graph *g, uint32_t i, uint8_t mark)
{
	if ((g->node[i] & mark) == mark)
		return;
	g->node[i] |= mark;
	g->todo[g->n_todo++] = i;
}

/* False if some path leads where it cannot be followed. */
static bool graph_reach(struct graph *g)
{
	bool followed = true, out;

	graph_mark(g, 0, NODE_REACHED);
	while (g->n_todo) {
		uint32_t to[2], i = g->todo[--g->n_todo];
		unsigned n = code_next(g->c, i, to, NULL, &out);

		followed &= !out;
		for (unsigned w = 0; w < n; w++)
			graph_mark(g, to[w], NODE_REACHED);
	}
	return followed;
}

/* NODE_FINAL and NODE_LATER of one instruction by those behind it. */
static uint8_t node_judge(const struct graph *g, uint32_t i)
{
	const struct op *op = &g->c->ops[i];
	uint8_t mark = NODE_FINAL;
	uint32_t to[2];
	bool out;
	unsigned n = code_next(g->c, i, to, NULL, &out);

	if (op->kind == OP_RET)
		return NODE_FINAL;
	if (out || !n || op->kind == OP_CALL || (op->writes & g->ret))
		return 0;
	for (unsigned w = 0; w < n; w++) {
		uint8_t behind = g->node[to[w]];

		if (!(behind & NODE_FINAL))
			return 0;
		if ((behind & NODE_LATER) || (g->c->ops[to[w]].flags & OPF_EMULATED))
			mark |= NODE_LATER;
	}
	return mark;
}

/* From the returns backwards, so that what is on a loop never becomes final. False: too many rounds. */
static bool graph_final(struct graph *g)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		bool changed = false;

		for (uint32_t i = (uint32_t)g->c->n; i-- > 0;) {
			uint8_t now = g->node[i] | node_judge(g, i);

			changed |= now != g->node[i];
			g->node[i] = now;
		}
		if (!changed)
			return true;
	}
	return false;
}

/* The last emulated instruction of each path that ends unchanged. */
static bool graph_places(struct graph *g, uint32_t entry, struct place *p)
{
	for (uint32_t i = entry + 1; i < g->c->n; i++) {
		if ((g->node[i] & (NODE_REACHED | NODE_FINAL | NODE_LATER)) != (NODE_REACHED | NODE_FINAL) ||
		    !(g->c->ops[i].flags & OPF_EMULATED))
			continue;
		if (p->n_rets == PLACE_RETS)
			return false;
		p->rets[p->n_rets++] = g->c->ops[i].at;
		g->node[i] |= NODE_RET;
	}
	return p->n_rets;
}

static bool low_after(const struct graph *g, uint32_t i)
{
	const struct op *op = &g->c->ops[i];

	if (op->flags & OPF_NOT_POSITIVE)
		return true;
	return op->kind != OP_CALL && !(op->writes & g->ret) && !(g->node[i] & NODE_ANY);
}

/* Does every path that passes no place return zero or less? */
static bool graph_covered(struct graph *g)
{
	graph_mark(g, 0, NODE_ANY);
	while (g->n_todo) {
		uint32_t to[2], i = g->todo[--g->n_todo];
		bool low[2], out, after = low_after(g, i);
		unsigned n = code_next(g->c, i, to, low, &out);

		if (g->node[i] & NODE_RET)
			continue;
		if (g->c->ops[i].kind == OP_RET && (g->node[i] & NODE_ANY))
			return false;
		for (unsigned w = 0; w < n; w++)
			graph_mark(g, to[w], after || low[w] ? NODE_LOW : NODE_ANY);
	}
	return true;
}

int code_returns(const struct code *c, uint32_t entry, const struct place_abi *abi, struct place *out)
{
	_cleanup_(graph_fini) struct graph g = { 0 };
	struct place p = *out;
	int err = graph_init(&g, c, abi);

	if (err)
		return err;
	if (c->whole && graph_reach(&g) && graph_final(&g) && graph_places(&g, entry, &p) && graph_covered(&g))
		*out = p;
	return 0;
}

int place_rets(struct slice bytes, uint64_t address, enum place_arch arch, uint32_t *out, size_t max)
{
	_cleanup_(code_cleanup) struct code c = { 0 };
	_cleanup_(graph_fini) struct graph g = { 0 };
	size_t n = 0;
	int err = code_read(&c, bytes, address, arch);

	if (!err)
		err = graph_init(&g, &c, &place_c_abi[arch]);
	if (err)
		return err;
	if (!c.n || !c.whole || !graph_reach(&g))
		return -EILSEQ;
	for (size_t i = 0; i < c.n; i++) {
		if (c.ops[i].kind != OP_RET || !(g.node[i] & NODE_REACHED))
			continue;
		if (n == max)
			return -E2BIG;
		out[n++] = c.ops[i].at;
	}
	return (int)n;
}
