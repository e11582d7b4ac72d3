// SPDX-License-Identifier: Apache-2.0
/* Open addressing with linear probing; deletion moves the followers back, so there are no tombstones. */
#include "base/table.h"

#include <errno.h>
#include <stdlib.h>

static size_t home(const struct table *t, uint64_t key)
{
	return (size_t)table_mix(key, 0) & (t->cap - 1);
}

void table_init(struct table *t, size_t max)
{
	*t = (struct table){ .max = max };
}

void table_fini(struct table *t)
{
	free(t->slots);
	*t = (struct table){ 0 };
}

static struct table_slot *find(const struct table *t, uint64_t key)
{
	size_t i;

	if (!t->cap)
		return NULL;
	for (i = home(t, key); t->slots[i].value; i = (i + 1) & (t->cap - 1))
		if (t->slots[i].key == key)
			return &t->slots[i];
	return NULL;
}

static void put(struct table *t, uint64_t key, void *value)
{
	size_t i = home(t, key);

	while (t->slots[i].value)
		i = (i + 1) & (t->cap - 1);
	t->slots[i] = (struct table_slot){ key, value };
	t->n++;
}

static int grow(struct table *t)
{
	struct table old = *t;

	t->cap = old.cap ? old.cap * 2 : 64;
	t->slots = calloc(t->cap, sizeof(*t->slots));
	if (!t->slots) {
		*t = old;
		return -ENOMEM;
	}
	t->n = 0;
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].value)
			put(t, old.slots[i].key, old.slots[i].value);
	free(old.slots);
	return 0;
}

void *table_get(const struct table *t, uint64_t key)
{
	const struct table_slot *s = find(t, key);

	return s ? s->value : NULL;
}

int table_set(struct table *t, uint64_t key, void *value)
{
	struct table_slot *s = find(t, key);
	int r;

	if (s) {
		s->value = value;
		return 0;
	}
	if (t->n >= t->max)
		return -ENOSPC;
	if (t->n + 1 > t->cap - t->cap / 4) {
		r = grow(t);
		if (r)
			return r;
	}
	put(t, key, value);
	return 0;
}

void *table_del(struct table *t, uint64_t key)
{
	struct table_slot *s = find(t, key);
	size_t hole, i;
	void *value;

	if (!s)
		return NULL;
	value = s->value;
	hole = (size_t)(s - t->slots);
	for (i = (hole + 1) & (t->cap - 1); t->slots[i].value; i = (i + 1) & (t->cap - 1)) {
		size_t want = home(t, t->slots[i].key);

		if (((i - want) & (t->cap - 1)) < ((i - hole) & (t->cap - 1)))
			continue; /* it may not move before its home */
		t->slots[hole] = t->slots[i];
		hole = i;
	}
	t->slots[hole].value = NULL;
	t->n--;
	return value;
}

void *table_next(const struct table *t, size_t *at, uint64_t *key)
{
	while (*at < t->cap) {
		const struct table_slot *s = &t->slots[(*at)++];

		if (!s->value)
			continue;
		if (key)
			*key = s->key;
		return s->value;
	}
	return NULL;
}
