/* SPDX-License-Identifier: Apache-2.0 */
/* Boot clock and real time. Stages get times from events; only the edges (loop, exporters) read a clock. */
#ifndef SPANDREL_BASE_CLOCK_H
#define SPANDREL_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S 1000000000ULL
#define NS_PER_MS 1000000ULL

static inline uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static inline uint64_t clock_boot(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

/* Real time minus boot time, in ns: the narrowest of a few readings. */
static inline int64_t clock_offset(void)
{
	uint64_t best = UINT64_MAX;
	int64_t offset = 0;

	for (int i = 0; i < 5; i++) {
		uint64_t a = clock_boot(), real = clock_ns(CLOCK_REALTIME), b = clock_boot();

		if (b - a < best) {
			best = b - a;
			offset = (int64_t)(real - (a + (b - a) / 2));
		}
	}
	return offset;
}

#endif
