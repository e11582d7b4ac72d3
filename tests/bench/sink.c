// SPDX-License-Identifier: Apache-2.0
/*
 * An OTLP/HTTP back end that costs next to nothing: takes POSTs, passes over their bodies, answers 200.
 * sink PORT: listens on 127.0.0.1. One thread; connections in a poll set; prints "requests bytes" at SIGTERM.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNS 64
#define HEAD_MAX 4096

struct conn {
	size_t n;	 /* bytes of the head so far */
	long long body;	 /* bytes of the body still to come */
	char head[HEAD_MAX + 1];
};

static volatile sig_atomic_t stop;
static unsigned long long requests, bytes;
static struct conn conns[CONNS];
static struct pollfd fds[CONNS + 1];

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static long long content_length(const char *head)
{
	const char *p = strcasestr(head, "\r\ncontent-length:");

	return p ? atoll(p + 17) : 0;
}

static int answer(int fd)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";

	requests++;
	return write(fd, ok, sizeof(ok) - 1) < 0 ? -errno : 0;
}

/* Takes in[0..n): heads and bodies in any cut. 0 or -errno: close. */
static int take(struct conn *c, int fd, const char *in, size_t n)
{
	while (n) {
		char *end;
		size_t k;

		if (c->body) {
			k = (long long)n < c->body ? n : (size_t)c->body;
			c->body -= (long long)k;
			in += k;
			n -= k;
			if (!c->body && answer(fd))
				return -EIO;
			continue;
		}
		k = n < HEAD_MAX - c->n ? n : HEAD_MAX - c->n;
		if (!k)
			return -EMSGSIZE;
		memcpy(c->head + c->n, in, k);
		c->head[c->n + k] = 0;
		end = strstr(c->head, "\r\n\r\n");
		if (!end) {
			c->n += k;
			in += k;
			n -= k;
			continue;
		}
		k = (size_t)(end + 4 - c->head) - c->n;
		end[2] = 0;
		c->body = content_length(c->head);
		c->n = 0;
		in += k;
		n -= k;
		if (strcasestr(c->head, "\r\nexpect: 100-continue") && write(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25) < 0)
			return -EIO;
		if (!c->body && answer(fd))
			return -EIO;
	}
	return 0;
}

static void serve(int i)
{
	static char in[1 << 18];
	ssize_t n = read(fds[i].fd, in, sizeof(in));

	bytes += n > 0 ? (unsigned long long)n : 0;
	if (n > 0 && !take(&conns[i], fds[i].fd, in, (size_t)n))
		return;
	close(fds[i].fd);
	fds[i].fd = -1;
}

static void accept_one(int lfd)
{
	int fd = accept(lfd, NULL, NULL);

	for (int i = 0; fd >= 0 && i < CONNS; i++) {
		if (fds[i].fd >= 0)
			continue;
		fds[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
		conns[i].n = 0;
		conns[i].body = 0;
		return;
	}
	if (fd >= 0)
		close(fd);
}

static int listen_at(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 64))
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	int lfd = argc > 1 ? listen_at(atoi(argv[1])) : -1;

	if (lfd < 0) {
		perror("sink");
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_term }, NULL);
	for (int i = 0; i < CONNS; i++)
		fds[i].fd = -1;
	fds[CONNS] = (struct pollfd){ .fd = lfd, .events = POLLIN };
	while (!stop && poll(fds, CONNS + 1, -1) >= 0) {
		for (int i = 0; i < CONNS; i++)
			if (fds[i].fd >= 0 && fds[i].revents)
				serve(i);
		if (fds[CONNS].revents)
			accept_one(lfd);
	}
	printf("%llu %llu\n", requests, bytes);
	return 0;
}
