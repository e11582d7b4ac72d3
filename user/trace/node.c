// SPDX-License-Identifier: Apache-2.0
#include "trace/node.h"

#define CIRCLE_WALK 64 /* longer circles are opened by --link-timeout */

void node_init(struct node *n, struct exchange *x)
{
	*n = (struct node){.x = x};
	list_init(&n->line.down);
	list_init(&n->line.sibling);
	list_init(&n->own.owned);
	list_init(&n->own.open);
	list_init(&n->own.copies);
	list_init(&n->meet.ring);
	list_init(&n->hold.turn);
	list_init(&n->hold.waiting);
}

bool node_link(struct node *n, struct node *up, enum edge edge)
{
	const struct node *a = up;

	for (int i = 0; a && i < CIRCLE_WALK; i++, a = a->line.up)
		if (a == n)
			return false;
	n->line.up = up;
	n->line.edge = edge;
	list_push(&up->line.down, &n->line.sibling);
	return true;
}

void node_wake(struct node *n, struct list *ready)
{
	if (!n->hold.ended || n->line.up || n->hold.in_grace)
		return;
	list_del(&n->hold.turn);
	list_push(ready, &n->hold.turn);
}

void node_refuse(struct node *n, enum stat_id reason, struct list *ready)
{
	if (!n->line.up && !n->heir.given)
		return;
	stats[reason] += !n->ctx.valid;
	n->line.edge = EDGE_NONE;
	n->heir.given = false;
	n->line.up = NULL;
	list_del(&n->line.sibling);
	node_wake(n, ready);
}

bool index_add(struct table *t, uint64_t key, struct list *item)
{
	struct list *first = table_get(t, key);

	list_init(item);
	if (!first)
		return !table_set(t, key, item);
	list_push(first, item);
	return true;
}

void index_del(struct table *t, uint64_t key, struct list *item)
{
	if (item->next == item) {
		table_del(t, key);
		return;
	}
	if (table_get(t, key) == item)
		table_set(t, key, item->next);
	list_del(item);
}
