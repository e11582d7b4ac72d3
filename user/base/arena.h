/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is freed in one place. An arena hands out bytes and never takes single ones back; its
 * blocks come from a pool, which keeps a few free ones and holds all its arenas below one limit.
 * Not for threads. Alignment is 16.
 */
#ifndef SPANDREL_BASE_ARENA_H
#define SPANDREL_BASE_ARENA_H

#include <stddef.h>

#include "base/slice.h"

#define ARENA_BLOCK 3072 /* a span of HTTP or gRPC; usable bytes are a little less; larger requests get a block of their own */

struct arena_block;

struct arena_pool {
	struct arena_block *free;
	size_t n_free;
	size_t used;  /* bytes in blocks handed out */
	size_t limit; /* never exceeded */
};

struct arena {
	struct arena_pool *pool;
	struct arena_block *blocks;
	char *at, *end;
};

void arena_pool_init(struct arena_pool *pool, size_t limit);
void arena_pool_fini(struct arena_pool *pool); /* every arena of it must be gone */

void arena_init(struct arena *a, struct arena_pool *pool); /* allocates nothing */
void arena_fini(struct arena *a);
/* Uninitialised bytes, or NULL at the pool's limit or without memory. Valid until arena_fini. */
void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);
/* A copy that belongs to the arena. An empty slice succeeds without allocating; failure gives p = NULL, n = 0. */
struct slice arena_copy(struct arena *a, struct slice s);

#endif
