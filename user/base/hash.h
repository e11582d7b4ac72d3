/* SPDX-License-Identifier: Apache-2.0 */
/* FNV-1a, 64 bits: the same for the same bytes, in every run and on every machine. Not for keys that an enemy may choose alone. */
#ifndef SPANDREL_BASE_HASH_H
#define SPANDREL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_BEGIN 0xcbf29ce484222325ULL

/* Goes on from `hash`: HASH_BEGIN, with a seed added or not, or what the bytes before gave. */
static inline uint64_t hash_bytes(uint64_t hash, const void *p, size_t n)
{
	const uint8_t *c = p;

	while (n--)
		hash = (hash ^ *c++) * 0x100000001b3ULL;
	return hash;
}

#endif
