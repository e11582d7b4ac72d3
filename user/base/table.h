/* SPDX-License-Identifier: Apache-2.0 */
/* Hash table from a 64-bit key to a pointer, with a limit. Does not own the values. */
#ifndef SPANDREL_BASE_TABLE_H
#define SPANDREL_BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_slot {
	uint64_t key;
	void *value; /* NULL: free */
};

struct table {
	struct table_slot *slots;
	size_t n, cap, max;
};

void table_init(struct table *t, size_t max); /* allocates nothing */
void table_fini(struct table *t);
void *table_get(const struct table *t, uint64_t key);		   /* NULL if absent */
int table_set(struct table *t, uint64_t key, void *value);	   /* value ≠ NULL; 0, -ENOSPC at the limit, -ENOMEM */
void *table_del(struct table *t, uint64_t key);			   /* what was there, or NULL */
/* Walks in no order: *at starts at 0; NULL at the end. The table must not change, but for table_del of any key
 * followed by a new walk. */
void *table_next(const struct table *t, size_t *at, uint64_t *key);

/* One key of two numbers. Each step can be undone, so pairs that differ in one of the numbers alone never have the same key. */
static inline uint64_t table_mix(uint64_t a, uint64_t b)
{
	a *= 0x9e3779b97f4a7c15ULL;
	a ^= a >> 32;
	a += b;
	a *= 0xd6e8feb86659fd93ULL;
	a ^= a >> 32;
	return a;
}

#endif
