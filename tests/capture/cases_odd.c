// SPDX-License-Identifier: Apache-2.0
/* Calls whose registers lie, and what user space asks not to be copied. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "capture.h"
#include "probe/probe.h"

static struct end c, s;
static char buf[1 << 20];

/* ---- 32-bit calls ---- */

#ifdef __x86_64__
static long call32(long nr, long a, long b, long d)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(a), "c"(b), "d"(d) : "memory", "r8", "r9", "r10", "r11");
	return (int)r;
}

static void calls_32bit(void)
{
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	act_pair(&c, &s, IPV4);
	MUST(low != MAP_FAILED);
	act_fill(&c, DIR_SEND, low, 100);
	errno = 0;
	if (call32(4, c.fd, (long)low, 100) == -ENOSYS)
		act_skip("no 32-bit calls in this kernel");
	act_moved(&c, DIR_SEND, 100, act_blind(HOLE_FOREIGN));
	MUST(call32(3, s.fd, (long)low, 60) == 60);
	act_moved(&s, DIR_RECV, 60, act_blind(HOLE_FOREIGN));
	act_recv(&s, 40);
}
#else
static void calls_32bit(void)
{
	act_skip("other architecture");
}
#endif

/* ---- io_uring, by its system calls ---- */

struct uring {
	int fd;
	struct io_uring_params p;
	struct io_uring_sqe *sqes;
	char *sq, *cq;
};

static void uring_init(struct uring *u, unsigned flags)
{
	*u = (struct uring){ .p.flags = flags };
	u->fd = (int)syscall(SYS_io_uring_setup, 8, &u->p);
	if (u->fd < 0)
		act_skip("no io_uring here");
	u->sq = mmap(NULL, u->p.sq_off.array + 8 * 4, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd, IORING_OFF_SQ_RING);
	u->cq = mmap(NULL, u->p.cq_off.cqes + 16 * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
		     IORING_OFF_CQ_RING);
	u->sqes = mmap(NULL, 8 * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, u->fd, IORING_OFF_SQES);
	MUST(u->sq != MAP_FAILED && u->cq != MAP_FAILED && u->sqes != MAP_FAILED);
}

static void uring_put(struct uring *u, int op, int fd, void *p, unsigned n, unsigned flags)
{
	unsigned *tail = (unsigned *)(void *)(u->sq + u->p.sq_off.tail), *array = (unsigned *)(void *)(u->sq + u->p.sq_off.array);
	unsigned i = *tail & 7;

	u->sqes[i] = (struct io_uring_sqe){ .opcode = (uint8_t)op, .fd = fd, .addr = (uintptr_t)p, .len = n, .flags = (uint8_t)flags };
	array[i] = i;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

static int uring_result(struct uring *u)
{
	unsigned *head = (unsigned *)(void *)(u->cq + u->p.cq_off.head), *tail = (unsigned *)(void *)(u->cq + u->p.cq_off.tail);
	struct io_uring_cqe *cqes = (void *)(u->cq + u->p.cq_off.cqes);
	int r;

	while (*head == __atomic_load_n(tail, __ATOMIC_ACQUIRE))
		usleep(1000);
	r = cqes[*head & *(unsigned *)(void *)(u->cq + u->p.cq_off.ring_mask)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return r;
}

static void uring_enter(struct uring *u, unsigned submit, unsigned wait)
{
	MUST(syscall(SYS_io_uring_enter, u->fd, submit, wait, wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0) >= 0);
}

static void uring_moves(unsigned flags)
{
	struct uring u;

	act_pair(&c, &s, IPV4);
	uring_init(&u, 0);
	act_fill(&c, DIR_SEND, buf, 500);
	uring_put(&u, IORING_OP_SEND, c.fd, buf, 500, flags);
	uring_enter(&u, 1, 1);
	MUST(uring_result(&u) == 500);
	act_moved(&c, DIR_SEND, 500, act_blind(HOLE_IO_URING));
	uring_put(&u, IORING_OP_RECV, s.fd, buf, 300, flags);
	uring_enter(&u, 1, 1);
	MUST(uring_result(&u) == 300);
	act_moved(&s, DIR_RECV, 300, act_blind(HOLE_IO_URING));
	act_recv(&s, 200);
}

static void uring_inline(void)
{
	uring_moves(0);
}

static void uring_worker(void)
{
	uring_moves(IOSQE_ASYNC);
}

/*
 * A receive that waits is completed on the way out of whatever call comes next; here calls that read and write the same sockets,
 * whose registers therefore look right.
 */
static void uring_late(void)
{
	struct uring u;
	struct end c2, s2;
	char got[300];

	act_pair(&c, &s, IPV4);
	act_pair(&c2, &s2, IPV4);
	uring_init(&u, 0);
	uring_put(&u, IORING_OP_RECV, s.fd, got, 300, 0);
	uring_enter(&u, 1, 0);
	act_send(&c2, 10);
	act_send(&c, 300); /* wakes the receive: it runs when this call returns */
	MUST(recv(s.fd, buf, 10, MSG_DONTWAIT) == -1);
	MUST(uring_result(&u) == 300);
	act_check(&s, got, 300);
	act_moved(&s, DIR_RECV, 300, act_blind(HOLE_IO_URING));
	act_recv(&s2, 10);
}

/* ---- budget and verdicts ---- */

static void *drain(void *arg)
{
	size_t n = *(size_t *)arg;

	while (n) {
		ssize_t got = recv(s.fd, buf + (1 << 19), n < 4096 ? n : 4096, 0);

		if (got <= 0)
			break;
		n -= (size_t)got;
	}
	return NULL;
}

/* The other end is read by another thread, of which this case expects nothing but the bytes. */
static void send_drained(size_t n)
{
	pthread_t t;

	act_fill(&c, DIR_SEND, buf, n);
	MUST(!pthread_create(&t, NULL, drain, &n));
	for (size_t at = 0; at < n;) {
		ssize_t r = write(c.fd, buf + at, n - at);

		MUST(r > 0);
		at += (size_t)r;
	}
	pthread_join(t, NULL);
}

static void budget(void)
{
	act_pair(&c, &s, IPV4);
	send_drained(300000);
	act_moved(&c, DIR_SEND, TURN_BUDGET, HOLE_NONE);
	act_moved(&c, DIR_SEND, 300000 - TURN_BUDGET, HOLE_BUDGET);
	act_moved(&s, DIR_RECV, TURN_BUDGET, HOLE_NONE);
	act_moved(&s, DIR_RECV, 300000 - TURN_BUDGET, HOLE_BUDGET);
	act_send(&s, 10); /* the turn changes, a new budget begins */
	act_recv(&c, 10);
	act_send(&c, 20);
	act_recv(&s, 20);
}

static void judged(void)
{
	act_pair(&c, &s, IPV4);
	act_send(&c, 100);
	act_pause(1); /* the checker now asks to pass over [100, 1100) */
	act_fill(&c, DIR_SEND, buf, 400);
	MUST(write(c.fd, buf, 400) == 400);
	act_moved(&c, DIR_SEND, 400, HOLE_UNSEEN); /* no record: a gap */
	act_fill(&c, DIR_SEND, buf, 600);
	MUST(write(c.fd, buf, 600) == 600);
	act_moved(&c, DIR_SEND, 600, HOLE_SKIPPED); /* reaches the offset: a record without bytes */
	act_send(&c, 100);
	act_pause(2); /* pass over up to 1500 */
	act_fill(&c, DIR_SEND, buf, 500);
	MUST(write(c.fd, buf, 500) == 500);
	act_moved(&c, DIR_SEND, 300, HOLE_UNSEEN); /* crosses it: a record from there */
	act_moved(&c, DIR_SEND, 200, HOLE_NONE);
	act_pause(3); /* nothing at all any more */
	MUST(write(c.fd, buf, 500) == 500);
}

static void judge(void *probe, const struct ev_data *d, struct expected *x)
{
	uint64_t skip[2] = { 0, 0 }, grant[2] = { 0, 0 };
	static uint64_t conn;

	if (d)
		conn = d->conn;
	else if (x->stage == 1)
		skip[DIR_SEND] = 1100;
	else if (x->stage == 2)
		skip[DIR_SEND] = 1500;
	else
		skip[DIR_SEND] = skip[DIR_RECV] = ~0ULL;
	if (!d)
		probe_verdict(probe, conn, skip, grant);
}

static void granted(void)
{
	act_pair(&c, &s, IPV4);
	act_send(&c, 100);
	act_recv(&s, 100);
	act_pause(1);
	send_drained(150000);
	act_moved(&c, DIR_SEND, 150000, HOLE_NONE);
	act_moved(&s, DIR_RECV, TURN_BUDGET - 100, HOLE_NONE);
	act_moved(&s, DIR_RECV, 150000 - (TURN_BUDGET - 100), HOLE_BUDGET);
}

static void grant(void *probe, const struct ev_data *d, struct expected *x)
{
	uint64_t none[2] = { 0, 0 }, all[2] = { 0, 1 << 20 };
	static uint64_t conn;

	(void)x;
	if (!d)
		probe_verdict(probe, conn, none, all);
	else if (d->dir == DIR_SEND)
		conn = d->conn;
}

/* ---- the tracer itself ---- */

static void tracer_connects(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0), fd;

	MUST(!bind(l, (void *)&a, len) && !listen(l, 1) && !getsockname(l, (void *)&a, &len));
	expected->port = ntohs(a.sin_port);
	act_pause(1);
	fd = accept(l, NULL, NULL);
	MUST(read(fd, buf, 10) == 10);
	MUST(write(fd, buf, 20) == 20); /* none of it is reported */
}

static void connect_there(void *probe, const struct ev_data *d, struct expected *x)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = d ? -1 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)probe;
	if (d)
		return;
	a.sin_port = htons((uint16_t)x->port);
	if (connect(fd, (void *)&a, sizeof(a)) || write(fd, "0123456789", 10) != 10)
		perror("connect");
}

/* A discarded part is no part on a UNIX socket: the flag means nothing there. */
static void unix_trunc(void)
{
	act_pair(&c, &s, UNIX_PAIR);
	act_send(&c, 100);
	MUST(recv(s.fd, buf, 100, MSG_TRUNC) == 100);
	act_check(&s, buf, 100);
	act_moved(&s, DIR_RECV, 100, HOLE_NONE);
}

const struct capture_case cases_odd[] = {
	{ "32-bit calls", calls_32bit, NULL, false },
	{ "io_uring, inline", uring_inline, NULL, false },
	{ "io_uring, worker thread", uring_worker, NULL, false },
	{ "io_uring, completed inside another call", uring_late, NULL, false },
	{ "budget of a turn", budget, NULL, false },
	{ "verdict: pass over", judged, judge, false },
	{ "verdict: grant", granted, grant, false },
	{ "UNIX, MSG_TRUNC", unix_trunc, NULL, false },
	{ "the other end is the tracer", tracer_connects, connect_there, false },
	{ 0 },
};
