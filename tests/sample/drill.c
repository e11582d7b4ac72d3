// SPDX-License-Identifier: Apache-2.0
/*
 * drill N DIR: recordings of two agents that see different halves of N traces, and the truth about them. DIR/a.rec: a server
 * with its own call below each request, linked by the thread or, as if by an SDK, by a header. DIR/b.rec: what another
 * host serves of the same traces, some of which come twice. DIR/truth: a line a trace: id, route, status, duration in ms, status
 * of its call, status at b, status of the second time there or 0, when it ended.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/rng.h"
#include "base/scope.h"
#include "probe/record.h"
#include "synth.h"

#define WORKERS 64
#define GAP (5 * NS_PER_MS)
#define JITTER 7000 /* ns between the workers */

struct truth {
	char id[33];
	const char *route;
	int status, call_status, far_status;
	int again_status; /* 0: it does not come back */
	uint64_t ms;
};

struct agent {
	struct synth synth;
	struct recorder *recorder;
	struct synth_conn in[WORKERS], out[WORKERS];
};

static struct rng rng;

static bool chance(unsigned percent)
{
	return rng_next(&rng) % 100 < percent;
}

static struct truth invent(void)
{
	static const char *const routes[] = { "health", "pay", "static", "static", "static", "api", "api", "api", "api", "api" };
	struct truth t = { .status = 200, .call_status = 200, .far_status = 200, .ms = chance(2) ? 1500 : 5 };

	snprintf(t.id, sizeof(t.id), "%016" PRIx64 "%016" PRIx64, rng_next(&rng), rng_next(&rng));
	t.route = routes[rng_next(&rng) % ARRAY_SIZE(routes)];
	if (chance(3))
		t.status = 500;
	else if (chance(5))
		t.status = 404;
	if (chance(1))
		t.call_status = 503;
	if (chance(3))
		t.far_status = 500;
	if (chance(30))
		t.again_status = chance(10) ? 500 : 200;
	return t;
}

static void open_conn(struct agent *a, struct synth_conn *c, int role)
{
	struct ev_open *o = synth_open(&a->synth, c, FAM_INET, role);

	o->laddr[12] = 10; /* two hosts: nobody waits here for the other end */
	o->raddr[12] = 10;
	o->raddr[15] = 2;
}

static void agent_init(struct agent *a, const char *dir, const char *name)
{
	static const uint64_t seed[2] = { 5, 6 };
	struct ev_clock *clock;
	char path[4096];

	synth_init(&a->synth);
	a->synth.step = 0;
	snprintf(path, sizeof(path), "%s/%s.rec", dir, name);
	if (recorder_open(&a->recorder, path, seed))
		exit(1);
	clock = synth_add(&a->synth, EV_CLOCK, sizeof(*clock));
	clock->offset = 1700000000LL * (int64_t)NS_PER_S;
	for (uint32_t w = 0; w < WORKERS; w++) {
		a->in[w] = (struct synth_conn){ .id = 1 + w, .pid = 1000, .tid = 2000 + w };
		a->out[w] = (struct synth_conn){ .id = 1001 + w, .pid = 1000, .tid = 2000 + w };
		open_conn(a, &a->in[w], ROLE_SERVER);
		open_conn(a, &a->out[w], ROLE_CLIENT);
	}
}

static void request(struct agent *a, struct synth_conn *c, int dir, uint64_t at, const char *route, unsigned n, const char *id,
		    unsigned span)
{
	char text[256], b3[80] = "";

	if (id)
		snprintf(b3, sizeof(b3), "b3: %s-%016x\r\n", id, span);
	snprintf(text, sizeof(text), "GET /%s/%u HTTP/1.1\r\nHost: a\r\n%s\r\n", route, n, b3);
	a->synth.now = at;
	synth_send(&a->synth, c, dir, text);
}

static void response(struct agent *a, struct synth_conn *c, int dir, uint64_t at, int status)
{
	char text[128];

	snprintf(text, sizeof(text), "HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n", status);
	a->synth.now = at;
	synth_send(&a->synth, c, dir, text);
}

static void play_trace(struct agent *a, struct agent *b, const struct truth *t, unsigned n, uint64_t at)
{
	unsigned w = n % WORKERS;

	at += w * JITTER;
	request(a, &a->in[w], DIR_RECV, at, t->route, n, t->id, 2 * n + 1);
	request(a, &a->out[w], DIR_SEND, at + NS_PER_MS, "inner", n, n & 1 ? t->id : NULL, 2 * n + 2);
	request(b, &b->in[w], DIR_RECV, at + 2 * NS_PER_MS, "far", n, t->id, 2 * n + 2);
	response(b, &b->in[w], DIR_SEND, at + 3 * NS_PER_MS, t->far_status);
	if (t->again_status) {
		request(b, &b->in[w], DIR_RECV, at + 4 * NS_PER_MS, "again", n, t->id, 2 * n + 2);
		response(b, &b->in[w], DIR_SEND, at + 5 * NS_PER_MS, t->again_status);
	}
	response(a, &a->out[w], DIR_RECV, at + 4 * NS_PER_MS, t->call_status);
	response(a, &a->in[w], DIR_SEND, at + t->ms * NS_PER_MS, t->status);
}

/* Stable: what has one time keeps its order. */
static void sort(struct synth *s)
{
	for (size_t i = 1; i < s->n; i++)
		for (size_t j = i; j && s->ev[j - 1]->time > s->ev[j]->time; j--)
			synth_swap(s, j - 1, j);
}

static void put(void *arg, const struct ev_head *ev)
{
	recorder_put(arg, ev);
}

static void write_out(struct agent *a, uint64_t now)
{
	a->synth.now = now;
	sort(&a->synth);
	synth_tick(&a->synth, 0);
	synth_play(&a->synth, put, a->recorder);
}

int main(int argc, char **argv)
{
	unsigned n = argc == 3 ? (unsigned)atoi(argv[1]) : 0;
	static struct agent a, b;
	uint64_t now = 2 * NS_PER_S;
	char path[4096];
	FILE *truth;

	if (!n)
		return 2;
	snprintf(path, sizeof(path), "%s/truth", argv[2]);
	truth = fopen(path, "w");
	if (!truth)
		return 1;
	rng_seed(&rng, 21, 22);
	agent_init(&a, argv[2], "a");
	agent_init(&b, argv[2], "b");
	for (unsigned i = 0; i < n;) {
		uint64_t end = now + GAP;

		for (unsigned w = 0; w < WORKERS && i < n; w++, i++) {
			struct truth t = invent();
			uint64_t ends = now + w * JITTER + t.ms * NS_PER_MS;

			play_trace(&a, &b, &t, i, now);
			end = MAX(end, ends);
			fprintf(truth, "%s %s %d %" PRIu64 " %d %d %d %" PRIu64 "\n", t.id, t.route, t.status, t.ms, t.call_status,
				t.far_status, t.again_status, ends);
		}
		now = end + GAP;
		write_out(&a, now);
		write_out(&b, now);
	}
	recorder_close(a.recorder);
	recorder_close(b.recorder);
	synth_fini(&a.synth);
	synth_fini(&b.synth);
	return fclose(truth) ? 1 : 0;
}
