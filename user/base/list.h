/* SPDX-License-Identifier: Apache-2.0 */
/* Doubly linked list inside the elements. A head is a struct list linked to itself. */
#ifndef SPANDREL_BASE_LIST_H
#define SPANDREL_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_push(struct list *head, struct list *item) /* at the end */
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

/* Also safe on an element that was removed or only initialised. */
static inline void list_del(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

static inline struct list *list_pop(struct list *head) /* first, or NULL */
{
	struct list *item = head->next;

	if (item == head)
		return NULL;
	list_del(item);
	return item;
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_for_each(pos, head) for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
/* pos may be removed inside the loop */
#define list_for_each_safe(pos, head)                                                              \
	for (struct list *pos = (head)->next, *_next = pos->next; pos != (head);                   \
	     pos = _next, _next = pos->next)

#endif
