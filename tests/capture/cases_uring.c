// SPDX-License-Identifier: Apache-2.0
/* io_uring by its library: each operation that moves bytes on a socket, in each place where the kernel does the work. */
#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "capture.h"

static struct end c, s;
static struct io_uring ring;
static char buf[1 << 17], got[1 << 17];

static void uring_start(unsigned flags)
{
	struct io_uring_params p = { .flags = flags, .sq_thread_idle = 1000 };

	act_pair(&c, &s, IPV4);
	if (io_uring_queue_init_params(32, &ring, &p))
		act_skip("no io_uring here");
}

static struct io_uring_sqe *next(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	MUST(sqe);
	return sqe;
}

static int wait_result(unsigned *flags)
{
	struct io_uring_cqe *cqe;
	int r;

	MUST(!io_uring_wait_cqe(&ring, &cqe));
	r = cqe->res;
	if (flags)
		*flags = cqe->flags;
	io_uring_cqe_seen(&ring, cqe);
	return r;
}

static int run(void)
{
	MUST(io_uring_submit(&ring) >= 0);
	return wait_result(NULL);
}

static void sent(int r, size_t n)
{
	MUST(r == (int)n);
	act_moved(&c, DIR_SEND, n, act_blind(HOLE_IO_URING));
}

static void received(int r, const void *p, size_t n)
{
	MUST(r == (int)n);
	act_check(&s, p, n);
	act_moved(&s, DIR_RECV, n, act_blind(HOLE_IO_URING));
}

/* Does the kernel know this operation? An unknown one is -EINVAL and moves nothing. */
static void must_know(int r, const char *what)
{
	if (r == -EINVAL || r == -EOPNOTSUPP)
		act_skip(what);
}

/* ---- each operation ---- */

static void operations(void)
{
	struct iovec v[3] = { { buf, 100 }, { buf + 100, 0 }, { buf + 100, 900 } }, w[2] = { { got, 30 }, { got + 30, 970 } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 3 }, n = { .msg_iov = w, .msg_iovlen = 2 };

	uring_start(0);
	for (int round = 0; round < 3; round++) {
		act_fill(&c, DIR_SEND, buf, 1000);
		io_uring_prep_writev(next(), c.fd, v, 3, 0);
		sent(run(), 1000);
		io_uring_prep_readv(next(), s.fd, w, 2, 0);
		received(run(), got, 1000);
		act_fill(&c, DIR_SEND, buf, 1000);
		io_uring_prep_sendmsg(next(), c.fd, &m, 0);
		sent(run(), 1000);
		io_uring_prep_recvmsg(next(), s.fd, &n, 0);
		received(run(), got, 1000);
		act_fill(&c, DIR_SEND, buf, 700);
		io_uring_prep_write(next(), c.fd, buf, 700, 0);
		sent(run(), 700);
		io_uring_prep_read(next(), s.fd, got, sizeof(got), 0);
		received(run(), got, 700);
	}
}

/* Registered memory: the kernel moves pages. */
static void registered(void)
{
	struct iovec v[2] = { { buf, sizeof(buf) }, { got, sizeof(got) } };

	uring_start(0);
	MUST(!io_uring_register_buffers(&ring, v, 2));
	for (size_t n = 10; n <= 60000; n = n * 7 + 3) {
		act_fill(&c, DIR_SEND, buf + 77, n);
		io_uring_prep_write_fixed(next(), c.fd, buf + 77, (unsigned)n, 0, 0);
		sent(run(), n);
		io_uring_prep_read_fixed(next(), s.fd, got + 4090, (unsigned)n, 0, 1);
		received(run(), got + 4090, n);
	}
}

static void send_without_copy(void)
{
	unsigned flags;
	int r;

	uring_start(0);
	act_fill(&c, DIR_SEND, buf, 9000);
	io_uring_prep_send_zc(next(), c.fd, buf, 9000, 0, 0);
	MUST(io_uring_submit(&ring) >= 0);
	r = wait_result(&flags);
	must_know(r, "no IORING_OP_SEND_ZC in this kernel");
	sent(r, 9000);
	act_recv(&s, 9000); /* which lets go of the pages */
	if (flags & IORING_CQE_F_MORE)
		wait_result(NULL);
}

/* ---- buffers that the kernel chooses ---- */

#define BUFFERS 8
#define BUFFER_SIZE 4096

static void provide(void)
{
	io_uring_prep_provide_buffers(next(), got, BUFFER_SIZE, BUFFERS, 7, 0);
	must_know(run(), "no IORING_OP_PROVIDE_BUFFERS in this kernel");
}

static const char *chosen(unsigned flags)
{
	MUST(flags & IORING_CQE_F_BUFFER);
	return got + (size_t)(flags >> IORING_CQE_BUFFER_SHIFT) * BUFFER_SIZE;
}

static void provided(void)
{
	struct io_uring_sqe *sqe;
	unsigned flags;
	int r;

	uring_start(0);
	provide();
	for (int i = 0; i < BUFFERS; i++) {
		act_send(&c, 500);
		sqe = next();
		io_uring_prep_recv(sqe, s.fd, NULL, BUFFER_SIZE, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = 7;
		MUST(io_uring_submit(&ring) == 1);
		r = wait_result(&flags);
		received(r, chosen(flags), 500);
	}
}

/* One request, many receives: each is done inside whatever this thread does next. */
static void multishot(void)
{
	struct io_uring_sqe *sqe;
	unsigned flags;
	int r;

	uring_start(0);
	provide();
	sqe = next();
	io_uring_prep_recv_multishot(sqe, s.fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 7;
	MUST(io_uring_submit(&ring) == 1);
	for (int i = 0; i < BUFFERS - 1; i++) {
		if (i) {
			act_send(&c, 300 + (size_t)i);
		} else { /* an old kernel refuses at once */
			struct io_uring_cqe *cqe;

			if (!io_uring_peek_cqe(&ring, &cqe))
				must_know(cqe->res, "no multishot receive in this kernel");
			act_send(&c, 300);
		}
		r = wait_result(&flags);
		received(r, chosen(flags), 300 + (size_t)i);
	}
}

/* ---- who does the work ---- */

static void polled(void)
{
	int fds[2];

	uring_start(IORING_SETUP_SQPOLL);
	fds[0] = c.fd;
	fds[1] = s.fd;
	MUST(!io_uring_register_files(&ring, fds, 2)); /* before 5.11 no others */
	for (size_t n = 1; n <= 30000; n = n * 5 + 1) {
		struct io_uring_sqe *sqe = next();

		act_fill(&c, DIR_SEND, buf, n);
		io_uring_prep_send(sqe, 0, buf, n, 0);
		io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
		sent(run(), n);
		sqe = next();
		io_uring_prep_recv(sqe, 1, got, n, MSG_WAITALL);
		io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
		received(run(), got, n);
	}
}

static void workers(void)
{
	uring_start(0);
	for (size_t n = 1; n <= 30000; n = n * 5 + 1) {
		struct io_uring_sqe *sqe = next();

		act_fill(&c, DIR_SEND, buf, n);
		io_uring_prep_send(sqe, c.fd, buf, n, 0);
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
		sent(run(), n);
		sqe = next();
		io_uring_prep_recv(sqe, s.fd, got, n, MSG_WAITALL);
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
		received(run(), got, n);
	}
}

/* A receive that finds nothing waits; it is done when bytes have come, by this thread on its way out of the kernel. */
static void waits(void)
{
	uring_start(0);
	for (int i = 0; i < 5; i++) {
		io_uring_prep_recv(next(), s.fd, got, 1000, 0);
		MUST(io_uring_submit(&ring) == 1);
		act_send(&c, 200);
		received(wait_result(NULL), got, 200);
	}
}

/* The first bytes of a connection are moved by io_uring: nothing else has told of it. */
static void unix_first(void)
{
	uring_start(0);
	act_pair(&c, &s, UNIX_PATH);
	act_fill(&c, DIR_SEND, buf, 400);
	io_uring_prep_send(next(), c.fd, buf, 400, 0);
	sent(run(), 400);
	io_uring_prep_recv(next(), s.fd, got, 400, 0);
	received(run(), got, 400);
}

const struct capture_case cases_uring[] = {
	{ "liburing: read, write, vectors, messages", operations, NULL, false },
	{ "liburing: registered memory", registered, NULL, false },
	{ "liburing: send without copy", send_without_copy, NULL, false },
	{ "liburing: provided buffers", provided, NULL, false },
	{ "liburing: multishot receive", multishot, NULL, false },
	{ "liburing: a polling thread of the kernel", polled, NULL, false },
	{ "liburing: worker threads", workers, NULL, false },
	{ "liburing: receives that wait", waits, NULL, false },
	{ "liburing: UNIX", unix_first, NULL, false },
	{ 0 },
};
