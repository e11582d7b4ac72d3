/* SPDX-License-Identifier: Apache-2.0 */
/* xoshiro256**: ids for traces and spans. Seeded by the kernel when live, by the recording when replayed. Not for secrets. */
#ifndef SPANDREL_BASE_RNG_H
#define SPANDREL_BASE_RNG_H

#include <stdint.h>

struct rng {
	uint64_t s[4];
};

static inline void rng_seed(struct rng *r, uint64_t a, uint64_t b)
{
	uint64_t x = a;

	for (int i = 0; i < 4; i++) { /* splitmix64; never all zero */
		uint64_t z = (x += 0x9e3779b97f4a7c15ULL);

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
		r->s[i] = (z ^ (z >> 31)) ^ (i & 1 ? b : 0);
	}
	r->s[0] |= 1;
}

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t *s = r->s, m = s[1] * 5, result = ((m << 7) | (m >> 57)) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = (s[3] << 45) | (s[3] >> 19);
	return result;
}

#endif
