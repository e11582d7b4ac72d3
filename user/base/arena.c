// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define KEEP_FREE 2560 /* blocks of the spans of some batches in flight; 7.5 MiB */

struct arena_block {
	struct arena_block *next;
	size_t size; /* of the allocation */
};

#define HEAD ((sizeof(struct arena_block) + 15) & ~(size_t)15)

void arena_pool_init(struct arena_pool *pool, size_t limit)
{
	*pool = (struct arena_pool){ .limit = limit };
}

void arena_pool_fini(struct arena_pool *pool)
{
	while (pool->free) {
		struct arena_block *b = pool->free;

		pool->free = b->next;
		free(b);
	}
	pool->n_free = 0;
}

static struct arena_block *block_get(struct arena_pool *pool, size_t size)
{
	struct arena_block *b = pool->free;

	if (size > pool->limit || pool->used > pool->limit - size)
		return NULL;
	if (size == ARENA_BLOCK && b) {
		pool->free = b->next;
		pool->n_free--;
	} else {
		b = malloc(size);
		if (!b)
			return NULL;
		b->size = size;
	}
	pool->used += size;
	return b;
}

static void block_put(struct arena_pool *pool, struct arena_block *b)
{
	pool->used -= b->size;
	if (b->size != ARENA_BLOCK || pool->n_free >= KEEP_FREE) {
		free(b);
		return;
	}
	b->next = pool->free;
	pool->free = b;
	pool->n_free++;
}

void arena_init(struct arena *a, struct arena_pool *pool)
{
	*a = (struct arena){ .pool = pool };
}

void arena_fini(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *b = a->blocks;

		a->blocks = b->next;
		block_put(a->pool, b);
	}
	a->at = a->end = NULL;
}

static void *alloc_large(struct arena *a, size_t n)
{
	struct arena_block *b = block_get(a->pool, HEAD + n);

	if (!b)
		return NULL;
	if (a->blocks) { /* behind the current block, which stays current */
		b->next = a->blocks->next;
		a->blocks->next = b;
	} else {
		b->next = NULL;
		a->blocks = b;
	}
	return (char *)b + HEAD;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct arena_block *b;
	char *p;

	if (n > SIZE_MAX - HEAD - 16)
		return NULL;
	n = (n + 15) & ~(size_t)15;
	if (n <= (size_t)(a->end - a->at)) {
		p = a->at;
		a->at += n;
		return p;
	}
	if (n > ARENA_BLOCK / 2)
		return alloc_large(a, n);
	b = block_get(a->pool, ARENA_BLOCK);
	if (!b)
		return NULL;
	b->next = a->blocks;
	a->blocks = b;
	p = (char *)b + HEAD;
	a->at = p + n;
	a->end = (char *)b + ARENA_BLOCK;
	return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
	void *p = arena_alloc(a, n);

	if (p)
		memset(p, 0, n);
	return p;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
	char *p;

	if (!s.n)
		return SLICE("");
	p = arena_alloc(a, s.n);
	if (!p)
		return SLICE_NONE;
	bytes_copy(p, s.p, s.n);
	return slice_of(p, s.n);
}
