// SPDX-License-Identifier: Apache-2.0
/* The server of --listen and its clients in one process; the time is what the test says. */
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "event.h"
#include "listen.h"

#define TURNS 2000

static char path[64], address[80];
static uint64_t now;

static unsigned page(void *arg, enum listen_page which, enum metrics_format format, struct buf *body)
{
	unsigned *asked = arg;

	(*asked)++;
	buf_printf(body, "page %d %d\n", which, format);
	return which == PAGE_READYZ ? 503 : 200;
}

static struct listen *server(unsigned *asked)
{
	struct listen *l = NULL;

	*asked = 0;
	now = 1000 * NS_PER_S;
	memset(stats, 0, sizeof(stats));
	if (listen_open(&l, address, &(struct listen_pages){ page, asked }) || listen_start(l))
		abort();
	return l;
}

static int client(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(a.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		abort();
	return fd;
}

static void say(int fd, const char *text)
{
	CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What comes until the end of the answer's head and `tail`, or the connection's end: turns the server meanwhile. */
static const char *hear(struct listen *l, int fd, const char *tail)
{
	static char text[1 << 16];
	size_t n = 0;

	for (int i = 0; i < TURNS; i++) {
		ssize_t got;

		listen_turn(l, now);
		got = recv(fd, text + n, sizeof(text) - 1 - n, MSG_DONTWAIT);
		if (got > 0)
			n += (size_t)got;
		text[n] = '\0';
		if (got == 0 || (got < 0 && errno != EAGAIN) || (n && strstr(text, tail)))
			break;
		if (got < 0)
			usleep(100);
	}
	return text;
}

/* Has the server closed this one? */
static bool ended(struct listen *l, int fd)
{
	char c;

	for (int i = 0; i < 4; i++)
		listen_turn(l, now);
	return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) == 0 || (errno != EAGAIN);
}

static void test_listen__addresses(void)
{
	static const char *const good[] = { ":9464", ":0", "127.0.0.1:80", "localhost:1", "[::1]:9464", "[::]:65535", "0.0.0.0:80", "unix:/x" };
	static const char *const bad[] = { "", ":", "9464", ":65536", ":-1", ":9464x", ": 1", "::1:80", "[::1]", "[::1", "::1]:80", "[:80", "unix:" };
	char longest[200];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(listen_address_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!listen_address_valid(bad[i]));
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "unix:", 5);
	longest[5 + 107] = '\0';
	CHECK(listen_address_valid(longest));
	longest[5 + 107] = 'x';
	longest[5 + 108] = '\0';
	CHECK(!listen_address_valid(longest));
}

static void test_listen__pages(void)
{
	unsigned asked;
	struct listen *l = server(&asked);
	struct stat st;
	int fd = client();

	CHECK(!stat(path, &st) && (st.st_mode & 07777) == 0600);
	say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(strstr(hear(l, fd, "page 0 0\n"), "HTTP/1.1 200 OK\r\n"));
	say(fd, "GET /readyz?x HTTP/1.1\r\nHost: x\r\n\r\n"); /* the same connection */
	CHECK(strstr(hear(l, fd, "page 2 0\n"), "HTTP/1.1 503 Service Unavailable\r\n"));
	say(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n\r\n");
	CHECK(strstr(hear(l, fd, "page 3 1\n"), "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
	say(fd, "GET /metric HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(strstr(hear(l, fd, "not found\n"), "HTTP/1.1 404 Not Found\r\n"));
	CHECK_INT(asked, 3);
	say(fd, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(strstr(hear(l, fd, "\r\n\r\n"), "Content-Length: 9\r\n"));
	say(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
	CHECK(strstr(hear(l, fd, "not allowed\n"), "Allow: GET, HEAD\r\n"));
	CHECK_INT(asked, 4);
	CHECK_INT(stats[STAT_listen_answers], 6);
	close(fd);
	listen_close(l);
	CHECK(stat(path, &st) && errno == ENOENT);
}

/* The oldest give way to those that come; the one that asks last is served. */
static void test_listen__more_than_there_is_room_for(void)
{
	unsigned asked;
	struct listen *l = server(&asked);
	int fds[3 * LISTEN_CONNECTIONS], last;
	size_t gone = 0;

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		fds[i] = client();
		now++;
		listen_turn(l, now);
	}
	last = client();
	say(last, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(strstr(hear(l, last, "page 1 0\n"), "200 OK"));
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		bool end = ended(l, fds[i]);

		gone += end;
		CHECK(end == (i < sizeof(fds) / sizeof(fds[0]) - LISTEN_CONNECTIONS + 1));
		close(fds[i]);
	}
	CHECK_INT(stats[STAT_listen_evicted], gone);
	close(last);
	listen_close(l);
}

/* Silence, and half a request, are ended in time; who has been answered has the same time for the next request. */
static void test_listen__patience(void)
{
	unsigned asked;
	struct listen *l = server(&asked);
	int silent = client(), half = client(), busy = client();

	say(half, "GET / HTTP/1.1\r\nHost: x\r\n");
	CHECK(!ended(l, silent) && !ended(l, half) && !ended(l, busy));
	now += LISTEN_PATIENCE - 1;
	say(busy, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(strstr(hear(l, busy, "page 0 0\n"), "200 OK"));
	CHECK(!ended(l, silent) && !ended(l, half));
	now += 1;
	CHECK(ended(l, silent) && ended(l, half) && !ended(l, busy));
	CHECK_INT(stats[STAT_listen_slow], 2);
	now += LISTEN_PATIENCE;
	CHECK(ended(l, busy));
	CHECK_INT(stats[STAT_listen_slow], 2); /* that one was kept alive, and used */
	close(silent);
	close(half);
	close(busy);
	listen_close(l);
}

/* However many ask at once, and again before they have an answer: a page is made once a turn. */
static void test_listen__pipelining_clients(void)
{
	static const char ask[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	unsigned asked, turns = 0;
	struct listen *l = server(&asked);
	int fds[LISTEN_CONNECTIONS];
	uint64_t want = 8 * (uint64_t)LISTEN_CONNECTIONS;

	for (size_t i = 0; i < LISTEN_CONNECTIONS; i++) {
		fds[i] = client();
		for (int j = 0; j < 8; j++)
			say(fds[i], ask);
	}
	for (; stats[STAT_listen_answers] < want && turns < TURNS; turns++)
		listen_turn(l, now);
	CHECK_INT(stats[STAT_listen_answers], want);
	CHECK(asked <= turns && asked < want);
	for (size_t i = 0; i < LISTEN_CONNECTIONS; i++)
		close(fds[i]);
	listen_close(l);
}

static void test_listen__taken(void)
{
	unsigned asked;
	struct listen *l = server(&asked), *other = NULL;

	CHECK(listen_open(&other, address, &(struct listen_pages){ page, &asked }) == -EADDRINUSE && !other);
	listen_close(l);
	CHECK(!listen_open(&other, address, &(struct listen_pages){ page, &asked }));
	listen_close(other);
}

static bool has_door(const struct own_end *doors, size_t n, const char *ip, unsigned port)
{
	struct in_addr a;

	inet_pton(AF_INET, ip, &a);
	for (size_t i = 0; i < n; i++)
		if (!memcmp(doors[i].addr + 12, &a, 4) && doors[i].addr[10] == 0xff && doors[i].port == port && !doors[i].netns)
			return true;
	return false;
}

static void test_listen__doors(void)
{
	struct own_end doors[8];
	struct listen *l = NULL;
	unsigned asked, port;
	size_t n;

	REQUIRE(!listen_open(&l, ":0", &(struct listen_pages){ page, &asked }));
	n = listen_doors(l, doors, 8);
	port = doors[0].port;
	CHECK(n == 1 && port && has_door(doors, n, "127.0.0.1", port));
	listen_close(l);
	REQUIRE(!listen_open(&l, "0.0.0.0:0", &(struct listen_pages){ page, &asked }));
	n = listen_doors(l, doors, 8);
	CHECK(n >= 1 && has_door(doors, n, "127.0.0.1", doors[0].port)); /* no machine is without it */
	CHECK(!listen_doors(l, doors, 0));
	listen_close(l);
	REQUIRE(!listen_open(&l, address, &(struct listen_pages){ page, &asked }));
	CHECK_INT(listen_doors(l, doors, 8), 0); /* the kernel tells who is at the other end of a UNIX socket */
	listen_close(l);
	CHECK_INT(listen_doors(NULL, doors, 8), 0);
	CHECK_INT(listen_fds(NULL, NULL), 0);
}

int main(void)
{
	log_setup(LOG_ERROR, false);
	snprintf(path, sizeof(path), "/tmp/spandrel-listen-%d", getpid());
	snprintf(address, sizeof(address), "unix:%s", path);
	RUN(test_listen__addresses);
	RUN(test_listen__pages);
	RUN(test_listen__more_than_there_is_room_for);
	RUN(test_listen__patience);
	RUN(test_listen__pipelining_clients);
	RUN(test_listen__taken);
	RUN(test_listen__doors);
	return tap_done();
}
