/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --listen: GET and HEAD of a few pages over HTTP/1, by libmicrohttpd inside the one loop: no thread, and nothing that
 * blocks. At most LISTEN_CONNECTIONS at once, a head of at most LISTEN_HEAD bytes, LISTEN_PATIENCE for each request, the wait before it
 * included; what is slower is closed. When all places are taken the connection that has been silent longest gives its own up, so that
 * who comes is served: those who hold connections cannot keep a health check out.
 */
#ifndef SPANDREL_LISTEN_H
#define SPANDREL_LISTEN_H

#include <curl/curl.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "metrics.h"

#define LISTEN_CONNECTIONS 32
#define LISTEN_HEAD (16 * 1024)
#define LISTEN_PATIENCE (10 * NS_PER_S)
#define LISTEN_BODY (1024 * 1024) /* of an answer */

enum listen_page { PAGE_ROOT, PAGE_HEALTHZ, PAGE_READYZ, PAGE_METRICS };

struct listen_pages {
	/*
	 * Appends the page; the HTTP status. `format` is for PAGE_METRICS. Called from listen_turn() alone, and there once for each
	 * page and format: all who ask in one turn get the same.
	 */
	unsigned (*page)(void *arg, enum listen_page page, enum metrics_format format, struct buf *body);
	void *arg;
};

struct listen;
struct own_end;

bool listen_address_valid(const char *address); /* by its form alone */
/*
 * HOST:PORT, [IPV6]:PORT, :PORT (IPv4 loopback) or unix:PATH (mode 0600). Takes the address; nobody is let in before
 * listen_start(). Both: 0, or -errno after one line that names the address.
 */
int listen_open(struct listen **out, const char *address, const struct listen_pages *pages);
int listen_start(struct listen *l);
void listen_close(struct listen *l); /* NULL is fine, here and below */

/* Descriptors to wait for; how many, at most LISTEN_FDS. */
#define LISTEN_FDS 2
unsigned listen_fds(const struct listen *l, struct curl_waitfd *to);
/* Once a turn of the loop; now: any clock that does not go back, ns. */
void listen_turn(struct listen *l, uint64_t now);

/* Is there work that waits for nothing? Then the loop sleeps only shortly. */
bool listen_busy(const struct listen *l);

/* Where it can be reached, netns left open: with a wildcard address all addresses of this host. How many, at most max. */
size_t listen_doors(const struct listen *l, struct own_end *to, size_t max);

#endif
