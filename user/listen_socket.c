// SPDX-License-Identifier: Apache-2.0
#include "listen_inner.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/ip.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/slice.h"
#include "event.h"
#include "listen.h"
#include "unix_bind.h"

#define BACKLOG 128

/* ---- addresses ---- */

struct place {
	char host[256], port[8];
};

/* HOST:PORT, [IPV6]:PORT, :PORT */
static bool place_parse(const char *text, struct place *to)
{
	const char *colon = strrchr(text, ':');
	struct slice host;
	uint64_t port;

	if (!colon || !slice_u64(slice_str(colon + 1), &port) || port > 65535)
		return false;
	host = slice_of(text, (size_t)(colon - text));
	if (host.n > 1 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = slice_of(host.p + 1, host.n - 2);
	else if (slice_find(host, ':') >= 0 || slice_find(host, '[') >= 0 || slice_find(host, ']') >= 0)
		return false;
	if (!host.n)
		host = SLICE("127.0.0.1");
	if (host.n >= sizeof(to->host) || memchr(host.p, '\0', host.n))
		return false;
	snprintf(to->host, sizeof(to->host), "%.*s", SLICE_ARG(host));
	snprintf(to->port, sizeof(to->port), "%u", (unsigned)port);
	return true;
}

static int open_tcp(const struct addrinfo *a)
{
	const int yes = 1, no = 0;
	_close_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (a->ai_family == AF_INET6) /* [::] is every address, whatever this system's default */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	if (bind(fd, a->ai_addr, a->ai_addrlen))
		return -errno;
	return TAKE_FD(fd);
}

static int listen_tcp(const char *address)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	struct place place;
	int r;

	if (!place_parse(address, &place))
		return -EINVAL;
	r = getaddrinfo(place.host, place.port, &hints, &found);
	if (r)
		return log_ret(-EADDRNOTAVAIL, "--listen %s: %s", address, gai_strerror(r));
	r = open_tcp(found);
	freeaddrinfo(found);
	return r < 0 ? log_ret(r, "--listen %s: %s", address, strerror(-r)) : r;
}

/* ---- a UNIX socket ---- */

static int listen_unix(const char *path, char **out)
{
	_free_ char *copy = strdup(path);
	_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0 || !copy)
		return -ENOMEM;
	r = unix_bind(fd, SOCK_STREAM, path);
	if (r)
		return log_ret(r, "--listen unix:%s: %s", path, strerror(-r));
	*out = TAKE_PTR(copy);
	return TAKE_FD(fd);
}

static bool is_unix(const char *address)
{
	return !strncmp(address, "unix:", 5);
}

bool listen_address_valid(const char *address)
{
	struct sockaddr_un a;
	struct place place;
	socklen_t size;

	return is_unix(address) ? !unix_address(address + 5, &a, &size) : place_parse(address, &place);
}

int listen_socket(const char *address, char **path)
{
	return is_unix(address) ? listen_unix(address + 5, path) : listen_tcp(address);
}

/* "127.0.0.1:9464": port 0 has become one by now. */
static void say_where(int fd)
{
	struct sockaddr_storage a;
	socklen_t size = sizeof(a);
	char host[INET6_ADDRSTRLEN + 20], port[8];

	if (getsockname(fd, (struct sockaddr *)&a, &size) || a.ss_family == AF_UNIX ||
	    getnameinfo((struct sockaddr *)&a, size, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	log_info(a.ss_family == AF_INET6 ? "health and metrics at http://[%s]:%s" : "health and metrics at http://%s:%s", host, port);
}

int listen_socket_start(int fd)
{
	if (listen(fd, BACKLOG))
		return log_ret(-errno, "--listen: %s", strerror(errno));
	say_where(fd);
	return 0;
}

/* ---- where it can be reached ---- */

/* False for what is no IP address. *any: the wildcard. */
static bool door_of(const struct sockaddr *a, struct own_end *to, bool *any)
{
	static const uint8_t none[16];

	*to = (struct own_end){ 0 };
	if (a && a->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)a;

		ip_put_v4(to->addr, &in->sin_addr);
		to->port = ntohs(in->sin_port);
		*any = !in->sin_addr.s_addr;
	} else if (a && a->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;

		memcpy(to->addr, &in6->sin6_addr, 16);
		to->port = ntohs(in6->sin6_port);
		*any = !memcmp(to->addr, none, 16);
	} else {
		return false;
	}
	return true;
}

/* [::] takes connections to IPv4 addresses as well, 0.0.0.0 none to IPv6. */
static size_t doors_of_host(int family, uint32_t port, struct own_end *to, size_t max)
{
	struct ifaddrs *all;
	size_t n = 0;
	bool any;

	if (getifaddrs(&all))
		return 0;
	for (const struct ifaddrs *i = all; i && n < max; i = i->ifa_next)
		if (door_of(i->ifa_addr, &to[n], &any) && (family == AF_INET6 || i->ifa_addr->sa_family == AF_INET))
			to[n++].port = port;
	freeifaddrs(all);
	return n;
}

size_t listen_socket_doors(int fd, struct own_end *to, size_t max)
{
	struct sockaddr_storage a;
	socklen_t size = sizeof(a);
	struct own_end one;
	bool any;

	if (!max || getsockname(fd, (struct sockaddr *)&a, &size) || !door_of((struct sockaddr *)&a, &one, &any))
		return 0;
	if (any)
		return doors_of_host(a.ss_family, one.port, to, max);
	to[0] = one;
	return 1;
}
