// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "capture.h"
#include "frames.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

struct expected *expected;

uint8_t pattern(uint32_t salt, uint64_t off)
{
	if (salt & FRAMED)
		return framed_byte(salt, off);
	return (uint8_t)(salt + off * 131 + (off >> 8) * 29 + (off >> 16) * 7);
}

void act_broken(const char *what)
{
	snprintf(expected->broken, sizeof(expected->broken), "%s (%s)", what, strerror(errno));
	_exit(1);
}

void act_skip(const char *why)
{
	snprintf(expected->skip, sizeof(expected->skip), "%s", why);
	_exit(0);
}

void act_pause(int stage)
{
	__atomic_store_n(&expected->stage, stage, __ATOMIC_RELEASE);
	while (__atomic_load_n(&expected->go, __ATOMIC_ACQUIRE) < stage)
		usleep(1000);
}

void act_heard(struct end *e)
{
	struct expected_end *x;

	if (e->id >= 0)
		return;
	e->id = expected->n_ends++;
	x = &expected->ends[e->id];
	memcpy(x->salt, e->salt, sizeof(x->salt));
	memcpy(x->start, e->off, sizeof(x->start));
	x->mid = e->mid;
	x->counted = e->counted;
	x->family = e->family;
	x->role = e->role;
	x->path_len = e->path_len;
	if (e->path_len > 0)
		memcpy(x->path, e->path, (size_t)e->path_len);
}

void act_moved(struct end *e, int dir, size_t n, int hole)
{
	struct expected_end *x;
	int *count;

	if (!n)
		return;
	act_heard(e);
	x = &expected->ends[e->id];
	count = &x->n[dir];
	e->off[dir] += n;
	if (*count && x->segs[dir][*count - 1].hole == hole) {
		x->segs[dir][*count - 1].size += n;
		return;
	}
	MUST(*count < SEGS_MAX);
	x->segs[dir][(*count)++] = (struct segment){ n, (uint8_t)hole };
}

void act_fill(const struct end *e, int dir, void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = pattern(e->salt[dir], e->off[dir] + i);
}

void act_check(const struct end *e, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		MUST(((const uint8_t *)p)[i] == pattern(e->salt[DIR_RECV], e->off[DIR_RECV] + i));
}

void act_send(struct end *e, size_t n)
{
	char *p = malloc(n);

	act_fill(e, DIR_SEND, p, n);
	MUST(write(e->fd, p, n) == (ssize_t)n);
	act_moved(e, DIR_SEND, n, HOLE_NONE);
	free(p);
}

void act_recv(struct end *e, size_t n)
{
	char *p = malloc(n);
	ssize_t got;

	for (size_t at = 0; at < n; at += (size_t)got) {
		got = read(e->fd, p, n - at);
		MUST(got > 0);
		act_check(e, p, (size_t)got);
		act_moved(e, DIR_RECV, (size_t)got, HOLE_NONE);
	}
	free(p);
}

void act_drain(struct end *e, size_t n)
{
	act_recv(e, n);
}

void act_finish(struct end *e, bool final, bool reset)
{
	struct expected_end *x = &expected->ends[e->id];

	MUST(e->id >= 0);
	x->final = final;
	x->reset = reset;
}

void act_again(struct end *e)
{
	act_finish(e, true, false);
	e->id = -1;
	e->mid = e->counted = true;
	e->off[0] = e->off[1] = 0;
}

/* ---- connections ---- */

static socklen_t address(int how, struct sockaddr_storage *a)
{
	struct sockaddr_in *v4 = (void *)a;
	struct sockaddr_in6 *v6 = (void *)a;
	struct sockaddr_un *un = (void *)a;
	int n;

	memset(a, 0, sizeof(*a));
	switch (how) {
	case IPV4:
	case MULTIPATH:
		v4->sin_family = AF_INET;
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*v4);
	case IPV6:
		v6->sin6_family = AF_INET6;
		v6->sin6_addr = in6addr_loopback;
		return sizeof(*v6);
	case MAPPED:
		v6->sin6_family = AF_INET6;
		MUST(inet_pton(AF_INET6, "::ffff:127.0.0.1", &v6->sin6_addr) == 1);
		return sizeof(*v6);
	}
	un->sun_family = AF_UNIX;
	n = snprintf(un->sun_path + (how == UNIX_ABSTRACT), 90, "/tmp/spandrel-capture-%d", getpid());
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n + 1);
}

static void end_init(struct end *e, int fd, uint8_t family, uint8_t role, uint32_t out, uint32_t in)
{
	*e = (struct end){ .fd = fd, .id = -1, .salt = { in, out }, .family = family, .role = role, .path_len = -1 };
}

static void set_path(struct end *e, const struct sockaddr_un *un, socklen_t len, int how)
{
	static char path[2][108];
	static int turn;

	e->path_len = (int)(len - offsetof(struct sockaddr_un, sun_path)) - (how == UNIX_PATH);
	memcpy(path[turn & 1], un->sun_path, (size_t)e->path_len);
	e->path = path[turn++ & 1];
}

static void pair_of(int fds[2], int how, struct sockaddr_storage *a, socklen_t len)
{
	int protocol = how == MULTIPATH ? IPPROTO_MPTCP : 0, l = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC, protocol);

	if (l < 0 && how == IPV6)
		act_skip("no IPv6 here");
	if (l < 0 && how == MULTIPATH)
		act_skip("no MPTCP here");
	if (how == UNIX_PATH)
		unlink(((struct sockaddr_un *)a)->sun_path);
	if (bind(l, (void *)a, len) && how == IPV6)
		act_skip("no IPv6 loopback here");
	MUST(!listen(l, 8));
	if (a->ss_family != AF_UNIX)
		MUST(!getsockname(l, (void *)a, &len));
	fds[0] = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC, protocol);
	MUST(!connect(fds[0], (void *)a, len));
	fds[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	MUST(fds[1] >= 0);
	close(l);
	if (how == UNIX_PATH)
		unlink(((struct sockaddr_un *)a)->sun_path);
}

void act_pair(struct end *client, struct end *server, int how)
{
	static const uint8_t families[] = { FAM_INET, FAM_INET6, FAM_INET, FAM_UNIX, FAM_UNIX, FAM_UNIX, FAM_INET };
	bool roles = how != UNIX_PAIR && how != MULTIPATH;
	struct sockaddr_storage a;
	socklen_t len = address(how, &a);
	int fds[2];

	if (how == UNIX_PAIR)
		MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	else
		pair_of(fds, how, &a, len);
	end_init(client, fds[0], families[how], roles ? ROLE_CLIENT : ROLE_UNKNOWN, 17, 91);
	end_init(server, fds[1], families[how], roles ? ROLE_SERVER : ROLE_UNKNOWN, 91, 17);
	if (how == UNIX_PATH || how == UNIX_ABSTRACT) {
		set_path(client, (struct sockaddr_un *)&a, len, how);
		set_path(server, (struct sockaddr_un *)&a, len, how);
	}
	client->counted = server->counted = how == MULTIPATH;
	if (how <= MAPPED)
		act_heard(client);
}
