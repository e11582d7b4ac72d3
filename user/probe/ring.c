// SPDX-License-Identifier: Apache-2.0
#include "probe/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

/* Space is given back in pieces: each time the producers' next reservation misses its cache. */
#define RING_RETURN (16 * 1024)

static int map_pages(struct ring *r, int fd)
{
	void *p = mmap(NULL, r->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	r->consumer = p;
	p = mmap(NULL, r->page + 2 * r->size, PROT_READ, MAP_SHARED, fd, (off_t)r->page);
	if (p == MAP_FAILED)
		return -errno;
	r->producer = p;
	r->data = (const char *)p + r->page;
	return 0;
}

int ring_init(struct ring *r, int map_fd, size_t size)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int err;

	*r = (struct ring){ .size = size, .page = (size_t)sysconf(_SC_PAGESIZE), .epoll = -1, .armed = true };
	err = map_pages(r, map_fd);
	if (err)
		return err;
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll < 0)
		return -errno;
	return epoll_ctl(r->epoll, EPOLL_CTL_ADD, map_fd, &ev) ? -errno : 0;
}

void ring_fini(struct ring *r)
{
	if (r->consumer) {
		munmap(r->consumer, r->page);
		if (r->epoll >= 0)
			close(r->epoll);
	}
	if (r->producer)
		munmap((void *)r->producer, r->page + 2 * r->size);
	*r = (struct ring){ .epoll = -1 };
}

static uint64_t load(const void *p)
{
	return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE);
}

bool ring_empty(const struct ring *r)
{
	return load(r->producer) == *r->consumer;
}

uint64_t ring_end(const struct ring *r)
{
	return load(r->producer);
}

bool ring_reached(const struct ring *r, uint64_t end)
{
	return *r->consumer >= end;
}

/* Takes the wake-up that brought us here off the descriptor. */
static void ring_disarm(struct ring *r)
{
	struct epoll_event ev;

	if (r->armed)
		epoll_wait(r->epoll, &ev, 1, 0);
	r->armed = false;
}

int ring_read(struct ring *r, void (*fn)(void *arg, const void *record, size_t size), void *arg, int max)
{
	uint64_t at = *r->consumer, end = load(r->producer);
	int n = 0;

	ring_disarm(r);
	while (n < max && at != end) {
		const char *record = r->data + (at & (r->size - 1));
		uint32_t len = __atomic_load_n((const uint32_t *)record, __ATOMIC_ACQUIRE);

		if (len & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(len & BPF_RINGBUF_DISCARD_BIT)) {
			fn(arg, record + BPF_RINGBUF_HDR_SZ, len);
			n++;
		}
		len &= ~(uint32_t)BPF_RINGBUF_DISCARD_BIT;
		at += (len + BPF_RINGBUF_HDR_SZ + 7) & ~7U;
		if (at - *r->consumer >= RING_RETURN)
			__atomic_store_n(r->consumer, at, __ATOMIC_RELEASE);
	}
	__atomic_store_n(r->consumer, at, __ATOMIC_RELEASE);
	return n;
}
