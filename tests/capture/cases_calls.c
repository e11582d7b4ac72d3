// SPDX-License-Identifier: Apache-2.0
/* One case for each call that moves bytes, with what each leaves in its arguments. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "capture.h"

static struct end c, s;
static char buf[1 << 20];

static char *filled(size_t n)
{
	act_fill(&c, DIR_SEND, buf, n);
	return buf;
}

/* The server has received n bytes in one call, they stand in p. */
static void received(const void *p, ssize_t n, size_t want)
{
	MUST(n == (ssize_t)want);
	act_check(&s, p, want);
	act_moved(&s, DIR_RECV, want, HOLE_NONE);
}

static void sent(ssize_t n, size_t want)
{
	MUST(n == (ssize_t)want);
	act_moved(&c, DIR_SEND, want, HOLE_NONE);
}

static void read_write(void)
{
	act_pair(&c, &s, IPV4);
	for (size_t n = 1; n <= 60000; n = n * 3 + 7) {
		act_send(&c, n);
		act_recv(&s, n);
		act_send(&s, n / 2 + 1);
		act_recv(&c, n / 2 + 1);
	}
}

static void send_recv(void)
{
	act_pair(&c, &s, IPV4);
	sent(send(c.fd, filled(700), 700, MSG_NOSIGNAL), 700);
	received(buf, recv(s.fd, buf, sizeof(buf), 0), 700);
	sent(sendto(c.fd, filled(5000), 5000, 0, NULL, 0), 5000);
	received(buf, recvfrom(s.fd, buf, 5000, MSG_WAITALL, NULL, NULL), 5000);
}

/* Vectors of n elements with lengths 0, 1, 2 … in turn. */
static size_t vector(struct iovec *v, int n, char *p)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++) {
		v[i] = (struct iovec){ p + sum, (size_t)i % 13 };
		sum += v[i].iov_len;
	}
	return sum;
}

static void vectors(int n, bool message)
{
	static struct iovec v[1024];
	size_t len = vector(v, n, buf);
	struct msghdr m = { .msg_iov = v, .msg_iovlen = (size_t)n };

	filled(len);
	sent(message ? sendmsg(c.fd, &m, 0) : writev(c.fd, v, n), len);
	memset(buf, 0, len);
	received(buf, message ? recvmsg(s.fd, &m, MSG_WAITALL) : readv(s.fd, v, n), len);
}

static void readv_writev(void)
{
	act_pair(&c, &s, IPV4);
	for (int n = 2; n <= 1000; n = n * 2 + 1)
		vectors(n, false);
	vectors(1024, false);
}

static void sendmsg_recvmsg(void)
{
	act_pair(&c, &s, IPV4);
	for (int n = 2; n <= 1000; n = n * 2 + 1)
		vectors(n, true);
	vectors(1024, true);
}

/* Elements larger than a record, and a result that ends inside an element. */
static void long_vectors(void)
{
	struct iovec v[3] = { { buf, 9000 }, { buf + 9000, 20000 }, { buf + 29000, 31000 } };

	act_pair(&c, &s, IPV4);
	filled(60000);
	sent(writev(c.fd, v, 3), 60000);
	act_recv(&s, 59000);
	received(buf, readv(s.fd, v, 3), 1000);
	act_send(&s, 1); /* a new turn: this is not about its budget */
	act_recv(&c, 1);
	filled(12345);
	sent(write(c.fd, buf, 12345), 12345);
	memset(buf, 0, sizeof(buf));
	received(buf, readv(s.fd, v, 3), 12345);
}

static void preadv2_pwritev2(void)
{
	struct iovec v[2] = { { buf, 10 }, { buf + 10, 30 } };

	act_pair(&c, &s, IPV4);
	filled(40);
	sent(pwritev2(c.fd, v, 2, -1, 0), 40);
	memset(buf, 0, 40);
	received(buf, preadv2(s.fd, v, 2, -1, 0), 40);
}

/* ---- several messages in a call ---- */

#define MESSAGES 20

static size_t messages(struct mmsghdr *mm, struct iovec *v, char *p, size_t first)
{
	size_t sum = 0;

	memset(mm, 0, MESSAGES * sizeof(*mm));
	for (int i = 0; i < MESSAGES; i++) {
		v[2 * i] = (struct iovec){ p + sum, first + (size_t)i };
		v[2 * i + 1] = (struct iovec){ p + sum + first + i, 3 };
		sum += first + (size_t)i + 3;
		mm[i].msg_hdr = (struct msghdr){ .msg_iov = v + 2 * i, .msg_iovlen = 2 };
	}
	return sum;
}

static void sendmmsg_recvmmsg(void)
{
	struct mmsghdr mm[MESSAGES];
	struct iovec v[2 * MESSAGES];

	act_pair(&c, &s, IPV4);
	for (int round = 0; round < 5; round++) { /* the same vector again and again */
		size_t n = messages(mm, v, buf, 10);

		filled(n);
		MUST(sendmmsg(c.fd, mm, MESSAGES, 0) == MESSAGES);
		act_moved(&c, DIR_SEND, n, HOLE_NONE);
		memset(buf, 0, n);
		MUST(recvmmsg(s.fd, mm, MESSAGES, MSG_WAITALL, NULL) == MESSAGES);
		received(buf, (ssize_t)n, n);
	}
}

/* recvmmsg that finds less than it asks for ends with an error that is not shown; the next call begins anew. */
static void recvmmsg_short(void)
{
	struct mmsghdr mm[MESSAGES];
	struct iovec v[2 * MESSAGES];

	act_pair(&c, &s, IPV4);
	for (int round = 0; round < 5; round++) {
		messages(mm, v, buf, 10);
		sent(write(c.fd, filled(10 + 3 + 5), 18), 18);
		memset(buf, 0, 100);
		MUST(recvmmsg(s.fd, mm, MESSAGES, MSG_DONTWAIT, NULL) == 2);
		received(buf, 18, 18);
	}
}

/* A bad pointer ends the call without a hook; stale lengths must not place the next call's first message. */
static void mmsg_fault(void)
{
	struct mmsghdr mm[MESSAGES];
	struct iovec v[2 * MESSAGES];

	act_pair(&c, &s, IPV4);
	messages(mm, v, buf, 10);
	filled(13 + 14);
	mm[2].msg_hdr.msg_iov = (void *)8;
	MUST(sendmmsg(c.fd, mm, MESSAGES, 0) == 2);
	act_moved(&c, DIR_SEND, 27, HOLE_NONE);
	act_recv(&s, 27);
	messages(mm, v, buf, 10); /* lengths zero, as a careful program leaves them */
	filled(13);
	MUST(sendmmsg(c.fd, mm, 1, 0) == 1);
	act_moved(&c, DIR_SEND, 13, HOLE_NONE);
	act_recv(&s, 13);
}

/* With a timeout the call may end after any message: only the first one's place is sure. */
static void recvmmsg_timeout(void)
{
	struct mmsghdr mm[MESSAGES];
	struct iovec v[2 * MESSAGES];
	struct timespec t = { .tv_sec = 100 };

	act_pair(&c, &s, IPV4);
	messages(mm, v, buf, 10);
	sent(write(c.fd, filled(27), 27), 27);
	MUST(recvmmsg(s.fd, mm, 2, MSG_WAITALL, &t) == 2);
	act_moved(&s, DIR_RECV, 13, HOLE_NONE);
	act_moved(&s, DIR_RECV, 14, act_blind(HOLE_FOREIGN));
}

/* ---- no user buffer ---- */

static int file_of(size_t n)
{
	int fd = memfd_create("spandrel-capture", MFD_CLOEXEC);

	MUST(fd >= 0 && write(fd, filled(n), n) == (ssize_t)n);
	return fd;
}

static void sendfile_hole(void)
{
	off_t from = 0;
	int fd;

	act_pair(&c, &s, IPV4);
	act_send(&c, 100);
	fd = file_of(30000);
	MUST(sendfile(c.fd, fd, &from, 30000) == 30000);
	act_moved(&c, DIR_SEND, 30000, act_blind(HOLE_NO_BUFFER));
	act_send(&c, 100);
	act_recv(&s, 30200);
}

static void splice_to_socket(void)
{
	int p[2];

	act_pair(&c, &s, IPV4);
	MUST(!pipe(p) && write(p[1], filled(4000), 4000) == 4000);
	MUST(splice(p[0], NULL, c.fd, NULL, 4000, 0) == 4000);
	act_moved(&c, DIR_SEND, 4000, act_blind(HOLE_NO_BUFFER));
	act_send(&c, 10);
	act_recv(&s, 4010);
}

static void splice_from_socket(void)
{
	int p[2];

	act_pair(&c, &s, IPV4);
	act_send(&c, 5000);
	act_recv(&s, 1000);
	MUST(!pipe(p) && splice(s.fd, NULL, p[1], NULL, 4000, 0) == 4000);
	act_moved(&s, DIR_RECV, 4000, expected->whole ? HOLE_NO_BUFFER : HOLE_UNSEEN);
	act_send(&c, 100);
	act_recv(&s, 100);
}

/* ---- nothing, or not now ---- */

static void peek(void)
{
	act_pair(&c, &s, IPV4);
	act_send(&c, 300);
	MUST(recv(s.fd, buf, 200, MSG_PEEK) == 200);
	MUST(recv(s.fd, buf, 300, MSG_PEEK) == 300);
	act_recv(&s, 300);
}

static void trunc_discards(void)
{
	act_pair(&c, &s, IPV4);
	act_send(&c, 300);
	act_recv(&s, 100);
	memset(buf, 'x', 100);
	MUST(recv(s.fd, buf, 100, MSG_TRUNC) == 100);
	act_moved(&s, DIR_RECV, 100, HOLE_TRUNC);
	act_recv(&s, 100);
}

static void nothing(void)
{
	act_pair(&c, &s, IPV4);
	MUST(write(c.fd, buf, 0) == 0);
	MUST(recv(s.fd, buf, 10, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	act_send(&c, 20);
	MUST(read(s.fd, buf, 0) == 0);
	MUST(recv(s.fd, (void *)8, 10, 0) == -1 && errno == EFAULT);
	MUST(send(c.fd, (void *)8, 10, 0) == -1 && errno == EFAULT);
	act_recv(&s, 20);
	MUST(write(-1, buf, 10) == -1);
}

const struct capture_case cases_calls[] = {
	{ "read, write", read_write, NULL, false },
	{ "send, sendto, recv, recvfrom", send_recv, NULL, false },
	{ "readv, writev, to 1024 elements", readv_writev, NULL, false },
	{ "sendmsg, recvmsg, to 1024 elements", sendmsg_recvmsg, NULL, false },
	{ "elements longer than a record, partial results", long_vectors, NULL, false },
	{ "preadv2, pwritev2", preadv2_pwritev2, NULL, false },
	{ "sendmmsg, recvmmsg", sendmmsg_recvmmsg, NULL, false },
	{ "recvmmsg that ends early", recvmmsg_short, NULL, false },
	{ "sendmmsg that ends in a fault", mmsg_fault, NULL, false },
	{ "recvmmsg with a timeout", recvmmsg_timeout, NULL, false },
	{ "sendfile", sendfile_hole, NULL, false },
	{ "splice to a socket", splice_to_socket, NULL, false },
	{ "splice from a socket", splice_from_socket, NULL, false },
	{ "MSG_PEEK", peek, NULL, false },
	{ "MSG_TRUNC", trunc_discards, NULL, false },
	{ "zero length and failing calls", nothing, NULL, false },
	{ 0 },
};
