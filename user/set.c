// SPDX-License-Identifier: Apache-2.0
/* `spandrel set`: asks a running tracer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/scope.h"
#include "base/slice.h"
#include "base/units.h"
#include "control.h"
#include "trace/rule.h"
#include "unix_bind.h"

#define EXIT_USAGE 2
#define PATIENCE 5 /* seconds */

static const char usage[] = "usage: spandrel set sample-rule RULE [for DURATION] [--pid N | --control PATH]\n"
			    "A temporary --sample-rule before all others, for 10m unless said; RULE none takes all of them back.\n";

struct order {
	const char *rule, *duration, *pid, *control;
};

static bool take_option(struct order *o, const char *name, const char *value)
{
	if (!strcmp(name, "for") || !strcmp(name, "--for"))
		o->duration = value;
	else if (!strcmp(name, "--pid"))
		o->pid = value;
	else if (!strcmp(name, "--control"))
		o->control = value;
	else
		return false;
	return true;
}

static int complain(const char *what, const char *got)
{
	fprintf(stderr, "spandrel: set: %s%s%s\n", what, got ? ": " : "", got ? got : "");
	return EXIT_USAGE;
}

static int check(const struct order *o)
{
	struct rule rule = { 0 };
	char error[512];
	uint64_t ns;

	if (!units_duration(slice_str(o->duration), &ns) || !ns || ns > CONTROL_LONGEST)
		return complain("for: expected a duration up to 24h", o->duration);
	if (o->pid && (!slice_u64(slice_str(o->pid), &ns) || strlen(o->pid) > 10))
		return complain("--pid: expected the tracer's process id", o->pid);
	if (!strcmp(o->rule, "none"))
		return 0;
	if (rule_parse(slice_str(o->rule), &rule, error, sizeof(error)))
		return complain("sample-rule", error);
	rule_fini(&rule);
	return 0;
}

/* Looks for the one tracer whose socket is in this network namespace. */
static int find_tracer(char *name, size_t size)
{
	_fclose_ FILE *f = fopen("/proc/net/unix", "re");
	char line[512];
	int found = 0;

	while (f && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, " @" CONTROL_NAME);
		const char *id = at ? at + strlen(" @" CONTROL_NAME) : "";
		size_t n = strspn(id, "0123456789.");

		if (!n || (id[n] && id[n] != '\n'))
			continue;
		at[strlen(" @" CONTROL_NAME) + n] = '\0';
		found++;
		snprintf(name, size, "%s", at + 2);
	}
	if (found == 1)
		return 0;
	complain(found ? "several tracers run here: expected --pid N or --control PATH" :
			 "no tracer found here: expected --control PATH if it runs with that option", NULL);
	return -ENOENT;
}

static int address_of(const struct order *o, struct sockaddr_un *to, socklen_t *size)
{
	const char *path = o->control ? o->control : o->pid ? NULL : getenv("SPANDREL_CONTROL");
	char name[108];

	if (path && *path)
		return unix_address(path, to, size);
	if (o->pid)
		snprintf(name, sizeof(name), CONTROL_NAME "%s", o->pid);
	else if (find_tracer(name, sizeof(name)))
		return -ENOENT;
	return control_abstract(name, to, size);
}

/* A connected datagram socket gets answers from its peer alone. */
static int reach(const struct sockaddr_un *to, socklen_t size)
{
	const struct timeval patience = { .tv_sec = PATIENCE };
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const int yes = 1;

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(sa_family_t)) ||
	    connect(fd, (const struct sockaddr *)to, size) ||
	    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)))
		return -errno;
	return TAKE_FD(fd);
}

/* Anybody can take an abstract name: the answer must come from root, or from ourselves. */
static ssize_t hear(int fd, char *text, size_t size)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = { text, size - 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, 0);
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	struct ucred who;

	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (!c || c->cmsg_type != SCM_CREDENTIALS)
		return -EPERM;
	memcpy(&who, CMSG_DATA(c), sizeof(who));
	if (who.uid && who.uid != geteuid())
		return -EPERM;
	text[n] = '\0';
	return n;
}

static int ask(const struct order *o, char *answer, size_t size)
{
	struct sockaddr_un to;
	socklen_t to_size;
	char text[CONTROL_MAX];
	int n = snprintf(text, sizeof(text), "sample-rule\n%s\n%s", o->rule, o->duration);
	int r = (size_t)n < sizeof(text) ? address_of(o, &to, &to_size) : -EMSGSIZE;
	_close_ int fd = r ? -1 : reach(&to, to_size);
	ssize_t got;

	if (r || fd < 0)
		return r ? r : fd;
	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		return -errno;
	got = hear(fd, answer, size);
	return got < 0 ? (int)got : 0;
}

int set_main(int argc, char **argv)
{
	struct order o = { .duration = "10m" };
	char answer[1024];
	int r;

	if (argc < 4 || strcmp(argv[2], "sample-rule")) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	o.rule = argv[3];
	for (int i = 4; i < argc; i += 2)
		if (i + 1 == argc || !take_option(&o, argv[i], argv[i + 1]))
			return complain("expected for DURATION, --pid N or --control PATH", argv[i]);
	r = check(&o);
	if (r)
		return r;
	r = ask(&o, answer, sizeof(answer));
	if (r) {
		if (r != -ENOENT || o.pid || o.control)
			complain("cannot reach the tracer", strerror(-r));
		return 1;
	}
	if (strncmp(answer, "ok", 2)) {
		complain("refused", answer + MIN(strlen(answer), (size_t)3));
		return 1;
	}
	printf("%s\n", answer);
	return 0;
}
