// SPDX-License-Identifier: Apache-2.0
/*
 * Runs the cases. The process tree: this one (the tracer) ─ runner (selected by --pid) ─ one process for each case; and a stranger,
 * outside the selection. Output is TAP. An argument picks the cases whose name begins with it; SPANDREL_BACKEND, the way in.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "check.h"
#include "fixture.h"
#include "frames.h"

static int n_run, n_failed;
static int orders[2], answers[2];

#ifdef NO_LIBURING
static void no_liburing(void)
{
	act_skip("built without liburing");
}

const struct capture_case cases_uring[] = { { "liburing", no_liburing, NULL, false }, { 0 } };
#endif

static const struct capture_case *case_at(int n)
{
	const struct capture_case *lists[] = { cases_calls, cases_sockets, cases_odd, cases_uring, cases_layers, cases_frames };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct capture_case *c = lists[i]; c->name; c++)
			if (!n--)
				return c;
	return NULL;
}

/* Runs the case whose number it is given, in a process of its own; answers with that process's id. */
static void runner(void)
{
	int n;

	fixture_old();
	(void)!write(answers[1], &n, sizeof(n));
	while (read(orders[0], &n, sizeof(n)) == sizeof(n)) {
		pid_t pid = fork();

		if (!pid) {
			case_at(n)->act();
			_exit(0);
		}
		waitpid(pid, NULL, 0);
		if (write(answers[1], &pid, sizeof(pid)) != sizeof(pid))
			break;
	}
	_exit(0);
}

static pid_t start_runner(void)
{
	pid_t pid;
	int ready;

	expected = mmap(NULL, sizeof(*expected), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (expected == MAP_FAILED)
		return -1;
	fixture_stranger(); /* before the pipes: it must not keep them open */
	if (pipe(orders) || pipe(answers))
		return -1;
	pid = fork();
	if (!pid) {
		close(orders[1]);
		runner();
	}
	close(orders[0]);
	if (read(answers[0], &ready, sizeof(ready)) != sizeof(ready))
		return -1;
	return pid;
}

/* Reads events until the case is over, and moves it on where it waits for us. */
static void follow(struct probe *p, struct checker *k, const struct capture_case *c)
{
	struct pollfd fds[2] = { { .fd = answers[0], .events = POLLIN }, { .fd = probe_fd(p), .events = POLLIN } };
	pid_t pid;

	while (!(fds[0].revents & POLLIN)) {
		int stage = __atomic_load_n(&expected->stage, __ATOMIC_ACQUIRE);

		while (probe_read(p, checker_event, k, 1000))
			;
		if (stage > expected->go) {
			if (c->on_data)
				c->on_data(p, NULL, expected);
			__atomic_store_n(&expected->go, stage, __ATOMIC_RELEASE);
		}
		if (probe_idle(p))
			poll(fds, 2, 20);
	}
	if (read(answers[0], &pid, sizeof(pid)) == sizeof(pid))
		while (probe_read(p, checker_event, k, 1000))
			;
}

static void run_case(struct probe *p, int n)
{
	const struct capture_case *c = case_at(n);
	struct checker *k = checker_new(p, c);
	const char *wrong = NULL;

	memset(expected, 0, sizeof(*expected));
	expected->whole = strcmp(probe_backend(p), "socktp") != 0;
	if (write(orders[1], &n, sizeof(n)) != sizeof(n))
		return;
	follow(p, k, c);
	if (!expected->skip[0])
		wrong = checker_verdict(k, expected);
	n_failed += !!wrong;
	printf("%s %d - %s%s%s\n", wrong ? "not ok" : "ok", ++n_run, c->name, expected->skip[0] ? " # SKIP " : "", expected->skip);
	if (wrong)
		printf("# %s\n", wrong);
	fflush(stdout);
	checker_free(k);
}

/* ---- the sweep lists the UNIX sockets that the runner still holds ---- */

static void count_live(void *arg, const struct ev_head *ev)
{
	const struct ev_live *live = (const void *)ev;

	*(int *)arg = event_valid(ev, ev->len) ? (int)live->count : -1;
}

static void check_sweep(struct probe *p, int want)
{
	int n = -1, err = probe_sweep(p, count_live, &n);
	bool none = err == -EOPNOTSUPP, good = none || (!err && n == want);

	n_failed += !good;
	printf("%s %d - sweep%s\n", good ? "ok" : "not ok", ++n_run, none ? " # SKIP this kernel cannot list UNIX sockets" : "");
	if (!good)
		printf("# %d connections (%d), expected %d\n", n, err, want);
}

int main(int argc, char **argv)
{
	const char *backend = getenv("SPANDREL_BACKEND");
	struct probe_config config = { .ring_size = 1 << 22, .backend = backend ? backend : "auto",
				       .framings = { &frames_framing } };
	const char *only = "";
	char number[16];
	const char *pids[2] = { number, NULL };
	struct probe *p;
	pid_t pid;

	if (argc > 1)
		only = argv[1];
	signal(SIGPIPE, SIG_IGN);
	log_setup(getenv("DEBUG") ? LOG_DEBUG : LOG_INFO, false);
	pid = start_runner();
	snprintf(number, sizeof(number), "%d", pid);
	config.select.pid = pids;
	if (pid < 0 || probe_open(&p, &config))
		return 1;
	for (int n = 0; case_at(n); n++)
		if (!strncmp(case_at(n)->name, only, strlen(only)))
			run_case(p, n);
	if (!*only)
		check_sweep(p, 2);
	close(orders[1]);
	waitpid(pid, NULL, 0);
	if (!*only)
		check_sweep(p, 0);
	probe_stats(p, true);
	stats_print(stderr);
	probe_close(p);
	printf("1..%d\n", n_run);
	return !!n_failed;
}
