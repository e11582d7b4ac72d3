/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the one thread off the processors that the traced programs saturate. The scheduler leaves a thread that wakes
 * every few milliseconds where it was, also beside a program that uses all of that processor while another one idles:
 * the program then loses the time and its caches. So while the thread uses more than a little time, it looks every
 * quarter of a second whether its processor has none left and another one has enough, and moves there. The affinity it
 * was started with (an operator's, a cgroup's) is restored at once: it says where to be now, not where to stay.
 */
#ifndef SPANDREL_STEER_H
#define SPANDREL_STEER_H

#include <stdbool.h>
#include <stdint.h>

#define STEER_CPUS 1024 /* processors above that are never chosen */

struct steer_cpu { /* ticks of /proc/stat */
	uint64_t idle, total;
	float free; /* share of the last period that was idle */
};

struct steer {
	struct steer_cpu *cpus; /* STEER_CPUS of them */
	int stat;		/* /proc/stat */
	uint64_t next, last, used; /* boot time of the next and of the last look; the thread's own time then */
	bool fresh;		   /* cpus holds the last look */
};

/* 0, or -errno: without /proc/stat or memory the thread stays where the scheduler puts it. */
int steer_init(struct steer *s);
void steer_fini(struct steer *s);
/* Called often; does nothing most of the time. */
void steer_turn(struct steer *s, uint64_t now);

/* The processor to move to, or -1: `here` has room, or no other has enough for `own` (share of a processor). */
int steer_choose(const struct steer *s, const bool *allowed, int here, float own);
/* Takes the counts of /proc/stat's text and works out each processor's free share since the last call. */
void steer_counts(struct steer *s, const char *text);

#endif
