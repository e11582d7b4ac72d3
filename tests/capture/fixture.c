// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct end old[OLD_ENDS];
static int to_stranger[2];

static void moved_before(struct end *e, int dir, size_t n)
{
	char *p = calloc(1, n);

	act_fill(e, dir, p, n);
	MUST((dir == DIR_SEND ? write(e->fd, p, n) : read(e->fd, p, n)) == (ssize_t)n);
	e->off[dir] += n;
	free(p);
}

/* Not heard of until the case uses it; what was moved before gives the first offset. */
static void old_pair(struct end *a, struct end *b, int how)
{
	struct expected none = { 0 };

	act_pair(a, b, how);
	a->id = b->id = -1;
	*expected = none;
}

void fixture_old(void)
{
	for (int i = 0; i < OLD_ENDS; i += 2)
		old_pair(&old[i], &old[i + 1], i == 6 ? UNIX_PAIR : IPV4);
	moved_before(&old[0], DIR_SEND, 300);
	moved_before(&old[1], DIR_RECV, 300);
	moved_before(&old[1], DIR_SEND, 5000);
	moved_before(&old[0], DIR_RECV, 5000);
	old[0].mid = old[1].mid = true;
	moved_before(&old[2], DIR_SEND, 40);
	old[2].mid = true;
	old[6].mid = old[7].mid = true;
}

/* ---- the stranger ---- */

struct order {
	size_t n;
	int fd;
};

static void stranger_loop(void)
{
	char control[CMSG_SPACE(sizeof(int))], data[4096];
	struct order o;
	struct iovec v = { &o, sizeof(o) };

	for (;;) {
		struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };

		if (recvmsg(to_stranger[1], &m, 0) != sizeof(o) || !CMSG_FIRSTHDR(&m))
			_exit(0);
		memcpy(&o.fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
		if (read(o.fd, data, o.n) != (ssize_t)o.n)
			_exit(1);
		close(o.fd);
		if (write(to_stranger[1], "", 1) != 1)
			_exit(1);
	}
}

/* A datagram pair: no stream, so the probe has nothing to say of it. */
void fixture_stranger(void)
{
	MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, to_stranger));
	if (!fork()) {
		close(to_stranger[0]);
		stranger_loop();
	}
	close(to_stranger[1]);
}

void stranger_reads(int fd, size_t n)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, done;
	struct order o = { .n = n };
	struct iovec v = { &o, sizeof(o) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	MUST(sendmsg(to_stranger[0], &m, 0) == sizeof(o));
	MUST(read(to_stranger[0], &done, 1) == 1);
}
