// SPDX-License-Identifier: Apache-2.0
#include "control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/slice.h"
#include "base/stats.h"
#include "base/units.h"
#include "trace/sample.h"
#include "unix_bind.h"

#define READ_MAX 8 /* messages a tick */
#define NAMES 10   /* tried, for tracers of several pid namespaces in one network namespace */

struct control {
	int fd;
	char *path; /* to be removed at the end; NULL: abstract */
};

/* ---- the socket ---- */

int control_abstract(const char *name, struct sockaddr_un *to, socklen_t *size)
{
	size_t n = strlen(name);

	if (n >= sizeof(to->sun_path))
		return -ENAMETOOLONG;
	*to = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(to->sun_path + 1, name, n);
	*size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
	return 0;
}

static int bind_path(struct control *c, const char *path)
{
	int r;

	c->path = strdup(path);
	if (!c->path)
		return -ENOMEM;
	r = unix_bind(c->fd, SOCK_DGRAM, path);
	if (r)
		free(TAKE_PTR(c->path)); /* another's: not ours to remove */
	return r;
}

static int bind_abstract(struct control *c)
{
	int r = -EADDRINUSE;

	for (int i = 0; i < NAMES && r == -EADDRINUSE; i++) {
		struct sockaddr_un a;
		socklen_t size;
		char name[64];

		snprintf(name, sizeof(name), i ? CONTROL_NAME "%d.%d" : CONTROL_NAME "%d", getpid(), i);
		r = control_abstract(name, &a, &size);
		if (!r && bind(c->fd, (struct sockaddr *)&a, size))
			r = -errno;
	}
	return r;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	if (c->path)
		unlink(c->path);
	free(c->path);
	close_fd(&c->fd);
	free(c);
}

static void free_control(struct control **c)
{
	control_close(*c);
}

int control_open(struct control **out, const char *path)
{
	_cleanup_(free_control) struct control *c = calloc(1, sizeof(*c));
	const int yes = 1;
	int r = 0;

	if (!c)
		return -ENOMEM;
	c->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0 || setsockopt(c->fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)))
		r = -errno;
	if (!r)
		r = path ? bind_path(c, path) : bind_abstract(c);
	if (r && path)
		return log_ret(r, "--control: cannot make %s: %s", path, strerror(-r));
	if (r)
		log_warn("no socket for `spandrel set`: %s", strerror(-r));
	*out = r ? NULL : TAKE_PTR(c);
	return 0;
}

/* ---- requests ---- */

struct request {
	char text[CONTROL_MAX + 1];
	ssize_t n;
	bool allowed;
	struct sockaddr_un from;
	socklen_t from_size;
};

struct answer {
	char text[512];
	int n;
};

__attribute__((format(printf, 2, 3))) static int say(struct answer *a, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	a->n = vsnprintf(a->text, sizeof(a->text), format, ap);
	va_end(ap);
	a->n = MIN(a->n, (int)sizeof(a->text) - 1);
	return strncmp(a->text, "ok", 2) ? -EINVAL : 0;
}

static bool may_ask(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	struct ucred who;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS || c->cmsg_len != CMSG_LEN(sizeof(who)))
		return false;
	memcpy(&who, CMSG_DATA(c), sizeof(who));
	return who.uid == 0 || who.uid == geteuid();
}

static bool receive(const struct control *c, struct request *r)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} credentials; /* no room for descriptors */
	struct iovec iov = { r->text, sizeof(r->text) };
	struct msghdr m = { .msg_name = &r->from, .msg_namelen = sizeof(r->from), .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = &credentials, .msg_controllen = sizeof(credentials) };

	r->n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (r->n < 0)
		return false;
	r->from_size = m.msg_namelen;
	r->allowed = may_ask(&m);
	return true;
}

static int set_rule(struct slice rule, struct slice duration, struct sampler *s, uint64_t now, struct answer *a)
{
	char error[384];
	uint64_t ns;

	if (slice_eq(rule, SLICE("none")))
		return say(a, "ok %zu temporary rules taken back", sampler_clear(s));
	if (!units_duration(duration, &ns) || !ns || ns > CONTROL_LONGEST)
		return say(a, "no for: expected a duration up to 24h");
	if (sampler_add(s, rule, now + ns, error, sizeof(error)))
		return say(a, "no sample-rule %s", error);
	log_info("sample rule %.*s in force for %.*s", SLICE_ARG(rule), SLICE_ARG(duration));
	return say(a, "ok for %.*s", SLICE_ARG(duration));
}

static int obey(const struct request *r, struct sampler *s, uint64_t now, struct answer *a)
{
	struct slice rest = slice_of(r->text, (size_t)r->n), what, rule, duration;

	if (!r->allowed)
		return say(a, "no not allowed: expected root");
	if (r->n > CONTROL_MAX || !slice_split(&rest, '\n', &what) || !slice_split(&rest, '\n', &rule) ||
	    !slice_split(&rest, '\n', &duration) || rest.p || !slice_eq(what, SLICE("sample-rule")))
		return say(a, "no such request");
	return set_rule(rule, duration, s, now, a);
}

void control_read(struct control *c, struct sampler *s, uint64_t now)
{
	struct request r;

	for (int i = 0; c && i < READ_MAX && receive(c, &r); i++) {
		struct answer a;

		if (obey(&r, s, now, &a))
			stat_inc(rules_refused);
		if (r.from_size > sizeof(sa_family_t)) /* who does not listen gets no answer */
			sendto(c->fd, a.text, (size_t)a.n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&r.from, r.from_size);
	}
}
