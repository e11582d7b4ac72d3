// SPDX-License-Identifier: Apache-2.0
#include "export/group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/process.h"

#define NO_GROUP UINT32_MAX

static uint64_t resource_id(const struct resource *r)
{
	return r ? r->id : 0;
}

static bool same_resource(const struct resource *a, const struct resource *b)
{
	return a == b || (a && b && a->id == b->id);
}

static uint32_t run_length(struct span *const *spans, uint32_t n)
{
	uint32_t i = 1;

	while (i < n && same_resource(spans[i]->resource, spans[0]->resource))
		i++;
	return i;
}

static struct group *find_or_add(struct groups *g, uint32_t *table, uint32_t mask, const struct resource *r)
{
	uint32_t at = (uint32_t)((resource_id(r) * 0x9e3779b97f4a7c15ULL) >> 32) & mask;

	while (table[at] != NO_GROUP) {
		if (same_resource(g->group[table[at]].resource, r))
			return &g->group[table[at]];
		at = (at + 1) & mask;
	}
	table[at] = g->n;
	g->group[g->n] = (struct group){ .resource = r };
	return &g->group[g->n++];
}

static void chain(struct groups *g, struct group *to, uint32_t i)
{
	if (to->n++)
		g->next[to->last] = i;
	else
		to->first = i;
	to->last = i;
}

int groups_init(struct groups *g, struct span *const *spans, uint32_t n)
{
	size_t slots = 4, bytes;
	uint32_t *table;

	*g = (struct groups){ .group = &g->one };
	if (!n)
		return 0;
	g->one = (struct group){ .resource = spans[0]->resource, .last = n - 1, .n = n };
	g->n = 1;
	if (run_length(spans, n) == n)
		return 0;
	while (slots < 2 * (size_t)n)
		slots *= 2;
	bytes = n * sizeof(struct group) + (n + slots) * sizeof(uint32_t);
	g->memory = malloc(bytes);
	if (!g->memory)
		return -ENOMEM;
	g->group = g->memory;
	g->next = (uint32_t *)(g->group + n);
	g->n = 0;
	table = g->next + n;
	memset(table, 0xff, slots * sizeof(*table));
	for (uint32_t i = 0; i < n; i++)
		chain(g, find_or_add(g, table, (uint32_t)slots - 1, spans[i]->resource), i);
	return 0;
}

void groups_fini(struct groups *g)
{
	free(g->memory);
	g->memory = NULL;
}
