// SPDX-License-Identifier: Apache-2.0
/* `spandrel set` against the socket of a tracer, which here is a process that does nothing else. */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "control.h"
#include "trace/sample.h"

static char path[64];

struct server {
	pid_t pid;
	int out; /* a byte when it listens, then its counters at the end */
};

static void tracer(int out)
{
	const struct sample_config none = { .ratio = 1 };
	struct sampler *s = NULL;
	struct control *c = NULL;
	char error[64];
	uint64_t counts[3];

	if (sampler_new(&s, &none, error, sizeof(error)) || control_open(&c, path) || write(out, "r", 1) != 1)
		_exit(1);
	while (!stats[STAT_rules_ended]) { /* until all is taken back */
		control_read(c, s, 1000);
		usleep(1000);
	}
	counts[0] = stats[STAT_rules_set];
	counts[1] = stats[STAT_rules_ended];
	counts[2] = stats[STAT_rules_refused];
	control_close(c);
	_exit(write(out, counts, sizeof(counts)) != sizeof(counts));
}

static struct server start(void)
{
	struct server s;
	int fds[2];
	char ready;

	if (pipe(fds))
		abort();
	s.pid = fork();
	if (!s.pid)
		tracer(fds[1]);
	close(fds[1]);
	s.out = fds[0];
	if (read(s.out, &ready, 1) != 1)
		abort();
	return s;
}

/* With what it says thrown away. */
static int set(const char *a, const char *b, const char *c)
{
	char *argv[] = { "spandrel", "set", "sample-rule", (char *)a, "--control", path, (char *)b, (char *)c, NULL };
	int null = open("/dev/null", O_WRONLY), err = dup(2), out = dup(1), r;

	fflush(stdout);
	dup2(null, 1);
	dup2(null, 2);
	r = set_main(b ? 8 : 6, argv);
	fflush(stdout);
	dup2(out, 1);
	dup2(err, 2);
	close(null);
	close(out);
	close(err);
	return r;
}

static void test_control__set_and_take_back(void)
{
	struct server s = start();
	uint64_t counts[3] = { 0 };
	struct stat st;
	int status;

	CHECK(!stat(path, &st) && (st.st_mode & 07777) == 0600);
	CHECK_INT(set("service=a", NULL, NULL), 0);
	CHECK_INT(set("service=a,ratio=0.5", "for", "10s"), 0);
	CHECK_INT(set("service", NULL, NULL), 2);
	CHECK_INT(set("service=a", "for", "0"), 2);
	CHECK_INT(set("service=a", "for", "25h"), 2);
	CHECK_INT(set("service=a", "--pid", "one"), 2);
	for (int i = 0; i < SAMPLE_TEMPORARY_MAX - 2; i++)
		CHECK_INT(set("service=b", NULL, NULL), 0);
	CHECK_INT(set("service=b", NULL, NULL), 1); /* one too many */
	CHECK_INT(set("none", NULL, NULL), 0);
	CHECK(read(s.out, counts, sizeof(counts)) == sizeof(counts));
	CHECK(waitpid(s.pid, &status, 0) == s.pid && !status);
	CHECK_INT(counts[0], SAMPLE_TEMPORARY_MAX);
	CHECK_INT(counts[1], SAMPLE_TEMPORARY_MAX);
	CHECK_INT(counts[2], 1);
	CHECK(stat(path, &st) && errno == ENOENT);
	CHECK_INT(set("none", NULL, NULL), 1); /* nobody there */
	close(s.out);
}

static void test_control__what_a_killed_tracer_left(void)
{
	struct server a = start(), b;
	struct control *c = NULL;

	kill(a.pid, SIGKILL);
	waitpid(a.pid, NULL, 0);
	close(a.out);
	b = start(); /* in its place */
	CHECK(control_open(&c, path) == -EADDRINUSE && !c); /* but not in the place of one that lives */
	kill(b.pid, SIGKILL);
	waitpid(b.pid, NULL, 0);
	close(b.out);
	CHECK(!control_open(&c, path) && c);
	control_close(c);
}

int main(void)
{
	log_setup(LOG_ERROR, false);
	snprintf(path, sizeof(path), "/tmp/spandrel-control-%d", getpid());
	RUN(test_control__set_and_take_back);
	RUN(test_control__what_a_killed_tracer_left);
	return tap_done();
}
