// SPDX-License-Identifier: Apache-2.0
/* Kinds of sockets, how connections begin and end, and who moves the bytes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture.h"
#include "fixture.h"

static struct end c, s;
static char buf[1 << 18];

static void exchange(int how)
{
	act_pair(&c, &s, how);
	act_send(&c, 500);
	act_recv(&s, 500);
	act_send(&s, 1500);
	act_recv(&c, 1500);
}

static void ipv6(void)
{
	exchange(IPV6);
}

static void mapped(void)
{
	exchange(MAPPED);
}

static void unix_path(void)
{
	exchange(UNIX_PATH);
}

static void unix_abstract(void)
{
	exchange(UNIX_ABSTRACT);
}

static void unix_pair(void)
{
	exchange(UNIX_PAIR);
	act_send(&c, 60000);
	MUST(recv(s.fd, buf, 100, MSG_PEEK) == 100);
	act_recv(&s, 60000);
}

static void unix_end(void)
{
	exchange(UNIX_PATH);
	close(c.fd);
	MUST(read(s.fd, buf, 10) == 0);
	expected->ends[s.id].recv_ended = true;
	MUST(send(s.fd, buf, 10, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	expected->ends[s.id].send_ended = true;
}

static void unix_reset(void)
{
	exchange(UNIX_PATH);
	act_send(&s, 10);
	close(c.fd);
	MUST(read(s.fd, buf, 10) == -1 && errno == ECONNRESET);
	act_finish(&s, true, true);
}

/* ---- TCP's ends ---- */

static void tcp_close(void)
{
	exchange(IPV4);
	close(c.fd);
	MUST(read(s.fd, buf, 10) == 0);
	expected->ends[s.id].recv_ended = true;
	close(s.fd);
	act_finish(&c, true, false);
	act_finish(&s, true, false);
}

/* The last bytes and the FIN come in one segment: the read of the bytes moves past the FIN. */
static void tcp_fin_with_data(void)
{
	int one = 1;

	exchange(IPV4);
	MUST(!setsockopt(c.fd, 6, 3 /* TCP_CORK */, &one, sizeof(one)));
	act_send(&c, 77);
	close(c.fd);
	usleep(20000);
	act_recv(&s, 77);
	MUST(read(s.fd, buf, 10) == 0);
	act_send(&s, 33);
	act_finish(&c, true, false);
	expected->ends[s.id].recv_ended = true;
}

static void tcp_half_close(void)
{
	exchange(IPV4);
	MUST(!shutdown(c.fd, SHUT_WR));
	expected->ends[c.id].send_ended = true;
	MUST(read(s.fd, buf, 10) == 0);
	expected->ends[s.id].recv_ended = true;
	act_send(&s, 40000);
	act_recv(&c, 40000);
	close(s.fd);
	MUST(read(c.fd, buf, 10) == 0);
	act_finish(&c, true, false);
	act_finish(&s, true, false);
}

static void tcp_reset(void)
{
	struct linger hard = { .l_onoff = 1 };

	exchange(IPV4);
	MUST(!setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	close(c.fd);
	MUST(read(s.fd, buf, 10) == -1 && errno == ECONNRESET);
	act_finish(&c, true, true);
	act_finish(&s, true, true);
}

/* What arrived before the reset is still read; the end comes after it. */
static void tcp_reset_unread(void)
{
	exchange(IPV4);
	act_send(&s, 10); /* left unread: closing resets */
	act_send(&c, 200);
	close(c.fd);
	usleep(20000);
	act_recv(&s, 200);
	MUST(read(s.fd, buf, 10) == -1 && errno == ECONNRESET);
	act_finish(&c, true, true);
	act_finish(&s, true, true);
}

static void process_exit(void)
{
	exchange(IPV4);
	act_finish(&c, true, false);
	act_finish(&s, true, false);
}

static void connect_again(void)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct end c2, s2;
	int fd;

	exchange(IPV4);
	MUST(!connect(c.fd, &none, sizeof(none)));
	act_finish(&c, true, true);
	act_pair(&c2, &s2, IPV4);
	fd = s2.fd;
	act_send(&c2, 100);
	act_recv(&s2, 100);
	close(fd);
}

/* ---- older than the tracer ---- */

static void old_tcp(void)
{
	act_send(&old[0], 1000);
	act_recv(&old[1], 1000);
	act_send(&old[1], 30);
	act_recv(&old[0], 30);
}

/* Bytes were sent, but none read, before the tracer came. */
static void old_tcp_unread(void)
{
	act_recv(&old[3], 40);
	act_send(&old[3], 50);
	act_recv(&old[2], 50);
}

static void old_tcp_quiet(void)
{
	act_send(&old[4], 40);
	act_recv(&old[5], 40);
}

static void old_unix(void)
{
	act_send(&old[6], 40);
	act_recv(&old[7], 40);
}

/* ---- who moves the bytes ---- */

static void forked(void)
{
	pid_t pid;

	act_pair(&c, &s, IPV4);
	act_send(&c, 10);
	act_recv(&s, 10);
	pid = fork();
	if (!pid) {
		MUST(write(c.fd, (act_fill(&c, DIR_SEND, buf, 20), buf), 20) == 20);
		_exit(0);
	}
	MUST(waitpid(pid, NULL, 0) == pid);
	act_moved(&c, DIR_SEND, 20, HOLE_NONE);
	act_send(&c, 30);
	act_recv(&s, 50);
}

static void stranger_tcp(void)
{
	act_pair(&c, &s, IPV4);
	act_send(&c, 100);
	act_recv(&s, 10);
	stranger_reads(s.fd, 40);
	act_moved(&s, DIR_RECV, 40, HOLE_UNSEEN);
	act_recv(&s, 50);
}

static void stranger_unix(void)
{
	act_pair(&c, &s, UNIX_PAIR);
	act_send(&c, 100);
	act_recv(&s, 10);
	stranger_reads(s.fd, 40);
	act_moved(&s, DIR_RECV, 40, HOLE_UNSEEN);
	act_recv(&s, 50);
}

const struct capture_case cases_sockets[] = {
	{ "IPv6", ipv6, NULL, false },
	{ "mapped addresses", mapped, NULL, false },
	{ "UNIX, path", unix_path, NULL, false },
	{ "UNIX, abstract", unix_abstract, NULL, false },
	{ "UNIX, socketpair", unix_pair, NULL, false },
	{ "UNIX, end of file", unix_end, NULL, false },
	{ "UNIX, closed with bytes unread", unix_reset, NULL, false },
	{ "TCP, close", tcp_close, NULL, false },
	{ "TCP, FIN together with data", tcp_fin_with_data, NULL, false },
	{ "TCP, half close", tcp_half_close, NULL, false },
	{ "TCP, reset", tcp_reset, NULL, false },
	{ "TCP, reset with bytes unread", tcp_reset_unread, NULL, false },
	{ "TCP, process exit", process_exit, NULL, false },
	{ "TCP, connect(AF_UNSPEC)", connect_again, NULL, false },
	{ "TCP older than the tracer", old_tcp, NULL, false },
	{ "TCP older than the tracer, bytes unread", old_tcp_unread, NULL, false },
	{ "TCP older than the tracer, nothing moved", old_tcp_quiet, NULL, false },
	{ "UNIX older than the tracer", old_unix, NULL, false },
	{ "a socket shared by fork", forked, NULL, false },
	{ "TCP read by a process that is not traced", stranger_tcp, NULL, false },
	{ "UNIX read by a process that is not traced", stranger_unix, NULL, false },
	{ 0 },
};
