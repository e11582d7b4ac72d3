// SPDX-License-Identifier: Apache-2.0
#include "listen.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "event.h"
#include "listen_inner.h"

#define ACCEPTS 8		    /* a turn */
#define PAUSE_NS (100 * NS_PER_MS) /* after accept() has failed for want of descriptors or memory */
#define RUNS 4			    /* of the server a turn, while it has work that waits for nothing; none is begun */
#define RUNS_NS (2 * NS_PER_MS)	    /* after so long: the ring waits */

struct client {
	int fd; /* -1: a free place */
	uint64_t since; /* its request is awaited, or under way */
	bool answered, closing;
};

struct answer {
	struct MHD_Response *response; /* NULL: has to be made */
	unsigned status;
};

struct listen {
	struct MHD_Daemon *daemon;
	int fd, epoll;
	char *path; /* to be removed at the end */
	struct listen_pages pages;
	struct client clients[LISTEN_CONNECTIONS];
	uint64_t now, paused; /* no accept() before */
	bool busy;
	struct answer answers[PAGE_METRICS + 1][METRICS_OPEN + 1]; /* of this turn: however many ask, each page is made once */
	struct buf body;
};

/* ---- pages ---- */

static const struct row {
	const char *path;
	enum listen_page page;
} rows[] = {
	{ "/", PAGE_ROOT }, { "/healthz", PAGE_HEALTHZ }, { "/readyz", PAGE_READYZ }, { "/metrics", PAGE_METRICS },
};

static struct MHD_Response *response(unsigned status, const struct buf *body, const char *type)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(body->n, body->p, MHD_RESPMEM_MUST_COPY);

	if (!r)
		return NULL;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	return r;
}

static struct MHD_Response *error_page(struct listen *l, unsigned status, const char *text)
{
	buf_reset(&l->body);
	buf_printf(&l->body, "%s\n", text);
	return response(status, &l->body, "text/plain; charset=utf-8");
}

static enum MHD_Result send_error(struct listen *l, struct MHD_Connection *c, unsigned status, const char *text)
{
	struct MHD_Response *r = error_page(l, status, text);
	enum MHD_Result done = r ? MHD_queue_response(c, status, r) : MHD_NO;

	if (r)
		MHD_destroy_response(r);
	stat_inc(listen_answers);
	return done;
}

static void make_answer(struct listen *l, enum listen_page page, enum metrics_format format, struct answer *a)
{
	buf_reset(&l->body);
	a->status = l->pages.page(l->pages.arg, page, format, &l->body);
	if (l->body.failed) {
		a->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
		a->response = error_page(l, a->status, "out of memory");
	} else {
		a->response = response(a->status, &l->body,
				       page == PAGE_METRICS ? metrics_type(format) : "text/plain; charset=utf-8");
	}
}

static enum MHD_Result send_page(struct listen *l, struct MHD_Connection *c, enum listen_page page)
{
	const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	enum metrics_format format = page == PAGE_METRICS ? metrics_accepted(slice_str(accept)) : METRICS_TEXT;
	struct answer *a = &l->answers[page][format];

	if (!a->response)
		make_answer(l, page, format, a);
	stat_inc(listen_answers);
	return a->response ? MHD_queue_response(c, a->status, a->response) : MHD_NO;
}

/* Who is being sent one keeps it until then. */
static void forget_answers(struct listen *l)
{
	struct answer *a = l->answers[0];

	for (size_t i = 0; i < sizeof(l->answers) / sizeof(*a); i++) {
		if (a[i].response)
			MHD_destroy_response(a[i].response);
		a[i].response = NULL;
	}
}

/* Called once the head is there, for each piece of a body, and at the request's end. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url, const char *method, const char *version,
				  const char *body, size_t *size, void **seen)
{
	static char head_seen;
	struct listen *l = arg;

	(void)version;
	(void)body;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return send_error(l, c, MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed");
	if (!*seen || *size) { /* a body is passed over */
		*seen = &head_seen;
		*size = 0;
		return MHD_YES;
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].path, url))
			return send_page(l, c, rows[i].page);
	return send_error(l, c, MHD_HTTP_NOT_FOUND, "not found");
}

/* ---- connections ---- */

static void on_connection(void *arg, struct MHD_Connection *c, void **place, enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct listen *l = arg;
	struct client *k = *place;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED && k) {
		k->fd = -1;
		return;
	}
	for (size_t i = 0; what == MHD_CONNECTION_NOTIFY_STARTED && i < LISTEN_CONNECTIONS; i++)
		if (l->clients[i].fd < 0) {
			l->clients[i] = (struct client){ .fd = info->connect_fd, .since = l->now };
			*place = &l->clients[i];
			return;
		}
}

/* The next request of this connection is awaited from now on. */
static void on_answered(void *arg, struct MHD_Connection *c, void **seen, enum MHD_RequestTerminationCode why)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct client *k = info ? info->socket_context : NULL;

	(void)seen;
	(void)why;
	if (!k)
		return;
	k->since = ((struct listen *)arg)->now;
	k->answered = true;
}

/* The server sees the end of the stream and cleans up: only it may close the descriptor. */
static void client_end(struct client *k)
{
	shutdown(k->fd, SHUT_RDWR);
	k->closing = true;
}

static size_t clients_expire(struct listen *l)
{
	size_t n = 0;

	for (struct client *k = l->clients; k < l->clients + LISTEN_CONNECTIONS; k++) {
		if (k->fd < 0)
			continue;
		n++;
		if (k->closing || l->now - k->since < LISTEN_PATIENCE)
			continue;
		if (!k->answered) /* else one that may be kept and was used */
			stat_inc(listen_slow);
		client_end(k);
	}
	return n;
}

static struct client *client_oldest(struct listen *l)
{
	struct client *oldest = NULL;

	for (struct client *k = l->clients; k < l->clients + LISTEN_CONNECTIONS; k++)
		if (k->fd >= 0 && !k->closing && (!oldest || k->since < oldest->since))
			oldest = k;
	return oldest;
}

static void make_room(struct listen *l, size_t taken, size_t want)
{
	for (; taken + want > LISTEN_CONNECTIONS; want--) {
		struct client *k = client_oldest(l);

		if (!k)
			break;
		stat_inc(listen_evicted);
		client_end(k);
	}
	MHD_run(l->daemon);
}

static size_t clients_accept(struct listen *l, size_t taken)
{
	int fds[ACCEPTS];
	size_t n = 0;

	if (l->now < l->paused)
		return taken;
	while (n < ACCEPTS) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			break;
		fds[n++] = fd;
	}
	if (n < ACCEPTS && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		l->paused = l->now + PAUSE_NS;
	if (taken + n > LISTEN_CONNECTIONS)
		make_room(l, taken, n);
	for (size_t i = 0; i < n; i++) {
		struct sockaddr_storage a;
		socklen_t size = sizeof(a);

		if (getpeername(fds[i], (struct sockaddr *)&a, &size))
			close(fds[i]); /* gone already */
		else
			MHD_add_connection(l->daemon, fds[i], (struct sockaddr *)&a, size);
	}
	return taken + n;
}

void listen_turn(struct listen *l, uint64_t now)
{
	MHD_UNSIGNED_LONG_LONG wait;
	uint64_t end;

	if (!l)
		return;
	l->now = now;
	l->busy = clients_accept(l, clients_expire(l)) > 0;
	end = clock_ns(CLOCK_MONOTONIC) + RUNS_NS;
	for (int i = 0; i < RUNS && l->busy && clock_ns(CLOCK_MONOTONIC) < end; i++) {
		MHD_run(l->daemon);
		l->busy = MHD_get_timeout(l->daemon, &wait) == MHD_YES && !wait;
	}
	forget_answers(l);
}

bool listen_busy(const struct listen *l)
{
	return l && l->busy;
}

unsigned listen_fds(const struct listen *l, struct curl_waitfd *to)
{
	unsigned n = 0;

	if (!l)
		return 0;
	to[n++] = (struct curl_waitfd){ .fd = l->epoll, .events = CURL_WAIT_POLLIN };
	if (l->now >= l->paused)
		to[n++] = (struct curl_waitfd){ .fd = l->fd, .events = CURL_WAIT_POLLIN };
	return n;
}

size_t listen_doors(const struct listen *l, struct own_end *to, size_t max)
{
	return l ? listen_socket_doors(l->fd, to, max) : 0;
}

/* ---- life ---- */

/* Paths are compared as they came: none of ours needs an escape, and %00 would end one early. */
static size_t leave_escapes(void *arg, struct MHD_Connection *c, char *text)
{
	(void)arg;
	(void)c;
	return strlen(text);
}

/* Connections are accepted here, not by the server: it would leave who comes waiting while all places are taken. */
static int start_server(struct listen *l)
{
	const union MHD_DaemonInfo *info;

	l->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, l,
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned)LISTEN_CONNECTIONS,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LISTEN_HEAD,
				     MHD_OPTION_UNESCAPE_CALLBACK, leave_escapes, NULL,
				     MHD_OPTION_NOTIFY_CONNECTION, on_connection, l,
				     MHD_OPTION_NOTIFY_COMPLETED, on_answered, l,
				     MHD_OPTION_END);
	info = l->daemon ? MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info)
		return log_ret(-ENOMEM, "--listen: libmicrohttpd does not start");
	l->epoll = info->epoll_fd;
	return 0;
}

void listen_close(struct listen *l)
{
	if (!l)
		return;
	if (l->daemon)
		MHD_stop_daemon(l->daemon);
	close_fd(&l->fd);
	if (l->path)
		unlink(l->path);
	free(l->path);
	buf_fini(&l->body);
	free(l);
}

static void free_listen(struct listen **l)
{
	listen_close(*l);
}

int listen_start(struct listen *l)
{
	return l ? listen_socket_start(l->fd) : 0;
}

int listen_open(struct listen **out, const char *address, const struct listen_pages *pages)
{
	_cleanup_(free_listen) struct listen *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->fd = l->epoll = -1;
	l->pages = *pages;
	buf_init(&l->body, LISTEN_BODY);
	for (size_t i = 0; i < LISTEN_CONNECTIONS; i++)
		l->clients[i].fd = -1;
	l->fd = listen_socket(address, &l->path);
	if (l->fd < 0)
		return l->fd;
	r = start_server(l);
	if (r)
		return r;
	*out = TAKE_PTR(l);
	return 0;
}
