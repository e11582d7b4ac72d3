// SPDX-License-Identifier: Apache-2.0
#include "steer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/scope.h"

#define LOOK_NS (250 * NS_PER_MS)
#define STAT_MAX (64 * 1024) /* of /proc/stat: the processors come first */
#define OWN_MIN 0.03f	     /* a thread that uses less disturbs nobody */
#define FULL 0.10f	     /* less left: the processor is saturated */
#define MARGIN 0.05f	     /* what the other one must have left beside our own share */

int steer_init(struct steer *s)
{
	*s = (struct steer){ .stat = open("/proc/stat", O_RDONLY | O_CLOEXEC) };
	if (s->stat < 0)
		return -errno;
	s->cpus = calloc(STEER_CPUS, sizeof(*s->cpus));
	return s->cpus ? 0 : -ENOMEM;
}

void steer_fini(struct steer *s)
{
	close_fd(&s->stat);
	free(s->cpus);
	s->cpus = NULL;
}

static void note(struct steer_cpu *c, uint64_t idle, uint64_t total)
{
	uint64_t period = total - c->total;

	/* idle counts may go backwards by a tick (proc(5)) */
	c->free = total <= c->total || idle <= c->idle ? 0 : (float)(idle - c->idle) / (float)period;
	c->idle = idle;
	c->total = total;
}

/* "cpuN user nice system idle iowait irq softirq steal …": what follows counts twice what is in user and nice. */
static void note_line(struct steer *s, const char *line)
{
	enum { IDLE = 3, IOWAIT = 4, FIELDS = 8 };
	char *at;
	unsigned long cpu = strtoul(line + 3, &at, 10);
	uint64_t idle = 0, total = 0;

	if (at == line + 3 || cpu >= STEER_CPUS)
		return;
	for (int i = 0; i < FIELDS; i++) {
		uint64_t ticks = strtoull(at, &at, 10);

		total += ticks;
		idle += i == IDLE || i == IOWAIT ? ticks : 0;
	}
	note(&s->cpus[cpu], idle, total);
}

void steer_counts(struct steer *s, const char *text)
{
	for (int i = 0; i < STEER_CPUS; i++) /* one that is not listed is offline */
		s->cpus[i].free = 0;
	while (!strncmp(text, "cpu", 3)) {
		const char *next = strchr(text, '\n');

		if (!next) /* cut short */
			return;
		if (text[3] != ' ')
			note_line(s, text);
		text = next + 1;
	}
}

int steer_choose(const struct steer *s, const bool *allowed, int here, float own)
{
	int best = -1;

	if (here < 0 || here >= STEER_CPUS || own < OWN_MIN || s->cpus[here].free >= FULL)
		return -1;
	for (int i = 0; i < STEER_CPUS; i++)
		if (allowed[i] && i != here && (best < 0 || s->cpus[i].free > s->cpus[best].free))
			best = i;
	return best >= 0 && s->cpus[best].free >= own + MARGIN ? best : -1;
}

/* Forces a migration by an affinity of one processor, then gives the old one back. */
static void move_to(int cpu, const cpu_set_t *allowed)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (!sched_setaffinity(0, sizeof(one), &one))
		sched_setaffinity(0, sizeof(*allowed), allowed);
}

static void look(struct steer *s, float own)
{
	char text[STAT_MAX];
	ssize_t n = pread(s->stat, text, sizeof(text) - 1, 0);
	bool may[STEER_CPUS], fresh = s->fresh;
	cpu_set_t allowed;
	int to;

	s->fresh = n > 0;
	if (n <= 0)
		return;
	text[n] = 0;
	steer_counts(s, text);
	if (!fresh || sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	for (int i = 0; i < STEER_CPUS; i++)
		may[i] = i < CPU_SETSIZE && CPU_ISSET(i, &allowed);
	to = steer_choose(s, may, sched_getcpu(), own);
	if (to >= 0)
		move_to(to, &allowed);
}

void steer_turn(struct steer *s, uint64_t now)
{
	uint64_t used;
	float own;

	if (!s->cpus || now < s->next)
		return;
	used = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	own = (float)(used - s->used) / (float)(now - s->last);
	s->used = used;
	s->last = now;
	s->next = now + LOOK_NS;
	if (own >= OWN_MIN)
		look(s, own);
	else
		s->fresh = false; /* what was read last is too old by the next look */
}
