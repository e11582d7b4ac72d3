// SPDX-License-Identifier: Apache-2.0
/* The host stage over a /proc of our own making, over the real one, and over a recording of either. */
#include "tap.h"

#include <sys/wait.h>

#include "base/buf.h"
#include "base/rng.h"
#include "base/stats.h"
#include "host/facts.h"
#include "hostkit.h"

static struct host_config config_of(bool live, struct tape *t)
{
	return (struct host_config){ .proc = root, .max_processes = 8, .live = live, .on_facts = t ? tape_put : NULL, .arg = t };
}

static struct host *make_host(bool live, struct tape *t)
{
	struct host_config c = config_of(live, t);

	return host_new(&c);
}

/* ---- tests ---- */

static void test_process__facts_of_a_script(void)
{
	_host_ *h = make_host(true, NULL);
	_resource_ *r = NULL, *again = NULL;

	make_process(10, 500, "/usr/bin/python3.11 (deleted)", "python3\0cart.py\0", 16);
	r = host_resource(h, 10);
	REQUIRE(r);
	CHECK_SLICE(r->service, "cart");
	CHECK_SLICE(text_of(r, "service.name"), "cart");
	CHECK_SLICE(text_of(r, "telemetry.sdk.name"), "spandrel");
	CHECK_SLICE(text_of(r, "telemetry.sdk.version"), VERSION);
	CHECK_SLICE(text_of(r, "telemetry.sdk.language"), "python");
	CHECK_SLICE(text_of(r, "process.runtime.name"), "cpython");
	CHECK_SLICE(text_of(r, "process.executable.path"), "/usr/bin/python3.11");
	CHECK_SLICE(text_of(r, "process.executable.name"), "python3.11");
	CHECK_SLICE(text_of(r, "process.owner"), "root");
	CHECK_SLICE(text_of(r, "container.id"), ID_A);
	CHECK_SLICE(text_of(r, "os.type"), "linux");
	CHECK_INT(number_of(r, "process.pid"), 10);
	CHECK_INT(number_of(r, "process.parent_pid"), 77);
	CHECK_INT(text_of(r, "service.instance.id").n, 36);
	CHECK(text_of(r, "host.name").n > 0 && text_of(r, "host.arch").n > 0);
	again = host_resource(h, 10);
	CHECK(again == r);
}

static void test_process__environment_and_flags(void)
{
	static const char env[] = "A=b\0OTEL_RESOURCE_ATTRIBUTES=service.name=two,service.namespace=ns%20x,process.pid=1,"
				  "telemetry.sdk.name=it,k=from-env,h=$(POD)\0OTEL_SERVICE_NAME=one";
	const struct slice extra[] = { SLICE("k=from-flag"), SLICE("empty="), SLICE("nothing"), SLICE("=x") };
	struct host_config c = config_of(true, NULL);
	_resource_ *r = NULL, *s = NULL;
	_host_ *h = host_new(&c), *flags = NULL;

	make_process(11, 500, "/usr/sbin/nginx", "nginx\0", 6);
	put_file(11, "environ", env, sizeof(env));
	r = host_resource(h, 11);
	CHECK_SLICE(r->service, "one");
	CHECK_SLICE(text_of(r, "service.namespace"), "ns x");
	CHECK_SLICE(text_of(r, "telemetry.sdk.name"), "spandrel");
	CHECK_SLICE(text_of(r, "k"), "from-env");
	CHECK_SLICE(text_of(r, "h"), "");
	CHECK_INT(number_of(r, "process.pid"), 11);

	c.service_name = SLICE("flag");
	c.environment = SLICE("production");
	c.extra = extra;
	c.n_extra = ARRAY_SIZE(extra);
	flags = host_new(&c);
	s = host_resource(flags, 11);
	CHECK_SLICE(s->service, "flag");
	CHECK_SLICE(text_of(s, "deployment.environment.name"), "production");
	CHECK_SLICE(text_of(s, "k"), "from-flag");
	CHECK_INT(s->n_attrs, r->n_attrs + 2); /* environment, empty */
	CHECK(slice_eq(text_of(s, "service.instance.id"), text_of(r, "service.instance.id")));
}

static void test_process__exec_replaces_and_exit_keeps(void)
{
	_host_ *h = make_host(true, NULL);
	_resource_ *sh = NULL, *tool = NULL, *late = NULL, *reused = NULL;
	struct ev_exec exec = make_exec(12, UINT64_MAX, 500, "/usr/bin/tool", "tool\0", 5);
	struct ev_exit end = make_exit(12);

	make_process(12, 500, "/bin/sh", "sh\0", 3);
	sh = host_resource(h, 12);
	CHECK_SLICE(sh->service, "sh");
	put_link(12, "exe", "/usr/bin/tool");
	host_event(h, &exec.h);
	tool = host_resource(h, 12);
	CHECK_SLICE(tool->service, "tool");
	CHECK_SLICE(text_of(tool, "container.id"), ID_A);
	CHECK_SLICE(sh->service, "sh"); /* still whole for who holds it */
	CHECK(slice_eq(text_of(sh, "service.instance.id"), text_of(tool, "service.instance.id")));
	CHECK(sh->id != tool->id);

	end_process(12);
	host_event(h, &end.h);
	late = host_resource(h, 12);
	CHECK(late == tool);
	make_process(12, 900, "/usr/bin/other", "other\0", 6);
	reused = host_resource(h, 12);
	CHECK_SLICE(reused->service, "other");
	CHECK(!slice_eq(text_of(reused, "service.instance.id"), text_of(tool, "service.instance.id")));
}

/* The facts were read too late, and only the exec record tells: what came before must not bear the new name. */
static void test_process__facts_of_the_next_program_are_taken_back(void)
{
	_cleanup_(tape_fini) struct tape t = { 0 };
	_host_ *live = make_host(true, &t), *replay = make_host(false, NULL);
	_resource_ *before = NULL, *after = NULL, *rbefore = NULL, *rafter = NULL;
	struct ev_exec exec = make_exec(22, 1000, 500, "/usr/bin/second", "second\0", 7);

	make_process(22, 500, "/usr/bin/second", "second\0", 7);
	before = host_resource(live, 22);
	CHECK_SLICE(before->service, "second");
	host_event(live, &exec.h);
	CHECK_SLICE(before->service, "unknown_service");
	CHECK_SLICE(text_of(before, "process.executable.path"), "");
	CHECK_INT(number_of(before, "process.pid"), 22);
	after = host_resource(live, 22);
	CHECK_SLICE(after->service, "second");
	CHECK(slice_eq(text_of(before, "service.instance.id"), text_of(after, "service.instance.id")));

	REQUIRE(t.n == 3);
	host_event(replay, t.events[0]);
	host_event(replay, t.events[1]);
	rbefore = host_resource(replay, 22);
	host_event(replay, t.events[2]);
	host_event(replay, &exec.h);
	rafter = host_resource(replay, 22);
	CHECK(same_resource(before, rbefore));
	CHECK(same_resource(after, rafter));
}

/* By the time an exec record is read its process may be gone, be another one, or run the next program. */
static void test_process__exec_record_when_proc_disagrees(void)
{
	_host_ *h = make_host(true, NULL);
	_resource_ *gone = NULL, *next = NULL, *other = NULL;
	struct ev_exec a = make_exec(13, 1000, 500, "/usr/bin/python3.11", "python3\0pay.py", 14);
	struct ev_exec b = make_exec(14, 1000, 500, "/bin/sh", "sh\0-c\0curl\0", 11);
	struct ev_exec c = make_exec(15, 1000, 500, "/usr/bin/curl", "curl\0", 5);
	uint64_t unread = stats[STAT_procs_unread];

	host_event(h, &a.h);
	gone = host_resource(h, 13);
	CHECK_SLICE(gone->service, "pay");
	CHECK_INT(number_of(gone, "process.parent_pid"), 5);
	CHECK_INT(text_of(gone, "service.instance.id").n, 36);
	make_process(14, 500, "/usr/bin/curl", "curl\0", 5);
	host_event(h, &b.h);
	next = host_resource(h, 14);
	CHECK_SLICE(next->service, "sh");
	make_process(15, 501, "/usr/bin/curl", "curl\0", 5);
	host_event(h, &c.h);
	other = host_resource(h, 15);
	CHECK_SLICE(other->service, "curl");
	CHECK_SLICE(text_of(other, "container.id"), "");
	CHECK_INT(stats[STAT_procs_unread] - unread, 3);
}

static void test_process__vanished_is_unknown_service(void)
{
	_host_ *h = make_host(true, NULL);
	_resource_ *r = NULL, *late = NULL;
	uint64_t unread = stats[STAT_procs_unread];

	r = host_resource(h, 999);
	REQUIRE(r);
	CHECK_SLICE(r->service, "unknown_service");
	CHECK_INT(number_of(r, "process.pid"), 999);
	CHECK_SLICE(text_of(r, "os.type"), "linux");
	CHECK_SLICE(text_of(r, "service.instance.id"), "");
	CHECK_INT(stats[STAT_procs_unread] - unread, 1);
	make_process(999, 5, "/usr/bin/late", "late\0", 5);
	late = host_resource(h, 999);
	CHECK_SLICE(late->service, "late");
}

/* A lost exec record is noticed by its counter. */
static void test_process__missed_records_make_it_look_again(void)
{
	_host_ *h = make_host(true, NULL);
	_resource_ *a = NULL, *b = NULL, *c = NULL;

	make_process(16, 500, "/usr/bin/a", "a\0", 2);
	a = host_resource(h, 16);
	put_link(16, "exe", "/usr/bin/b");
	b = host_resource(h, 16);
	CHECK(b == a);
	stat_inc(missed_proc);
	c = host_resource(h, 16);
	CHECK_SLICE(c->service, "b");
}

static void test_process__hostile_proc(void)
{
	static char huge[300 * 1024];
	_host_ *h = make_host(true, NULL);
	_resource_ *r = NULL;
	char path[256];

	memset(huge, 'x', sizeof(huge));
	make_process(17, 500, "/tmp/a\n\x1b[31mb", "x\0", 2);
	put_file(17, "cmdline", huge, sizeof(huge));
	put_file(17, "environ", huge, sizeof(huge));
	put_file(17, "cgroup", huge, sizeof(huge));
	snprintf(path, sizeof(path), "%s/17/status", root);
	unlink(path);
	CHECK_INT(mkfifo(path, 0600), 0); /* a read of it would wait for ever */
	r = host_resource(h, 17);
	REQUIRE(r);
	CHECK_SLICE(r->service, "a??[31mb");
	CHECK_SLICE(text_of(r, "process.owner"), "");
	CHECK_SLICE(text_of(r, "container.id"), "");
}

static void test_process__replay_gives_the_same(void)
{
	_cleanup_(tape_fini) struct tape t = { 0 };
	_host_ *live = make_host(true, &t), *replay = make_host(false, NULL);
	_resource_ *a = NULL, *b = NULL, *c = NULL, *ra = NULL, *rb = NULL, *rc = NULL;
	struct ev_exec exec = make_exec(18, 1000, 500, "/usr/bin/node", "node\0server.js\0", 15);

	make_process(18, 500, "/usr/bin/node", "node\0server.js\0", 15);
	make_process(19, 500, "/usr/sbin/nginx", "nginx\0", 6);
	host_event(live, &exec.h);
	a = host_resource(live, 18);
	b = host_resource(live, 19);
	c = host_resource(live, 20);
	CHECK_INT(t.n, 4);
	CHECK_INT(t.events[0]->type, EV_HOST);
	/* a recorder may write the facts before the record that made us read them */
	for (size_t i = 0; i < t.n; i++)
		host_event(replay, t.events[i]);
	host_event(replay, &exec.h);
	ra = host_resource(replay, 18);
	rb = host_resource(replay, 19);
	rc = host_resource(replay, 20);
	CHECK(same_resource(a, ra));
	CHECK(same_resource(b, rb));
	CHECK(same_resource(c, rc));
	for (size_t i = 0; i < t.n; i++)
		CHECK(t.events[i]->len % 8 == 0);
}

/* A file below the false /proc, and the folders that it is in. */
static void put_deep(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	f = fopen(path, "w");
	REQUIRE(f);
	fputs(text, f);
	fclose(f);
}

static void check_host_name(const char *want)
{
	_cleanup_(buf_fini) struct buf b;
	struct slice name;

	buf_init(&b, FACTS_MAX);
	facts_read_host(&b, root);
	name = facts_get(buf_slice(&b), FACTS_FOUND, SLICE("host.name"));
	if (want)
		CHECK_SLICE(name, want);
	else
		CHECK(name.n > 0); /* what this host is called */
}

/* In a container of its own the tracer is not called as its host is: process 1 shows how that is called. */
static void test_process__name_of_the_host(void)
{
	char ours[128], first[128];

	check_host_name(NULL);
	put_deep("self/ns/uts", "");
	check_host_name(""); /* process 1 cannot be looked at */
	put_deep("1/ns/uts", "");
	check_host_name("");
	put_deep("1/root/etc/hostname", "# not a name\n\nnode-7\n");
	check_host_name("node-7");
	put_deep("1/root/etc/hostname", "localhost\n");
	check_host_name("");
	snprintf(ours, sizeof(ours), "%s/self/ns/uts", root);
	snprintf(first, sizeof(first), "%s/1/ns/uts", root);
	REQUIRE(!unlink(first) && !link(ours, first));
	check_host_name(NULL);
	end_process(1);
	unlink(ours);
}

/* What does not fit into facts or a resource is counted. */
static void test_process__what_does_not_fit_is_counted(void)
{
	static char text[4096], extras[200][8];
	struct slice extra[200];
	struct host_config c = config_of(false, NULL);
	_cleanup_(buf_fini) struct buf b;
	_resource_ *r = NULL;
	_host_ *h = NULL;

	memset(text, 'v', sizeof(text));
	memset(stats, 0, sizeof(stats));
	buf_init(&b, 2048);
	facts_begin(&b, 0, 0);
	facts_text(&b, SLICE("a"), slice_of(text, 1024));
	CHECK_INT(stats[STAT_resource_cut], 0);
	facts_text(&b, SLICE("b"), slice_of(text, 1025)); /* cut, and then without room */
	CHECK_INT(stats[STAT_resource_cut], 2);
	facts_text(&b, slice_of(text, 256), SLICE("v"));
	CHECK_INT(stats[STAT_resource_cut], 3);
	for (unsigned i = 0; i < ARRAY_SIZE(extra); i++) {
		snprintf(extras[i], sizeof(extras[i]), "k%u=v", i);
		extra[i] = slice_str(extras[i]);
	}
	c.extra = extra;
	c.n_extra = ARRAY_SIZE(extra);
	h = host_new(&c);
	memset(stats, 0, sizeof(stats));
	r = host_resource(h, 22);
	REQUIRE(r);
	CHECK(r->n_attrs == 128 && stats[STAT_resource_cut] >= 200 - 128);
}

static void test_process__replay_reads_no_proc(void)
{
	_host_ *replay = make_host(false, NULL);
	_resource_ *r = NULL;

	make_process(21, 500, "/usr/bin/secret", "secret\0", 7);
	r = host_resource(replay, 21);
	CHECK_SLICE(r->service, "unknown_service");
	CHECK_SLICE(text_of(r, "host.name"), "");
}

static void test_process__bounded(void)
{
	_host_ *h = make_host(true, NULL);
	_resource_ *first = NULL, *again = NULL, *late = NULL;

	make_process(30, 500, "/usr/bin/kept", "kept\0", 5);
	first = host_resource(h, 30);
	for (uint32_t pid = 1000; pid < 1100; pid++) {
		resource_unref(host_resource(h, pid));
		if (pid < 1050) /* in use: stays */
			resource_unref(host_resource(h, 30));
		if (pid == 1050) {
			again = host_resource(h, 30);
			CHECK(again == first);
		}
	}
	late = host_resource(h, 30); /* evicted, read again */
	CHECK(late != first && late->id != first->id);
	CHECK(same_resource(late, first));
}

/* Any bytes in a recording: a resource of clean text, bounded. */
static void test_process__random_blobs(void)
{
	_host_ *h = make_host(false, NULL);
	struct rng rng;

	rng_seed(&rng, 5, 6);
	for (int round = 0; round < 3000; round++) {
		uint32_t n = (uint32_t)(rng_next(&rng) % 600), pid = (uint32_t)(rng_next(&rng) % 12);
		_free_ struct ev_blob *ev = calloc(1, sizeof(*ev) + n);
		struct facts_head head = { .version = FACTS_VERSION, .start = 1 };
		_resource_ *r = NULL;

		ev->h = (struct ev_head){ rng_next(&rng) % 4 ? EV_PROC : EV_HOST, 0, (uint32_t)sizeof(*ev) + n, 0 };
		ev->pid = pid;
		ev->size = n;
		for (uint32_t i = 0; i < n; i++)
			ev->data[i] = (uint8_t)(rng_next(&rng) % 3 ? rng_next(&rng) % 40 : rng_next(&rng));
		for (uint32_t i = sizeof(head); i + 4 < n; i += 11) /* so that items are well-formed now and then */
			memcpy(ev->data + i, (uint8_t[]){ 0, 3, 4, 0 }, 4);
		if (n >= sizeof(head))
			memcpy(ev->data, &head, sizeof(head));
		host_event(h, &ev->h);
		r = host_resource(h, pid);
		REQUIRE(r && r->n_attrs <= 128 && r->service.n);
		for (uint16_t i = 0; i < r->n_attrs; i++)
			for (size_t k = 0; r->attrs[i].type == ATTR_STRING && k < r->attrs[i].s.n; k++)
				CHECK((unsigned char)r->attrs[i].s.p[k] >= 0x20);
	}
}

static void test_process__a_real_one(void)
{
	struct host_config c = { .proc = "/proc", .max_processes = 4, .live = true };
	_host_ *h = host_new(&c);
	_resource_ *r = host_resource(h, (uint32_t)getpid());

	REQUIRE(r);
	CHECK_SLICE(r->service, "test_process");
	CHECK_INT(number_of(r, "process.parent_pid"), getppid());
	CHECK_INT(text_of(r, "service.instance.id").n, 36);
	CHECK_SLICE(text_of(r, "telemetry.sdk.language"), ""); /* C has none */
}

int main(void)
{
	if (!kit_start())
		return 1;
	RUN(test_process__facts_of_a_script);
	RUN(test_process__environment_and_flags);
	RUN(test_process__exec_replaces_and_exit_keeps);
	RUN(test_process__facts_of_the_next_program_are_taken_back);
	RUN(test_process__exec_record_when_proc_disagrees);
	RUN(test_process__vanished_is_unknown_service);
	RUN(test_process__missed_records_make_it_look_again);
	RUN(test_process__hostile_proc);
	RUN(test_process__replay_gives_the_same);
	RUN(test_process__name_of_the_host);
	RUN(test_process__what_does_not_fit_is_counted);
	RUN(test_process__replay_reads_no_proc);
	RUN(test_process__bounded);
	RUN(test_process__random_blobs);
	RUN(test_process__a_real_one);
	kit_stop();
	return tap_done();
}
