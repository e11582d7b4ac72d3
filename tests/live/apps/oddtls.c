// SPDX-License-Identifier: Apache-2.0
/*
 * A TLS library that does what real ones rarely do: calls that call each other, that are left by longjmp or by the end of their thread,
 * handles that are used again without a word, other sockets in the middle of a call. Its cipher turns every bit over, in records of
 * a length and the bytes. oddtls WHAT PORT: talks to itself at that port, prints the path of every request that it has sent.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default"), noinline))

struct ssl {
	int fd;
	size_t n; /* deciphered, not read yet */
	char have[65536];
};

static jmp_buf out;
static __thread int leave; /* the next operation inside does not return: 1 longjmp, 2 end of the thread */
static int beside = -1;	   /* a socket that every write uses, too */

static void all(int fd, char *p, size_t n, int sending)
{
	while (n) {
		ssize_t k = sending ? write(fd, p, n) : read(fd, p, n);

		if (k <= 0) {
			if (sending)
				abort();
			memset(p, 0, n);
			return;
		}
		p += k;
		n -= (size_t)k;
	}
}

static void turn(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] ^= 0xff;
}

static void may_leave(void)
{
	int how = leave;

	leave = 0;
	if (how == 1)
		longjmp(out, 1);
	if (how == 2)
		pthread_exit(NULL);
}

static void put(struct ssl *s, const void *p, size_t n)
{
	static __thread char record[65536 + 4];
	unsigned length = htonl((unsigned)n);

	memcpy(record, &length, 4);
	memcpy(record + 4, p, n);
	turn(record + 4, n);
	if (beside >= 0)
		all(beside, (char[]){ "* unrelated *" }, 13, 1);
	all(s->fd, record, n + 4, 1);
	may_leave();
}

EXPORTED struct ssl *SSL_new(void *context)
{
	(void)context;
	return calloc(1, sizeof(struct ssl));
}

EXPORTED void SSL_free(struct ssl *s)
{
	free(s);
}

EXPORTED int SSL_write(struct ssl *s, const void *p, int n);

EXPORTED int SSL_write_ex(struct ssl *s, const void *p, size_t n, size_t *written)
{
	put(s, p, n);
	*written = n;
	asm volatile("");
	return 1;
}

/* The inner call says something else: that it has written, not how much. */
EXPORTED int SSL_write(struct ssl *s, const void *p, int n)
{
	size_t half = (size_t)n / 2, written, more;

	if (SSL_write_ex(s, p, half, &written) != 1 || SSL_write_ex(s, (const char *)p + half, (size_t)n - half, &more) != 1)
		return -1;
	return (int)(written + more);
}

EXPORTED int SSL_read(struct ssl *s, void *p, int n)
{
	unsigned length = 0;
	int k;

	if (!s->n) {
		all(s->fd, (char *)&length, 4, 0);
		may_leave();
		s->n = ntohl(length);
		if (!s->n || s->n > sizeof(s->have))
			return s->n = 0, 0;
		all(s->fd, s->have, s->n, 0);
		turn(s->have, s->n);
	}
	k = (size_t)n < s->n ? n : (int)s->n;
	memcpy(p, s->have, (size_t)k);
	s->n -= (size_t)k;
	memmove(s->have, s->have + k, s->n);
	return k;
}

/* ---- both ends ---- */

static struct sockaddr_in place = { .sin_family = AF_INET };

static int reach(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&place, sizeof(place)))
		abort();
	return fd;
}

static int is_whole(const char *p)
{
	return strstr(p, "\r\n\r\n") != NULL;
}

/* The first byte tells whether a connection is enciphered: no record is so long that its length begins with a letter. */
static void *serve(void *arg)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	int fd = (int)(long)arg, plain;
	struct ssl *s = SSL_new(NULL);
	char buf[65536] = "", first = 0;
	size_t n = 0;

	plain = recv(fd, &first, 1, MSG_PEEK) == 1 && first;
	for (s->fd = fd;;) {
		ssize_t k = plain ? read(fd, buf + n, sizeof(buf) - n - 1) : SSL_read(s, buf + n, (int)(sizeof(buf) - n - 1));

		if (k <= 0)
			break;
		n += (size_t)k;
		buf[n] = 0;
		if (!is_whole(buf))
			continue;
		n = 0;
		if (plain)
			all(fd, (char *)ok, sizeof(ok) - 1, 1);
		else
			SSL_write(s, ok, sizeof(ok) - 1);
	}
	SSL_free(s);
	close(fd);
	return NULL;
}

static void *accept_all(void *arg)
{
	pthread_t t;

	for (;;) {
		int fd = accept((int)(long)arg, NULL, NULL);

		if (fd >= 0)
			pthread_create(&t, NULL, serve, (void *)(long)fd);
	}
	return NULL;
}

static int request(char *text, size_t size, const char *path)
{
	printf("%s\n", path);
	fflush(stdout);
	return snprintf(text, size, "GET %s HTTP/1.1\r\nHost: odd\r\n\r\n", path);
}

static void ask(struct ssl *s, const char *path)
{
	char text[512], answer[512];
	int n = request(text, sizeof(text), path), k = 0;

	SSL_write(s, text, n);
	while (k < 40)
		k += SSL_read(s, answer, sizeof(answer));
}

/* From further down the stack than any call of the library. */
static __attribute__((noinline)) void ask_plainly(int fd, const char *path)
{
	volatile char deep[16384];
	char text[512], answer[512];
	int n = request(text, sizeof(text), path), k = 0;

	deep[0] = deep[sizeof(deep) - 1] = 1;
	all(fd, text, (size_t)n, 1);
	while (k < 40)
		k += (int)read(fd, answer, sizeof(answer));
}

static void wait_for_ever(void)
{
	for (;;)
		pause();
}

static void nested(void)
{
	struct ssl *s = SSL_new(NULL);

	s->fd = reach();
	for (int i = 0; i < 5; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/nested/%d", i);
		ask(s, path);
	}
	close(s->fd);
	SSL_free(s);
}

/* A call that is left by a jump; then a plain connection, and the session again. */
static void jumped(void)
{
	struct ssl *s = SSL_new(NULL), *other = SSL_new(NULL);
	int fd = reach();
	char c;

	other->fd = reach();
	ask(other, "/jumped/other");
	s->fd = reach();
	leave = 1;
	if (!setjmp(out))
		SSL_write(s, "GET /jumped/half HT", 19);
	ask_plainly(fd, "/jumped/plain");
	ask_plainly(fd, "/jumped/plain2");
	ask(other, "/jumped/other2");
	close(s->fd);
	close(fd);
	SSL_free(s);
	(void)c;
}

static void *dies(void *arg)
{
	leave = 2;
	SSL_write(arg, "GET /died/half HTTP", 19);
	return NULL;
}

static void died(void)
{
	for (int i = 0; i < 20; i++) {
		struct ssl *s = SSL_new(NULL);
		pthread_t t;

		s->fd = reach();
		pthread_create(&t, NULL, dies, s);
		pthread_join(t, NULL);
		close(s->fd);
		SSL_free(s);
	}
	nested();
}

/* The same handle for one socket after the other. */
static void again(void)
{
	struct ssl *s = SSL_new(NULL);

	for (int i = 0; i < 5; i++) {
		char path[32];

		s->fd = reach();
		snprintf(path, sizeof(path), "/again/%d", i);
		ask(s, path);
		close(s->fd);
	}
}

/* Each write talks to somebody else as well, who is never its socket. */
static void used_beside(void)
{
	int pair[2];
	struct ssl *s = SSL_new(NULL);

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	s->fd = reach();
	ask(s, "/beside/before");
	beside = pair[0];
	ask(s, "/beside/during");
	beside = -1;
	ask(s, "/beside/after");
	close(s->fd);
	SSL_free(s);
}

static const struct {
	const char *name;
	void (*run)(void);
} rows[] = { { "wait", wait_for_ever }, { "nested", nested }, { "jumped", jumped }, { "died", died }, { "again", again }, { "beside", used_beside } };

int main(int argc, char **argv)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	pthread_t t;

	if (argc < 3)
		return 2;
	place.sin_port = htons((unsigned short)atoi(argv[2]));
	place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&place, sizeof(place)) || listen(listener, 64))
		return 1;
	pthread_create(&t, NULL, accept_all, (void *)(long)listener);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].name, argv[1]))
			rows[i].run();
	usleep(200000);
	return 0;
}
