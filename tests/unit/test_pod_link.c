// SPDX-License-Identifier: Apache-2.0
/* From a process to its pod: known before, in time, late or never; what spans wait for; and the same of a recording. */
#include "tap.h"

#include "base/clock.h"
#include "base/stats.h"
#include "hostkit.h"

#define ID_B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static void free_pods(struct pods **s)
{
	pods_free(*s);
}

#define _pods_ _cleanup_(free_pods) struct pods

static struct pods *make_pods(void)
{
	return pods_new(&(struct pods_config){ 0 });
}

/* The server says: this pod, with one container of this id (or none yet), in this version. */
static void tell_pod(struct pods *s, const char *name, const char *id, const char *team)
{
	struct {
		struct pod p;
		struct pod_container c;
		struct pod_pair note;
	} *all = calloc(1, sizeof(*all));

	all->c = (struct pod_container){ .name = SLICE("web"), .id = slice_str(id), .restarts = 0 };
	all->note = (struct pod_pair){ SLICE("resource.opentelemetry.io/team"), slice_str(team) };
	all->p = (struct pod){ .refs = 1, .namespace = SLICE("store"), .name = slice_str(name), .uid = slice_str(name),
			       .cgroup_uid = slice_str(name), .containers = &all->c, .n_containers = 1,
			       .annotations = &all->note, .n_annotations = team != NULL };
	CHECK_INT(pods_put(s, &all->p, 1), 0);
}

static struct host *live_host(struct pods *s, uint64_t wait, struct tape *t)
{
	struct host_config c = { .proc = root, .max_processes = 8, .live = true, .pods = s, .pod_wait = wait,
				 .on_facts = t ? tape_put : NULL, .arg = t };

	return host_new(&c);
}

static void tick(struct host *h, uint64_t at)
{
	struct ev_tick ev = { { EV_TICK, 0, sizeof(ev), at } };

	host_event(h, &ev.h);
}

static void make_in(uint32_t pid, const char *id)
{
	char text[128];

	make_process(pid, 500, "/usr/sbin/nginx", "nginx\0", 6);
	put_file(pid, "cgroup", text, (size_t)snprintf(text, sizeof(text), "0::/kubepods/pod1/%s\n", id));
}

static void test_pod_link__known_before(void)
{
	_pods_ *s = make_pods();
	_host_ *h = live_host(s, NS_PER_S, NULL);
	_resource_ *r = NULL, *again = NULL;

	make_in(10, ID_A);
	tell_pod(s, "shop", ID_A, NULL);
	r = host_resource(h, 10);
	REQUIRE(r);
	CHECK_INT(r->pod, RESOURCE_POD_NONE);
	CHECK_SLICE(r->service, "shop");
	CHECK_SLICE(text_of(r, "k8s.pod.name"), "shop");
	CHECK_SLICE(text_of(r, "k8s.namespace.name"), "store");
	CHECK_SLICE(text_of(r, "process.executable.name"), "nginx");
	again = host_resource(h, 10);
	CHECK(again == r); /* a look-up */
}

static void test_pod_link__in_time_changes_what_waits(void)
{
	_pods_ *s = make_pods();
	_host_ *h = live_host(s, NS_PER_S, NULL);
	_resource_ *r = NULL, *other = NULL, *again = NULL;
	uint64_t id;

	make_in(10, ID_A);
	make_in(11, ID_A);
	make_in(12, ID_B);
	r = host_resource(h, 10);
	resource_unref(host_resource(h, 11));
	other = host_resource(h, 12);
	REQUIRE(r && other);
	CHECK_INT(r->pod, RESOURCE_POD_AWAITED);
	CHECK_SLICE(r->service, "nginx");
	id = r->id;
	tell_pod(s, "shop", "", NULL); /* its status has no container yet */
	CHECK_INT(r->pod, RESOURCE_POD_AWAITED);
	tell_pod(s, "shop", ID_A, NULL);
	CHECK_INT(r->pod, RESOURCE_POD_NONE);
	CHECK_INT(r->id, id);
	CHECK_SLICE(r->service, "shop");
	CHECK_INT(other->pod, RESOURCE_POD_AWAITED);
	again = host_resource(h, 10);
	CHECK(again == r);
}

static void test_pod_link__late_is_for_later_spans(void)
{
	_pods_ *s = make_pods();
	_host_ *h = live_host(s, NS_PER_S, NULL);
	_resource_ *r = NULL, *meanwhile = NULL, *later = NULL;

	make_in(10, ID_A);
	r = host_resource(h, 10);
	REQUIRE(r);
	tick(h, clock_boot());
	CHECK_INT(r->pod, RESOURCE_POD_AWAITED);
	tick(h, clock_boot() + 2 * NS_PER_S);
	CHECK_INT(r->pod, RESOURCE_POD_MISSING);
	meanwhile = host_resource(h, 10);
	CHECK(meanwhile == r);
	make_in(11, ID_A);
	resource_unref(later = host_resource(h, 11)); /* nobody waits for this container again */
	CHECK_INT(later->pod, RESOURCE_POD_MISSING);
	tell_pod(s, "shop", ID_A, NULL);
	CHECK_SLICE(r->service, "nginx"); /* it may be on its way */
	later = host_resource(h, 10);
	CHECK(later != r && later->id != r->id);
	CHECK_SLICE(later->service, "shop");
	CHECK_INT(later->pod, RESOURCE_POD_NONE);
}

static void test_pod_link__changes_and_ends(void)
{
	_pods_ *s = make_pods();
	_host_ *h = live_host(s, NS_PER_S, NULL);
	_resource_ *a = NULL, *b = NULL, *c = NULL, *d = NULL;

	make_in(10, ID_A);
	tell_pod(s, "shop", ID_A, "red");
	a = host_resource(h, 10);
	tell_pod(s, "shop", ID_A, "red");
	b = host_resource(h, 10);
	CHECK(a == b); /* no news */
	tell_pod(s, "shop", ID_A, "blue");
	c = host_resource(h, 10);
	REQUIRE(a && c && c != a);
	CHECK_SLICE(text_of(a, "team"), "red");
	CHECK_SLICE(text_of(c, "team"), "blue");
	pods_delete(s, SLICE("shop"), 5);
	pods_tick(s, 5 + 2 * PODS_KEEP);
	d = host_resource(h, 10);
	CHECK(d == c);
}

static void test_pod_link__who_never_waits(void)
{
	_pods_ *s = make_pods();
	_host_ *on = live_host(s, NS_PER_S, NULL), *off = live_host(NULL, NS_PER_S, NULL), *at_once = live_host(s, 0, NULL);
	_resource_ *outside = NULL, *liar = NULL, *without = NULL, *now = NULL;
	static const char env[] = "OTEL_RESOURCE_ATTRIBUTES=container.id=" ID_A ",k8s.pod.name=mine\0";

	make_in(10, ID_A);
	make_process(11, 500, "/usr/bin/cat", "cat\0", 4);
	put_file(11, "cgroup", "0::/init.scope\n", 15);
	make_process(12, 500, "/usr/bin/cat", "cat\0", 4);
	put_file(12, "cgroup", "0::/init.scope\n", 15);
	put_file(12, "environ", env, sizeof(env) - 1);
	tell_pod(s, "shop", ID_A, NULL);
	outside = host_resource(on, 11);
	liar = host_resource(on, 12); /* says that it is in that container */
	without = host_resource(off, 10);
	make_in(13, ID_B);
	now = host_resource(at_once, 13);
	REQUIRE(outside && liar && without && now);
	CHECK_INT(outside->pod, RESOURCE_POD_NONE);
	CHECK_INT(liar->pod, RESOURCE_POD_NONE);
	CHECK_SLICE(liar->service, "cat");
	CHECK_SLICE(text_of(liar, "k8s.namespace.name"), "");
	CHECK_INT(without->pod, RESOURCE_POD_NONE);
	CHECK_SLICE(text_of(without, "container.id"), ID_A);
	CHECK_SLICE(text_of(without, "k8s.pod.name"), "");
	CHECK_INT(now->pod, RESOURCE_POD_MISSING);
}

static void test_pod_link__another_program_in_its_place(void)
{
	_pods_ *s = make_pods();
	_host_ *h = live_host(s, NS_PER_S, NULL);
	_resource_ *a = NULL, *b = NULL;
	struct ev_exec exec = make_exec(10, 5000, 500, "/usr/bin/node", "node\0server.js\0", 15);
	struct ev_exit exit = make_exit(10);

	make_in(10, ID_A);
	a = host_resource(h, 10);
	REQUIRE(a);
	CHECK_INT(a->pod, RESOURCE_POD_AWAITED);
	make_process(10, 500, "/usr/bin/node", "node\0server.js\0", 15);
	host_event(h, &exec.h);
	CHECK_INT(a->pod, RESOURCE_POD_MISSING); /* nobody would tell it */
	b = host_resource(h, 10);
	REQUIRE(b);
	CHECK_INT(b->pod, RESOURCE_POD_AWAITED);
	end_process(10);
	host_event(h, &exit.h);
	tell_pod(s, "shop", ID_A, NULL);
	CHECK_INT(b->pod, RESOURCE_POD_NONE); /* it has ended, its spans have not */
	CHECK_SLICE(b->service, "shop");
}

static void test_pod_link__eviction_and_giving_up(void)
{
	_pods_ *s = make_pods();
	_host_ *h = live_host(s, NS_PER_S, NULL);
	_resource_ *a = NULL, *b = NULL;

	make_in(10, ID_A);
	a = host_resource(h, 10);
	for (uint32_t pid = 100; pid < 110; pid++)
		resource_unref(host_resource(h, pid));
	REQUIRE(a);
	CHECK_INT(a->pod, RESOURCE_POD_MISSING);
	make_in(11, ID_B);
	b = host_resource(h, 11);
	REQUIRE(b);
	CHECK_INT(b->pod, RESOURCE_POD_AWAITED);
	host_stop_waiting(h);
	CHECK_INT(b->pod, RESOURCE_POD_MISSING);
}

/* What live spans were told when, a replay without pods is told in the same places. */
static void test_pod_link__replay_gives_the_same(void)
{
	_cleanup_(tape_fini) struct tape t = { 0 };
	_pods_ *s = make_pods();
	_host_ *live = live_host(s, NS_PER_S, &t), *replay = NULL;
	struct host_config c = { .proc = root, .max_processes = 8 };
	_resource_ *a = NULL, *b = NULL, *ra = NULL, *rb = NULL;
	size_t before;

	replay = host_new(&c);
	make_in(10, ID_A);
	make_in(11, ID_B);
	tell_pod(s, "bank", ID_B, NULL);
	a = host_resource(live, 10);
	b = host_resource(live, 11);
	before = t.n;
	tell_pod(s, "shop", ID_A, "red");
	CHECK_INT(before, 5); /* host, and of each its facts and what of its pod is known */
	CHECK_INT(t.n, 6);
	for (size_t i = 0; i < before; i++)
		host_event(replay, t.events[i]);
	ra = host_resource(replay, 10);
	rb = host_resource(replay, 11);
	REQUIRE(ra && rb);
	CHECK_INT(ra->pod, RESOURCE_POD_AWAITED);
	CHECK_SLICE(rb->service, "bank");
	host_event(replay, t.events[before]);
	CHECK_INT(ra->pod, RESOURCE_POD_NONE);
	CHECK(same_resource(a, ra));
	CHECK(same_resource(b, rb));
	CHECK_SLICE(ra->service, "shop");
}

static void test_pod_link__replay_waits_as_long(void)
{
	_cleanup_(tape_fini) struct tape t = { 0 };
	_pods_ *s = make_pods();
	_host_ *live = live_host(s, NS_PER_S, &t), *replay = NULL;
	struct host_config c = { .proc = root, .max_processes = 8 };
	_resource_ *a = NULL, *ra = NULL;
	uint64_t until;

	replay = host_new(&c);
	make_in(10, ID_A);
	a = host_resource(live, 10);
	for (size_t i = 0; i < t.n; i++)
		host_event(replay, t.events[i]);
	ra = host_resource(replay, 10);
	REQUIRE(a && ra && t.n == 3);
	CHECK_INT(t.events[2]->type, EV_POD);
	until = t.events[2]->time;
	for (uint64_t at = until - 1; at <= until; at++) {
		tick(live, at);
		tick(replay, at);
		CHECK_INT(a->pod, at < until ? RESOURCE_POD_AWAITED : RESOURCE_POD_MISSING);
		CHECK_INT(ra->pod, a->pod);
	}
}

static void test_pod_link__marks_of_traced_programs(void)
{
	_host_ *h = live_host(NULL, 0, NULL);
	struct ev_otlp sends = { { EV_OTLP, 0, sizeof(sends), 1 }, 10, OTLP_SENDS };
	struct ev_otlp receives = { { EV_OTLP, 0, sizeof(sends), 1 }, 10, OTLP_RECEIVES };
	struct ev_exec exec = make_exec(10, 5000, 500, "/usr/bin/node", "node\0server.js\0", 15);

	stats[STAT_procs_self_traced] = 0;
	make_in(10, ID_A);
	host_event(h, &sends.h); /* of a process that nobody knows */
	CHECK(!host_self_traced(h, 10));
	resource_unref(host_resource(h, 10));
	host_event(h, &sends.h);
	host_event(h, &sends.h);
	CHECK(host_self_traced(h, 10));
	CHECK_INT(stats[STAT_procs_self_traced], 1);
	host_event(h, &receives.h); /* it hands on what others send */
	CHECK(!host_self_traced(h, 10));
	make_process(10, 500, "/usr/bin/node", "node\0server.js\0", 15);
	host_event(h, &exec.h);
	CHECK_INT(host_otlp(h, 10), 0); /* another program */
}

int main(void)
{
	if (!kit_start())
		return 1;
	RUN(test_pod_link__known_before);
	RUN(test_pod_link__in_time_changes_what_waits);
	RUN(test_pod_link__late_is_for_later_spans);
	RUN(test_pod_link__changes_and_ends);
	RUN(test_pod_link__who_never_waits);
	RUN(test_pod_link__another_program_in_its_place);
	RUN(test_pod_link__eviction_and_giving_up);
	RUN(test_pod_link__replay_gives_the_same);
	RUN(test_pod_link__replay_waits_as_long);
	RUN(test_pod_link__marks_of_traced_programs);
	kit_stop();
	return tap_done();
}
