// SPDX-License-Identifier: Apache-2.0
/* Streams of frames, cut anywhere: what the framing says nobody reads is not copied, everything else is, whatever its offset. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "capture.h"
#include "frames.h"
#include "probe/probe.h"

#define OP_MAX 40000 /* a few frames to pass over in one operation: more are copied */

static struct end c, s;
static char buf[OP_MAX];
static uint32_t state;

static uint32_t some(uint32_t limit)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % limit;
}

static void salt(struct end *e, uint32_t out, uint32_t in)
{
	e->salt[DIR_SEND] = out;
	e->salt[DIR_RECV] = in;
	if (e->id >= 0)
		memcpy(expected->ends[e->id].salt, e->salt, sizeof(e->salt));
}

static void begin(int how, uint32_t seed)
{
	state = seed;
	act_pair(&c, &s, how);
	salt(&c, FRAMED | 0x101, FRAMED | 0x200);
	salt(&s, FRAMED | 0x200, FRAMED | 0x101);
}

/* Writes down n bytes, in the pieces that the framing makes of them. */
static void moved(struct end *e, int dir, size_t n)
{
	while (n) {
		bool passed = framed_passed(e->salt[dir], e->off[dir]);
		size_t run = 1;

		while (run < n && framed_passed(e->salt[dir], e->off[dir] + run) == passed)
			run++;
		act_moved(e, dir, run, passed ? HOLE_SKIPPED : HOLE_NONE);
		n -= run;
	}
}

/* A vector of elements of any length, some of none. */
static int split(struct iovec *v, size_t n)
{
	int count = 0;

	for (size_t at = 0; at < n; count++) {
		size_t len = count == 39 ? n - at : some(4) ? some(2000) : some(3);

		v[count] = (struct iovec){ buf + at, len < n - at ? len : n - at };
		at += v[count].iov_len;
	}
	return count;
}

static void send_some(struct end *e, size_t n)
{
	struct iovec v[40];
	struct msghdr m = { .msg_iov = v };
	ssize_t done;

	act_fill(e, DIR_SEND, buf, n);
	m.msg_iovlen = (size_t)split(v, n);
	switch (some(3)) {
	case 0: done = write(e->fd, buf, n); break;
	case 1: done = writev(e->fd, v, (int)m.msg_iovlen); break;
	default: done = sendmsg(e->fd, &m, 0); break;
	}
	MUST(done == (ssize_t)n);
	moved(e, DIR_SEND, n);
}

static void receive_some(struct end *e, size_t n)
{
	struct iovec v[40];
	ssize_t got;

	for (size_t at = 0; at < n; at += (size_t)got) {
		size_t want = n - at;

		want = some(2) ? want : 1 + some((uint32_t)want);
		got = some(2) ? read(e->fd, buf, want) : readv(e->fd, v, split(v, want));
		MUST(got > 0);
		act_check(e, buf, (size_t)got);
		moved(e, DIR_RECV, (size_t)got);
	}
}

static void first(struct end *from, struct end *to, size_t n)
{
	act_send(from, n);
	act_recv(to, n);
}

static void both_ways(int how, uint32_t seed, size_t smallest, size_t largest, size_t total)
{
	begin(how, seed);
	first(&c, &s, 24 + 7); /* the magic is in one piece */
	first(&s, &c, 7);
	for (size_t at = 0; at < total;) {
		struct end *from = some(2) ? &c : &s;
		size_t n = smallest + some((uint32_t)(largest - smallest));

		send_some(from, n);
		receive_some(from == &c ? &s : &c, n);
		at += n;
	}
}

static void large(void)
{
	both_ways(IPV4, 1, 1000, OP_MAX, 600000);
}

static void small(void)
{
	both_ways(IPV6, 2, 1, 60, 30000);
}

static void mixed(void)
{
	both_ways(UNIX_PATH, 3, 1, 9000, 400000);
}

/* Of `e`: all bytes are copied. */
static void send_all(struct end *e, size_t n)
{
	act_send(e, n);
	act_recv(e == &c ? &s : &c, n);
}

#define FIRST 49 /* magic and first frame */

/* A beginning that nothing can be told from, until user space finds a frame of one of the ends. */
static void joined(void)
{
	begin(IPV4, 4);
	send_all(&c, 3);
	send_all(&c, FIRST - 3);
	act_pause(1);
	send_some(&c, 7000);
	act_recv(&s, 7000);
}

static void tell(void *probe, const struct ev_data *d, struct expected *x)
{
	static uint64_t conn;

	(void)x;
	if (d && d->dir == DIR_SEND)
		conn = d->conn;
	else if (!d)
		probe_frames(probe, conn, 0, (const uint64_t[2]){ 0, FIRST });
}

/* Bytes that the program discards are not looked at: from there on nothing is passed over. */
static void unseen(void)
{
	begin(IPV4, 5);
	first(&c, &s, 24 + 7);
	send_some(&c, 2000);
	receive_some(&s, 500);
	MUST(recv(s.fd, buf, 1500, MSG_TRUNC) == 1500);
	act_moved(&s, DIR_RECV, 1500, HOLE_TRUNC);
	send_some(&c, 9000);
	act_recv(&s, 9000);
}

const struct capture_case cases_frames[] = {
	{ "frames, large operations", large, NULL, true },
	{ "frames, small operations", small, NULL, true },
	{ "frames, UNIX", mixed, NULL, true },
	{ "frames, joined", joined, tell, true },
	{ "frames, unseen", unseen, NULL, true },
	{ 0 },
};
