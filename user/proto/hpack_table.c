// SPDX-License-Identifier: Apache-2.0
/*
 * The dynamic table: a ring of entries, and one piece of memory for their strings, which are stored in the order of
 * insertion and therefore leave from its front. When its end is reached what is left moves to the front, which is seldom,
 * because there is room for twice as much.
 */
#include "proto/hpack_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

struct hpack_entry {
	uint32_t at; /* of the name, the value behind it; counts like `end` */
	uint16_t name_n, value_n;
	uint8_t flags;
};

_Static_assert(HPACK_KEEP_MAX <= UINT16_MAX, "lengths fit an entry");

#define SLOTS_MIN 16
#define BYTES_MIN 512

void hpack_table_fini(struct hpack_table *t)
{
	free(t->ring);
	free(t->bytes);
	*t = (struct hpack_table){ 0 };
}

void hpack_table_clear(struct hpack_table *t, bool old)
{
	t->n = t->size = 0;
	t->base = t->end;
	t->old = old;
}

static struct hpack_entry *entry(const struct hpack_table *t, uint32_t index)
{
	return &t->ring[(t->newest + 1 - index) & (t->slots - 1)];
}

static uint32_t entry_size(const struct hpack_entry *e)
{
	return HPACK_ENTRY_SIZE + e->name_n + e->value_n;
}

bool hpack_table_get(const struct hpack_table *t, uint32_t index, struct hpack_field *f)
{
	const struct hpack_entry *e;
	const char *p;

	if (index > t->n)
		return false;
	e = entry(t, index);
	p = t->bytes ? t->bytes + (e->at - t->base) : "";
	f->name = slice_of(p, e->name_n);
	f->value = slice_of(p + e->name_n, e->value_n);
	f->flags = e->flags;
	return true;
}

/* Until `room` more fits. What goes because of our own limit may still be in the real table. */
static void evict(struct hpack_table *t, uint32_t room)
{
	uint32_t keep = MIN(t->max, (uint32_t)HPACK_KEEP_MAX);

	while (t->n && t->size + room > keep) {
		t->size -= entry_size(entry(t, t->n--));
		t->old |= t->max > HPACK_KEEP_MAX;
	}
}

/* Nothing that is older than the known entries fits beside them. */
static void forget_old(struct hpack_table *t)
{
	if (t->size + HPACK_ENTRY_SIZE > t->max)
		t->old = false;
}

void hpack_table_set_max(struct hpack_table *t, uint32_t max)
{
	t->max = max;
	evict(t, 0);
	forget_old(t);
}

static int ring_room(struct hpack_table *t)
{
	uint32_t slots = t->slots ? t->slots * 2 : SLOTS_MIN;
	struct hpack_entry *ring;

	if (t->n < t->slots)
		return 0;
	ring = malloc(slots * sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n; i++)
		ring[i] = *entry(t, t->n - i);
	free(t->ring);
	t->ring = ring;
	t->slots = slots;
	t->newest = t->n - 1; /* wraps when there is none */
	return 0;
}

static int bytes_room(struct hpack_table *t, uint32_t n)
{
	uint32_t from = t->n ? entry(t, t->n)->at : t->end, live = t->end - from;
	uint32_t cap = t->cap ? t->cap : BYTES_MIN;
	char *p;

	if (t->end - t->base + n <= t->cap)
		return 0;
	while (cap < 2 * (live + n))
		cap *= 2;
	if (cap == t->cap) {
		memmove(t->bytes, t->bytes + (from - t->base), live);
		t->base = from;
		return 0;
	}
	p = malloc(cap);
	if (!p)
		return -ENOMEM;
	if (live)
		memcpy(p, t->bytes + (from - t->base), live);
	free(t->bytes);
	t->bytes = p;
	t->cap = cap;
	t->base = from;
	return 0;
}

static void store(struct hpack_table *t, struct slice s)
{
	if (s.n)
		memcpy(t->bytes + (t->end - t->base), s.p, s.n);
	t->end += (uint32_t)s.n;
}

int hpack_table_insert(struct hpack_table *t, const struct hpack_field *f)
{
	struct hpack_entry e = { 0, (uint16_t)f->name.n, (uint16_t)f->value.n, f->flags };
	int err;

	evict(t, entry_size(&e));
	err = ring_room(t);
	if (!err)
		err = bytes_room(t, e.name_n + e.value_n);
	if (err)
		return err;
	e.at = t->end;
	store(t, f->name);
	store(t, f->value);
	t->newest++;
	t->n++;
	*entry(t, 1) = e;
	t->size += entry_size(&e);
	forget_old(t);
	return 0;
}
