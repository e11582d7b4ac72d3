// SPDX-License-Identifier: Apache-2.0
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "choose.h"
#include "control.h"
#include "kube_setup.h"
#include "listen.h"
#include "pipeline.h"
#include "privilege.h"
#include "probe/probe.h"
#include "probe/record.h"
#include "proto/proto.h"
#include "reload.h"
#include "status.h"
#include "steer.h"
#include "usage.h"

#define TICK_NS (100 * NS_PER_MS)
#define BUSY_MS 1	  /* between two reads while records flow: the bound of the delay, and of wake-ups a second */
#define READ_MAX 65536	  /* records a turn, so that signals and transfers get theirs */
#define SWEEP_NS (2 * NS_PER_S)
#define DOORS_NS (10 * NS_PER_S) /* addresses of this host come and go */
#define READY_NS (5 * NS_PER_S) /* for the API server to tell of the pods that are selected */
#define CLOCK_NS (60 * NS_PER_S)
#define CLOCK_JUMP_NS (10 * (int64_t)NS_PER_MS)
#define DRAIN_NS (8 * NS_PER_S) /* for the exporters, after the capture has stopped */

struct loop {
	struct config *config;
	int argc;
	char **argv;
	CURLM *multi;
	struct probe *probe;
	struct recorder *recorder;
	struct control *control;
	struct listen *listen;
	struct status status;
	struct kube_setup kube;
	struct chooser *chooser;
	struct pipeline *pipeline;
	struct steer steer;
	int signals;
	bool stop, said_tls, said_ready;
	uint64_t next_tick, next_sweep, next_clock, next_doors, ready_by, end;
	uint64_t newest; /* time of the newest record that was read */
	int64_t suspended; /* boot minus monotonic time when the clock was last read */
};

static void feed(void *arg, const struct ev_head *ev)
{
	struct loop *l = arg;

	if (ev->time > l->newest)
		l->newest = ev->time;
	if (ev->type == EV_CGROUP)
		chooser_event(l->chooser, (const struct ev_cgroup *)ev);
	else
		pipeline_event(l->pipeline, ev);
}

/* Time */

static int64_t suspend_time(void)
{
	return (int64_t)(clock_boot() - clock_ns(CLOCK_MONOTONIC));
}

static void clock_event(struct loop *l, uint64_t now)
{
	struct ev_clock ev = { .h = { .type = EV_CLOCK, .len = sizeof(ev), .time = now }, .offset = clock_offset() };

	pipeline_event(l->pipeline, &ev.h);
	l->suspended = suspend_time();
	l->next_clock = now + CLOCK_NS;
}

static bool was_suspended(const struct loop *l)
{
	int64_t d = suspend_time() - l->suspended;

	return d > CLOCK_JUMP_NS || d < -CLOCK_JUMP_NS;
}

/* Once, not for each connection: what is inside TLS is readable only in a TLS library that is hooked. */
static void say_tls(struct loop *l)
{
	if (l->said_tls || !stats[STAT_conns_tls])
		return;
	l->said_tls = true;
	log_info("TLS connections seen that no hooked library makes: not readable, counted in connections_tls_unreadable");
}

/* Who asks --listen is not traced. */
static void tell_doors(struct loop *l, uint64_t now)
{
	struct own_end doors[OWN_DOORS_MAX];

	if (!l->listen || now < l->next_doors)
		return;
	l->next_doors = now + DOORS_NS;
	probe_doors(l->probe, doors, listen_doors(l->listen, doors, OWN_DOORS_MAX));
}

static void tick(struct loop *l, uint64_t now)
{
	struct ev_tick ev = { .h = { .type = EV_TICK, .len = sizeof(ev), .time = now } };

	if (now < l->next_tick)
		return;
	l->next_tick = now + TICK_NS;
	if (now >= l->next_clock || was_suspended(l))
		clock_event(l, now);
	probe_stats(l->probe, now >= l->next_sweep); /* facts that were read before a process record was missed are read again */
	if (now >= l->next_sweep) {
		probe_sweep(l->probe, feed, l); /* best effort: the next one comes soon */
		l->next_sweep = now + SWEEP_NS;
	}
	pipeline_event(l->pipeline, &ev.h);
	control_read(l->control, pipeline_sampler(l->pipeline), now);
	say_tls(l);
	tell_doors(l, now);
	if (l->recorder)
		recorder_tick(l->recorder, now);
}

/* Signals */

static void reload(struct loop *l)
{
	const struct reload_stages s = { l->config, &l->kube, l->chooser, l->probe, l->pipeline };
	char error[512];

	if (reload_config(&s, l->argc, l->argv, error, sizeof(error)))
		log_error("%s: nothing was changed", error);
	else
		log_info("configuration read again: selectors and sampling are in force");
}

static int signals_open(void)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error of write() */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void signals_read(struct loop *l)
{
	struct signalfd_siginfo s;

	while (read(l->signals, &s, sizeof(s)) == sizeof(s)) {
		if (s.ssi_signo != SIGHUP) {
			l->stop = true;
		} else if (l->pipeline) {
			pipeline_reopen(l->pipeline);
			if (l->probe && !l->status.ending) /* else nothing is captured that could be selected */
				reload(l);
		}
	}
}

/* The loop */

static void wait_for(struct loop *l, bool ring, uint64_t ms)
{
	struct curl_waitfd fds[2 + LISTEN_FDS] = { { .fd = l->signals, .events = CURL_WAIT_POLLIN } };
	unsigned n = 1 + listen_fds(l->listen, fds + 1);
	int running;

	if (ring)
		fds[n++] = (struct curl_waitfd){ .fd = probe_fd(l->probe), .events = CURL_WAIT_POLLIN };
	curl_multi_poll(l->multi, fds, n, (int)ms, NULL);
	curl_multi_perform(l->multi, &running);
}

/* Pods that are selected are to be hooked by then; an API server that does not answer is not waited for. */
static void say_ready(struct loop *l, uint64_t now)
{
	if (l->said_ready || (chooser_asks(l->chooser) && !kube_setup_settled(&l->kube) && now < l->ready_by))
		return;
	l->said_ready = true;
	config_say(l->config, probe_backend(l->probe));
}

static void turn(struct loop *l)
{
	int n = probe_read(l->probe, feed, l, READ_MAX), running;
	uint64_t now = clock_boot();

	if (n >= READ_MAX) /* no time to wait, but transfers must go on or the queue fills */
		curl_multi_perform(l->multi, &running);
	/* an empty ring: everything before now was seen; else what was read so far */
	tick(l, n < READ_MAX ? now : l->newest);
	pipeline_turn(l->pipeline, now);
	kube_setup_turn(&l->kube, now);
	chooser_turn(l->chooser, now);
	say_ready(l, now);
	listen_turn(l->listen, now);
	signals_read(l);
	steer_turn(&l->steer, now);
	l->stop |= l->end && now >= l->end;
	if (n >= READ_MAX || l->stop)
		return;
	if (kube_setup_busy(&l->kube))
		wait_for(l, false, 0);
	else if (n > 0 || listen_busy(l->listen))
		wait_for(l, false, BUSY_MS);
	else if (probe_idle(l->probe))
		wait_for(l, true, (l->next_tick - MIN(now, l->next_tick)) / NS_PER_MS + 1);
}

/* Exporters get a bounded time; a second signal ends it. */
static void drain(struct loop *l)
{
	uint64_t end = clock_boot() + DRAIN_NS;

	l->stop = false;
	kube_setup_gauges(&l->kube);
	pipeline_finish(l->pipeline, clock_boot());
	l->status.ending = true;
	while (!pipeline_idle(l->pipeline) && !l->stop && clock_boot() < end) {
		wait_for(l, false, 50);
		pipeline_turn(l->pipeline, clock_boot());
		listen_turn(l->listen, clock_boot());
		signals_read(l);
	}
}

static int make_seed(uint64_t seed[2])
{
	return getrandom(seed, 16, 0) == 16 ? 0 : log_ret(-errno, "no random numbers: %s", strerror(errno));
}

static int open_chooser(struct loop *l, struct select *s)
{
	struct selector *selector = NULL;
	struct selection *selection = NULL;
	char error[512] = "out of memory";
	bool wait = s->wait;
	int r = chooser_new(&l->chooser, l->probe, l->kube.pods);

	s->wait = false;
	if (!r)
		r = chooser_plan(l->chooser, l->config, &selector, error, sizeof(error));
	if (!r) {
		chooser_select(l->chooser, selector);
		r = wait ? probe_plan_select(l->probe, s, &selection, error, sizeof(error)) : 0;
	}
	if (r)
		return log_ret(r, "%s", error);
	if (selection)
		probe_select(l->probe, selection);
	return 0;
}

static int open_stages(struct loop *l)
{
	const struct config *c = l->config;
	struct probe_config pc = { .ring_size = (uint32_t)c->limits.ring_size, .backend = c->operate.backend,
				   .no_tls = !strcmp(c->protocols.tls, "off") };
	uint64_t seed[2];
	int r;

	config_select(c, &pc.select);
	pc.select.wait = pc.select.not_kube; /* what is ruled out is not traced even before we know it is */
	proto_framings(pc.framings);
	r = make_seed(seed);
	if (!r && c->operate.listen) /* first: an address that is taken is told at once */
		r = listen_open(&l->listen, c->operate.listen, &(struct listen_pages){ status_page, &l->status });
	if (!r && c->operate.record)
		r = recorder_open(&l->recorder, c->operate.record, seed);
	if (!r)
		r = probe_open(&l->probe, &pc);
	if (!r)
		r = control_open(&l->control, c->operate.control);
	if (!r)
		r = kube_setup_open(&l->kube, c, l->multi);
	if (!r)
		r = pipeline_new(&l->pipeline, c,
				 &(struct pipeline_live){ .probe = l->probe, .recorder = l->recorder,
							    .pods = l->kube.pods, .services = l->kube.services },
				 seed, l->multi);
	if (!r)
		r = open_chooser(l, &pc.select);
	if (r)
		return r;
	l->status = (struct status){ .probe = l->probe, .pipeline = l->pipeline, .kube = &l->kube, .start = usage_start(),
				     .began = clock_boot(), .wait = c->kube.wait };
	tell_doors(l, clock_boot());
	r = listen_start(l->listen);
	return r ? r : privilege_settle(c, l->probe);
}

static void close_stages(struct loop *l)
{
	listen_close(l->listen);
	chooser_free(l->chooser);
	pipeline_free(l->pipeline);
	kube_setup_close(&l->kube);
	control_close(l->control);
	if (l->recorder)
		recorder_close(l->recorder);
	if (l->probe) {
		probe_stats(l->probe, true);
		probe_close(l->probe);
	}
	close_fd(&l->signals);
}

/* The last word. There were spans and not one could be delivered: could not export. */
static int report(void)
{
	uint64_t undelivered = stats[STAT_drop_unsent] + stats[STAT_drop_refused] + stats[STAT_drop_file] +
			       stats[STAT_drop_encode];

	stats_print(stderr);
	return !stats[STAT_spans_exported] && undelivered ? 1 : 0;
}

int loop_live(struct config *config, int argc, char **argv, CURLM *multi)
{
	struct loop l = { .config = config, .argc = argc, .argv = argv, .multi = multi, .signals = signals_open() };
	int r = l.signals < 0 ? l.signals : open_stages(&l);

	if (r) {
		close_stages(&l);
		return 1;
	}
	clock_event(&l, clock_boot());
	steer_init(&l.steer);
	l.ready_by = clock_boot() + READY_NS;
	say_ready(&l, clock_boot());
	l.end = config->operate.duration ? clock_boot() + config->operate.duration : 0;
	while (!l.stop)
		turn(&l);
	probe_stop(l.probe);
	while (probe_read(l.probe, feed, &l, READ_MAX) > 0)
		;
	drain(&l);
	steer_fini(&l.steer);
	close_stages(&l);
	return report();
}

/* Replay */

struct replay {
	struct loop loop;
	uint64_t seed[2];
	int error;
	bool hurry; /* an exporter that does not get on has been waited for */
};

static void replay_start(void *arg)
{
	struct replay *r = arg;

	r->error = pipeline_new(&r->loop.pipeline, r->loop.config, &(struct pipeline_live){ 0 }, r->seed,
				r->loop.multi);
}

/* A recording comes faster than a back end takes spans. One that takes none is waited for once. */
static void let_exporters_catch_up(struct replay *r)
{
	struct loop *l = &r->loop;
	uint64_t end = clock_boot() + DRAIN_NS;

	while (pipeline_crowded(l->pipeline) && !r->hurry) {
		wait_for(l, false, 50);
		pipeline_turn(l->pipeline, clock_boot());
		signals_read(l);
		r->hurry = l->stop || clock_boot() > end;
	}
}

static void replay_event(void *arg, const struct ev_head *ev)
{
	struct replay *r = arg;

	if (r->error)
		return;
	stat_inc(records);
	pipeline_event(r->loop.pipeline, ev);
	if (ev->type == EV_TICK) {
		int running;

		curl_multi_perform(r->loop.multi, &running);
		pipeline_turn(r->loop.pipeline, clock_boot());
	}
	if (!r->hurry && pipeline_crowded(r->loop.pipeline))
		let_exporters_catch_up(r);
}

int loop_replay(const struct config *config, CURLM *multi)
{
	struct replay r = { .loop = { .config = (struct config *)config, .multi = multi, .signals = signals_open() } };
	int error = r.loop.signals < 0 ? r.loop.signals :
					 replay_file(config->operate.replay, r.seed, replay_start, replay_event, &r);

	if (!error && !r.error && r.loop.pipeline)
		drain(&r.loop);
	close_stages(&r.loop);
	if (error || r.error)
		return 1;
	return report();
}
