/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reading end of a BPF ring buffer (kernel: kernel/bpf/ringbuf.c). One reader. The data is mapped twice in a row, so that no
 * record is in two parts.
 */
#ifndef SPANDREL_PROBE_RING_H
#define SPANDREL_PROBE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	uint64_t *consumer;	  /* page of our position, writable */
	const uint64_t *producer; /* page of the kernel's, followed by the data twice */
	const char *data;
	size_t size, page;
	int epoll; /* edge-triggered: readable only when the kernel meant to wake us */
	bool armed;
};

int ring_init(struct ring *r, int map_fd, size_t size); /* 0 or -errno */
void ring_fini(struct ring *r);			    /* safe on a zeroed struct */
/* Calls fn for each record until there is none or `max` passed; how many. */
int ring_read(struct ring *r, void (*fn)(void *arg, const void *record, size_t size), void *arg, int max);
bool ring_empty(const struct ring *r);
/* The position behind what was reserved so far; and whether the reader has come there. */
uint64_t ring_end(const struct ring *r);
bool ring_reached(const struct ring *r, uint64_t end);

#endif
