// SPDX-License-Identifier: Apache-2.0
/* Pods, services and timestamps from the API server's JSON into their stores, without a server. */
#include "tap.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/scope.h"
#include "base/stats.h"
#include "host/json_path.h"
#include "host/kube_answer.h"
#include "host/kubeconfig.h"
#include "host/pod_json.h"
#include "host/service_json.h"
#include "host/timestamp.h"

#define S NS_PER_S

static struct pods *pods;
static struct pod_reader *reader;
static uint64_t now;

static void begin_with(const struct pods_config *c)
{
	memset(stats, 0, sizeof(stats));
	now = clock_boot();
	pods = pods_new(c);
	reader = pod_reader_new(pods);
}

static void begin(void)
{
	begin_with(&(struct pods_config){ .labels = (const char *const[]){ "team", "x-*" }, .n_labels = 2 });
}

static void end(void)
{
	pod_reader_free(reader);
	pods_free(pods);
}

/* Feeds an answer in one piece, byte by byte, and in odd ones; the store must end up the same, so only the last is looked at. */
static int feed(enum kube_ask ask, const struct kube_kind *kind, void *arg, const char *text, size_t step)
{
	struct kube_answer *a = kube_answer_new(ask, kind, arg);
	struct slice rest = slice_str(text);
	int r = 0;

	while (rest.n && !r) {
		r = kube_answer_feed(a, slice_to(rest, step), now);
		rest = slice_from(rest, step);
	}
	if (!r)
		r = kube_answer_end(a, now);
	kube_answer_free(a);
	return r;
}

static int list(const char *items)
{
	_free_ char *text = NULL;
	int r = asprintf(&text, "{\"items\":[%s],\"metadata\":{\"resourceVersion\":\"1\"}}", items) < 0;

	for (size_t step = 1; step < 9 && !r; step += 7)
		r = feed(KUBE_LIST, &kube_kind_pods, reader, text, step);
	return r;
}

static int event(const char *type, const char *object)
{
	_free_ char *text = NULL;

	return asprintf(&text, "{\"object\":%s,\"type\":\"%s\"}\n", object, type) < 0 ? -1 : feed(KUBE_WATCH, &kube_kind_pods, reader, text, 5);
}

static const struct pod *by_uid(const char *uid)
{
	return pods_by_uid(pods, slice_str(uid));
}

static const struct pod *by_ip(const char *text, uint64_t at)
{
	struct pod_ip ip;

	return pod_ip_parse(slice_str(text), &ip) ? pods_by_ip(pods, &ip, at) : NULL;
}

#define ID1 "1111111111111111111111111111111111111111111111111111111111111111"
#define ID2 "2222222222222222222222222222222222222222222222222222222222222222"
#define ID3 "3333333333333333333333333333333333333333333333333333333333333333"
#define ID4 "4444444444444444444444444444444444444444444444444444444444444444"

static const char whole[] =
	"{\"metadata\":{\"name\":\"web-7d4b9-x\",\"namespace\":\"shop\",\"uid\":\"u1\",\"resourceVersion\":\"7\",\"creationTimestamp\":\"2026-11-21T18:00:00Z\","
	"\"labels\":{\"pod-template-hash\":\"7d4b9\",\"team\":\"bl\\u00fce\",\"x-a\":\"1\",\"other\":\"2\",\"app.kubernetes.io/name\":\"web\"},"
	"\"annotations\":{\"resource.opentelemetry.io/service.name\":\"front\",\"noise\":\"y\"},"
	"\"managedFields\":[{\"fieldsV1\":{\"f:metadata\":{\"f:name\":{},\"uid\":\"wrong\"}}}],"
	"\"ownerReferences\":[{\"kind\":\"Other\",\"name\":\"o\",\"uid\":\"ou\"},{\"kind\":\"ReplicaSet\",\"name\":\"web-7d4b9\",\"uid\":\"ru\",\"controller\":true}]},"
	"\"spec\":{\"nodeName\":\"n1\",\"hostname\":\"h\",\"containers\":[{\"name\":\"app\",\"image\":\"app:1\"},{\"name\":\"side\",\"image\":\"side:2\"}],"
	"\"initContainers\":[{\"name\":\"setup\",\"image\":\"setup:3\"}],\"ephemeralContainers\":[{\"name\":\"debug\",\"image\":\"busybox\"}]},"
	"\"status\":{\"phase\":\"Running\",\"podIP\":\"10.1.0.5\",\"podIPs\":[{\"ip\":\"10.1.0.5\"},{\"ip\":\"fd00::5\"}],\"startTime\":\"2026-11-21T18:00:01Z\","
	"\"containerStatuses\":[{\"name\":\"app\",\"image\":\"docker.io/app:1\",\"imageID\":\"app@sha256:ab\",\"containerID\":\"containerd://" ID1 "\",\"restartCount\":2,"
	"\"lastState\":{\"terminated\":{\"containerID\":\"containerd://" ID2 "\"}}},{\"name\":\"side\",\"containerID\":\"\",\"restartCount\":0}],"
	"\"initContainerStatuses\":[{\"name\":\"setup\",\"containerID\":\"cri-o://" ID3 "\",\"restartCount\":0}],"
	"\"ephemeralContainerStatuses\":[{\"name\":\"debug\",\"containerID\":\"docker://" ID4 "\"}]}}";

static void check_container(const char *id, const char *name, const char *runtime, const char *image, int kind, int restarts, bool former)
{
	const struct pod *p = pods_by_container(pods, slice_str(id));
	const struct pod_container *c = p ? pod_container(p, slice_str(id)) : NULL;

	REQUIRE(c);
	CHECK_SLICE(c->name, name);
	CHECK_SLICE(c->runtime, runtime);
	CHECK_SLICE(c->image, image);
	CHECK_INT(c->kind, kind);
	CHECK_INT(c->restarts, restarts);
	CHECK_INT(c->former, former);
}

static void test_pods__all_fields(void)
{
	const struct pod *p;

	begin();
	CHECK_INT(list(whole), 0);
	p = by_uid("u1");
	REQUIRE(p);
	CHECK_SLICE(p->name, "web-7d4b9-x");
	CHECK_SLICE(p->namespace, "shop");
	CHECK_SLICE(p->node, "n1");
	CHECK_SLICE(p->hostname, "h");
	CHECK_SLICE(p->owner.kind, "ReplicaSet");
	CHECK_SLICE(p->owner.name, "web-7d4b9");
	CHECK_SLICE(p->owner.uid, "ru");
	CHECK_SLICE(p->cgroup_uid, "u1");
	CHECK_INT(p->phase, POD_RUNNING);
	CHECK_INT(p->created, 1795284000);
	CHECK_INT(p->started, 1795284001);
	CHECK_INT(p->n_ips, 2);
	CHECK_INT(p->n_labels, 4);
	CHECK_SLICE(pod_label(p, SLICE("pod-template-hash")), "7d4b9");
	CHECK_SLICE(pod_label(p, SLICE("team")), "bl\xc3\xbc" "e");
	CHECK_SLICE(pod_label(p, SLICE("x-a")), "1");
	CHECK(!pod_label(p, SLICE("other")).p);
	CHECK_INT(p->n_annotations, 1);
	CHECK_SLICE(pod_annotation(p, SLICE("resource.opentelemetry.io/service.name")), "front");
	CHECK_INT(p->n_containers, 5);
	check_container(ID1, "app", "containerd", "app:1", POD_MAIN, 2, false);
	check_container(ID2, "app", "containerd", "app:1", POD_MAIN, -1, true);
	check_container(ID3, "setup", "cri-o", "setup:3", POD_INIT, 0, false);
	check_container(ID4, "debug", "docker", "busybox", POD_EPHEMERAL, -1, false);
	CHECK(!pods_by_container(pods, SLICE("")));
	CHECK(by_ip("10.1.0.5", 0) == p && by_ip("fd00::5", 0) == p && !by_ip("10.1.0.6", 0));
	CHECK(p->bytes < 2048);
	end();
}

/* Nothing of one object stays for the next one. */
static void test_pods__one_after_the_other(void)
{
	char text[4096];
	const struct pod *p;

	begin();
	snprintf(text, sizeof(text), "%s,{\"metadata\":{\"uid\":\"u2\"}},{\"metadata\":{}}", whole);
	CHECK_INT(list(text), 0);
	CHECK_INT(pods_known(pods), 2);
	p = by_uid("u2");
	REQUIRE(p);
	CHECK(!p->name.n && !p->owner.kind.n && !p->n_containers && !p->n_labels && !p->n_ips && !p->created);
	CHECK_INT(stats[STAT_kube_pods_refused], 2); /* without a uid, in each of two lists */
	end();
}

static void test_pods__host_network_and_static(void)
{
	begin();
	CHECK_INT(list("{\"metadata\":{\"uid\":\"h\"},\"spec\":{\"hostNetwork\":true},\"status\":{\"podIP\":\"10.0.0.1\"}},"
		       "{\"metadata\":{\"uid\":\"m\",\"annotations\":{\"kubernetes.io/config.hash\":\"cafe\",\"kubernetes.io/config.mirror\":\"cafe\"}}},"
		       "{\"metadata\":{\"uid\":\"l\",\"annotations\":{\"kubernetes.io/config.hash\":\"m\",\"kubernetes.io/config.mirror\":\"m\"}}},"
		       "{\"metadata\":{\"uid\":\"n\",\"annotations\":{\"kubernetes.io/config.hash\":\"beef\"}}}"), 0);
	CHECK(by_uid("h") && !by_ip("10.0.0.1", 0));
	CHECK(by_uid("cafe") && by_uid("cafe") == by_uid("m"));
	CHECK_SLICE(by_uid("m")->uid, "m"); /* one that calls itself by another's name does not hide it */
	CHECK(!by_uid("beef"));
	end();
}

static struct {
	unsigned n[4];
	char last[32];
	const struct pods *s;
	bool found, old;
} heard;

static void on_change(void *arg, enum pod_change change, const struct pod *pod, const struct pod *old)
{
	(void)arg;
	heard.n[change]++;
	snprintf(heard.last, sizeof(heard.last), "%.*s", SLICE_ARG(pod->uid));
	heard.found = pods_by_uid(heard.s, pod->uid) == pod;
	heard.old = old != NULL;
}

#define POD(uid, rv, rest) "{\"metadata\":{\"uid\":\"" uid "\",\"resourceVersion\":\"" rv "\"}" rest "}"

static void test_pods__subscribers_hear_of_changes(void)
{
	struct pods_watcher w = { .changed = on_change };
	const struct pod *kept;

	begin();
	memset(&heard, 0, sizeof(heard));
	heard.s = pods;
	pods_subscribe(pods, &w);
	CHECK_INT(list(POD("a", "1", "") "," POD("b", "1", "")), 0);
	CHECK_INT(heard.n[POD_ADDED], 2); /* the second list had nothing new */
	kept = pod_ref(by_uid("a"));
	CHECK_INT(event("MODIFIED", POD("a", "2", ",\"spec\":{\"nodeName\":\"x\"}")), 0);
	CHECK(heard.n[POD_CHANGED] == 1 && heard.found && heard.old);
	CHECK(!kept->node.n && by_uid("a") != kept);
	CHECK_INT(by_uid("a")->known_at, kept->known_at);
	CHECK_INT(event("MODIFIED", POD("a", "2", "")), 0);
	CHECK_INT(heard.n[POD_CHANGED], 1);
	CHECK_INT(event("DELETED", POD("a", "3", "")), 0);
	CHECK(heard.n[POD_GONE] == 1 && heard.found && !strcmp(heard.last, "a"));
	CHECK_INT(event("DELETED", POD("a", "3", "")), 0);
	CHECK_INT(heard.n[POD_GONE], 1);
	CHECK_INT(event("ADDED", POD("a", "4", "")), 0);
	CHECK(heard.n[POD_ADDED] == 3 && by_uid("a") && !by_uid("a")->deleted_at);
	CHECK_INT(list(POD("b", "1", "")), 0);
	CHECK(heard.n[POD_GONE] == 2 && by_uid("a")->deleted_at == now);
	pods_tick(pods, now + PODS_KEEP - 1);
	CHECK(by_uid("a") != NULL);
	pods_tick(pods, now + PODS_KEEP);
	CHECK(!by_uid("a") && heard.n[POD_DROPPED] == 1 && !heard.found);
	pods_unsubscribe(&w);
	CHECK_INT(event("ADDED", POD("c", "5", "")), 0);
	CHECK_INT(heard.n[POD_ADDED], 3);
	CHECK_SLICE(kept->uid, "a");
	pod_unref(kept);
	end();
}

static void test_pods__a_list_that_fails_changes_nothing(void)
{
	struct kube_answer *a;

	begin();
	CHECK_INT(list(POD("a", "1", "")), 0);
	a = kube_answer_new(KUBE_LIST, &kube_kind_pods, reader);
	CHECK_INT(kube_answer_feed(a, SLICE("{\"metadata\":{\"resourceVersion\":\"2\"},\"items\":[" POD("b", "1", "") ","), now), 0);
	CHECK(by_uid("a") && !by_uid("b"));
	kube_answer_free(a);
	CHECK(by_uid("a") && !by_uid("b"));
	CHECK_INT(pods_known(pods), 1);
	end();
}

static void start_text(char *to, int64_t before)
{
	timestamp_put(to, (int64_t)(clock_ns(CLOCK_REALTIME) / S) - before);
	to[TIMESTAMP_TEXT] = '\0';
}

static void put_with_ip(const char *uid, const char *ip, const char *phase, int64_t before)
{
	char text[512], start[32];

	start_text(start, before);
	snprintf(text, sizeof(text), "{\"metadata\":{\"uid\":\"%s\"},\"status\":{\"podIP\":\"%s\",\"phase\":\"%s\",\"startTime\":\"%s\"}}", uid, ip, phase, start);
	CHECK_INT(event("MODIFIED", text), 0);
}

static void test_pods__an_address_that_is_used_again(void)
{
	uint64_t first, gone;

	begin();
	now += 1000 * S; /* the second pod starts after the first one's end */
	put_with_ip("a", "10.1.0.5", "Running", 500);
	first = by_uid("a")->addressed_at;
	CHECK(first && first < clock_boot());
	CHECK(by_ip("10.1.0.5", now) == by_uid("a") && !by_ip("10.1.0.5", first - 1));
	gone = clock_boot() - 100 * S;
	now = gone;
	pods_delete(pods, SLICE("a"), now);
	now = clock_boot();
	put_with_ip("b", "10.1.0.5", "Running", 50);
	CHECK(by_ip("10.1.0.5", 0) == by_uid("b"));
	CHECK(by_ip("10.1.0.5", gone) == by_uid("a"));
	CHECK(!by_ip("10.1.0.5", gone + 10 * S)); /* nobody's */
	CHECK(by_ip("10.1.0.5", now) == by_uid("b"));
	put_with_ip("c", "10.1.0.5", "Running", 60);
	CHECK(!by_ip("10.1.0.5", 0) && !by_ip("10.1.0.5", now)); /* two candidates are none */
	put_with_ip("c", "10.1.0.5", "Succeeded", 60);
	CHECK(by_ip("10.1.0.5", 0) == by_uid("b"));
	put_with_ip("d", "10.1.0.9", "Failed", 60); /* had ended before we heard of it */
	CHECK(!by_ip("10.1.0.9", 0) && !by_ip("10.1.0.9", now) && by_uid("d"));
	end();
}

static void test_pods__limits(void)
{
	char text[128];

	begin_with(&(struct pods_config){ .max_pods = 10 });
	for (int i = 0; i < 12; i++) {
		snprintf(text, sizeof(text), "{\"metadata\":{\"uid\":\"u%d\"}}", i);
		CHECK_INT(event("ADDED", text), 0);
	}
	CHECK_INT(pods_known(pods), 10);
	CHECK_INT(stats[STAT_kube_pods_refused], 2);
	pods_delete(pods, SLICE("u3"), now);
	CHECK(by_uid("u3") != NULL);
	CHECK_INT(event("ADDED", "{\"metadata\":{\"uid\":\"new\"}}"), 0);
	CHECK(by_uid("new") && !by_uid("u3")); /* the longest gone makes room */
	end();
	begin_with(&(struct pods_config){ .max_bytes = 2000 });
	for (int i = 0; i < 12; i++) {
		snprintf(text, sizeof(text), "{\"metadata\":{\"uid\":\"u%d\"}}", i);
		CHECK_INT(event("ADDED", text), 0);
	}
	CHECK(pods_known(pods) > 1 && pods_known(pods) < 8);
	CHECK_INT(pods_known(pods) + stats[STAT_kube_pods_refused], 12);
	end();
}

static void test_pods__more_labels_than_are_kept(void)
{
	char text[4096] = "{\"metadata\":{\"uid\":\"a\",\"labels\":{\"other\":\"1\"";
	size_t n = strlen(text);

	begin();
	for (int i = 0; i <= POD_LABELS_MAX; i++) {
		snprintf(text + n, sizeof(text) - n, "}}}");
		CHECK_INT(event("ADDED", text), 0);
		CHECK(by_uid("a") && by_uid("a")->n_labels == i && !by_uid("a")->labels_cut);
		n += (size_t)snprintf(text + n, sizeof(text) - n, ",\"x-%d\":\"1\"", i);
	}
	snprintf(text + n, sizeof(text) - n, "}}}");
	CHECK_INT(event("ADDED", text), 0);
	CHECK(by_uid("a")->n_labels == POD_LABELS_MAX && by_uid("a")->labels_cut);
	end();
}

/* A list may hold as much as the store, which it is to replace. */
static void test_pods__lists_of_a_full_store(void)
{
	char text[512] = "", fresh[600];
	uint32_t most = 0;

	begin_with(&(struct pods_config){ .max_bytes = 2000 });
	for (; !stats[STAT_kube_pods_refused]; most++) {
		snprintf(fresh, sizeof(fresh), "{\"metadata\":{\"uid\":\"u%u\"}}", most);
		CHECK_INT(event("ADDED", fresh), 0);
	}
	most--;
	stats[STAT_kube_pods_refused] = 0;
	for (uint32_t i = 1; i < most; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), ",{\"metadata\":{\"uid\":\"u%u\"}}", i);
	snprintf(fresh, sizeof(fresh), "{\"metadata\":{\"uid\":\"n0\"}}%s", text);
	CHECK_INT(list(fresh), 0); /* one is new, as many as before */
	CHECK_INT(pods_known(pods), most);
	CHECK(by_uid("n0") && !by_uid("u0"));
	CHECK_INT(stats[STAT_kube_pods_refused], 0);
	end();
}

static void test_pods__long_and_odd_values(void)
{
	static char text[400000];
	const struct pod *p;
	size_t n;

	begin();
	n = (size_t)snprintf(text, sizeof(text), "{\"metadata\":{\"uid\":\"a\",\"name\":\"");
	memset(text + n, 'n', 300);
	n += 300;
	n += (size_t)snprintf(text + n, sizeof(text) - n, "\",\"labels\":{\"team\":\"");
	memset(text + n, 'v', 1500);
	n += 1500;
	n += (size_t)snprintf(text + n, sizeof(text) - n, "\"}},\"status\":{\"podIP\":\"10.0.0.300\",\"phase\":7,\"containerStatuses\":[{\"name\":\"c\",\"containerID\":\"nothing\",\"restartCount\":-1},");
	for (int i = 0; i < 100; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "{\"name\":\"c%d\",\"containerID\":\"x://%d\"},", i, i);
	snprintf(text + n, sizeof(text) - n, "7]},\"spec\":[]}");
	CHECK_INT(list(text), 0);
	p = by_uid("a");
	REQUIRE(p);
	CHECK(!p->name.n); /* a name that was cut is none */
	CHECK_INT(pod_label(p, SLICE("team")).n, POD_VALUE_MAX);
	CHECK_INT(p->n_containers, POD_CONTAINERS_MAX);
	CHECK(!p->n_ips && !p->containers[0].id.n && p->containers[0].restarts == -1);
	CHECK_INT(stats[STAT_kube_values_cut], 2 * (2 + 101 - POD_CONTAINERS_MAX));
	end();
}

/* JSON */

struct tape {
	char text[4096];
	size_t n;
};

static void say(struct tape *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct tape *t, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	t->n += (size_t)vsnprintf(t->text + t->n, sizeof(t->text) - t->n, format, ap);
	va_end(ap);
	t->n = MIN(t->n, sizeof(t->text) - 1);
}

static void tape_open(void *arg, uint8_t state, struct slice key)
{
	say(arg, "%u(%.*s ", state, SLICE_ARG(key));
}

static void tape_close(void *arg, uint8_t state)
{
	say(arg, ")%u ", state);
}

static void tape_value(void *arg, uint8_t state, struct slice key, const struct json_value *v)
{
	if (v->text.n > 64)
		say(arg, "%u %.*s=#%zu ", state, SLICE_ARG(key), v->text.n);
	else
		say(arg, "%u %.*s=%.*s ", state, SLICE_ARG(key), SLICE_ARG(v->text));
}

static int walk(const char *json, struct tape *t, size_t step)
{
	static const struct json_rule rules[] = { { 1, 2, "a" }, { 2, 3, "[]" }, { 1, 4, "m" }, { 4, 5, "*" } };
	const struct json_rules both[2] = { { rules, ARRAY_SIZE(rules) } };
	struct json_path *p = json_path_new(both, &(struct json_sink){ tape_open, tape_close, tape_value, t });
	struct slice rest = slice_str(json);
	int r = 0;

	t->n = 0;
	t->text[0] = '\0';
	while (rest.n && !r) {
		r = json_path_feed(p, slice_to(rest, step));
		rest = slice_from(rest, step);
	}
	if (!r)
		r = json_path_end(p);
	json_path_free(p);
	return r;
}

static void check_walk(const char *json, int want, const char *said)
{
	for (size_t step = 1; step < 100; step = step * 3) {
		struct tape t;
		int r = walk(json, &t, step);

		if (r != want || (!want && strcmp(t.text, said)))
			printf("# %s by %zu: %d %s\n", json, step, r, t.text);
		CHECK(r == want && (want || !strcmp(t.text, said)));
	}
}

static void test_pods__json_along_paths(void)
{
	check_walk("{\"a\":[1,\"x\",{\"a\":[2]}],\"b\":[3],\"m\":{\"k\":\"v\",\"[]\":true}}", 0, "1( 2(a 3 =1 3 =x 3( )3 )2 4(m 5 k=v 5 []= )4 )1 ");
	check_walk("{\"a\":{\"[]\":7},\"m\":[8]} {\"a\":9}", 0, "1( 2(a )2 4(m )4 )1 1( 2 a=9 )1 ");
	check_walk("7 \"x\" null", 0, "1 =7 1 =x 1 = ");
	check_walk("", 0, "");
	check_walk("{\"a\":[1", -71, "");
	check_walk("{\"a\"", -71, "");
	check_walk("\"x", -71, "");
	check_walk("{\"a\":tru}", -71, "");
	check_walk("{\"a\":\"\x80\"}", -71, "");
	check_walk("{\"m\":{\"k\":\"\\u00e9\\\"\\\\\\n\"}}", 0, "1( 4(m 5 k=\xc3\xa9\"\\\n )4 )1 ");
	check_walk("{\"m\":{\"n\":1111111111111111111111111111111111111111111111111111111111111111111111111111111111}}", -7, "");
}

static char *long_string(const char *unit, size_t times, const char *tail)
{
	size_t n = strlen(unit);
	char *text = calloc(1, n * times + strlen(tail) + 32), *at = text + sprintf(text, "{\"m\":{\"k\":\"");

	for (size_t i = 0; i < times; i++)
		at = (char *)memcpy(at, unit, n) + n;
	sprintf(at, "\"%s}}", tail);
	return text;
}

static void check_clipped(const char *unit, size_t want)
{
	_free_ char *text = long_string(unit, 5000, ",\"z\":\"end\"");
	char said[64];

	for (size_t step = 1; step < 20000; step = step * 7 + 1) {
		struct tape t;

		CHECK_INT(walk(text, &t, step), 0);
		snprintf(said, sizeof(said), "1( 4(m 5 k=#%zu 5 z=end )4 )1 ", want);
		CHECK(!strcmp(t.text, said));
		if (strcmp(t.text, said))
			printf("# %s by %zu: %s\n", unit, step, t.text);
	}
}

static void test_pods__json_strings_are_cut(void)
{
	check_clipped("x", JSON_STRING_MAX);
	check_clipped("\xc3\xa9", JSON_STRING_MAX);
	check_clipped("\xe2\x82\xac", 4098); /* the character is finished */
	check_clipped("\\\"", JSON_STRING_MAX / 2);
	check_clipped("\\\\", JSON_STRING_MAX / 2);
	check_clipped("\\u20ac", 3 * 683);
}

static void test_pods__json_depth(void)
{
	char text[512];

	memset(text, '[', JSON_DEPTH);
	memset(text + JSON_DEPTH, ']', JSON_DEPTH);
	text[2 * JSON_DEPTH] = '\0';
	check_walk(text, 0, "1( )1 ");
	memset(text, '[', JSON_DEPTH + 1);
	memset(text + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
	text[2 * JSON_DEPTH + 2] = '\0';
	check_walk(text, -7, "");
}

static void test_pods__timestamps(void)
{
	static const struct {
		const char *text;
		int64_t want;
	} rows[] = { { "2026-11-21T18:00:00Z", 1795284000 }, { "2026-11-21T18:00:00.123456Z", 1795284000 }, { "2000-02-29T23:59:59Z", 951868799 },
		     { "2026-11-21T18:00:00", 0 }, { "2026-11-21T18:00:00+01:00", 0 }, { "2026-13-21T18:00:00Z", 0 }, { "2026-11-21 18:00:00Z", 0 },
		     { "2026-11-21T24:00:00Z", 0 }, { "2026-11-21T18:00:00.Z", 0 }, { "2026-11-21T18:00:00Zx", 0 }, { "", 0 }, { "x", 0 } };
	char text[TIMESTAMP_TEXT];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		CHECK_INT(timestamp_parse(slice_str(rows[i].text)), rows[i].want);
	timestamp_put(text, 1795284000);
	CHECK_SLICE(slice_of(text, sizeof(text)), "2026-11-21T18:00:00Z");
}

static void test_pods__addresses(void)
{
	struct pod_ip a, b4;

	CHECK(pod_ip_parse(SLICE("10.1.2.3"), &a) && pod_ip_parse(SLICE("::ffff:10.1.2.3"), &b4) && !memcmp(&a, &b4, sizeof(a)));
	CHECK(!pod_ip_parse(SLICE(""), &a) && !pod_ip_parse(SLICE("10.1.2"), &a) && !pod_ip_parse(SLICE("None"), &a));
	CHECK(!pod_ip_parse(slice_of("10.1.2.3\0x", 10), &a));
}

/* Services */

static struct services *services;
static struct service_reader *service_reader, *slice_reader;

static void begin_services(const struct services_config *c)
{
	memset(stats, 0, sizeof(stats));
	services = services_new(c);
	service_reader = service_reader_new(services, SERVICE_ITSELF);
	slice_reader = service_reader_new(services, SERVICE_ENDPOINTS);
}

static void end_services(void)
{
	service_reader_free(service_reader);
	service_reader_free(slice_reader);
	services_free(services);
}

static int service_list(const char *items)
{
	_free_ char *text = NULL;

	return asprintf(&text, "{\"items\":[%s],\"metadata\":{\"resourceVersion\":\"1\"}}", items) < 0 ?
		       -1 : feed(KUBE_LIST, &kube_kind_services, service_reader, text, 11);
}

static int slice_event(const char *type, const char *object)
{
	_free_ char *text = NULL;

	return asprintf(&text, "{\"type\":\"%s\",\"object\":%s}", type, object) < 0 ? -1 : feed(KUBE_WATCH, &kube_kind_slices, slice_reader, text, 11);
}

/* "namespace/name pod", or "-" */
static const char *called(const char *ip, uint16_t port)
{
	static char text[512];
	struct service_name n;
	struct pod_ip a;

	if (!pod_ip_parse(slice_str(ip), &a) || !services_find(services, &a, port, &n))
		return "-";
	snprintf(text, sizeof(text), "%.*s/%.*s %.*s", SLICE_ARG(n.namespace), SLICE_ARG(n.name), SLICE_ARG(n.pod));
	return text;
}

#define CHECK_CALLED(ip, port, want) CHECK(!strcmp(called(ip, port), want))
#define SERVICE(uid, name, ip, more) "{\"metadata\":{\"uid\":\"" uid "\",\"name\":\"" name "\",\"namespace\":\"shop\"},\"spec\":{\"clusterIP\":\"" ip "\",\"clusterIPs\":[\"" ip "\"],\"ports\":[{\"port\":80},{\"port\":53,\"protocol\":\"UDP\"},{\"port\":443,\"protocol\":\"TCP\"}]" more "}}"
#define ENDPOINTS(uid, service, ip, pod) "{\"metadata\":{\"uid\":\"" uid "\",\"name\":\"s-x\",\"namespace\":\"shop\",\"labels\":{\"kubernetes.io/service-name\":\"" service "\"}},\"ports\":[{\"port\":8080,\"protocol\":\"TCP\"}],\"endpoints\":[{\"addresses\":[\"" ip "\"],\"targetRef\":{\"kind\":\"Pod\",\"name\":\"" pod "\"}},{\"addresses\":[\"10.9.9.9\"]}]}"

static void test_pods__services(void)
{
	begin_services(&(struct services_config){ 0 });
	CHECK_INT(service_list(SERVICE("1", "cart", "10.96.0.1", ",\"externalIPs\":[\"192.0.2.1\"]") "," SERVICE("2", "head", "None", "")), 0);
	CHECK_INT(services_known(services), 1);
	CHECK_CALLED("10.96.0.1", 80, "shop/cart ");
	CHECK_CALLED("10.96.0.1", 443, "shop/cart ");
	CHECK_CALLED("10.96.0.1", 53, "-");
	CHECK_CALLED("192.0.2.1", 80, "shop/cart ");
	CHECK_CALLED("10.96.0.2", 80, "-");
	CHECK_INT(slice_event("ADDED", ENDPOINTS("3", "head", "10.2.0.7", "head-0")), 0);
	CHECK_CALLED("10.2.0.7", 8080, "shop/head head-0");
	CHECK_CALLED("10.2.0.7", 81, "-");
	CHECK_CALLED("10.9.9.9", 8080, "shop/head ");
	CHECK_INT(slice_event("ADDED", ENDPOINTS("4", "other", "10.2.0.7", "head-0")), 0);
	CHECK_CALLED("10.2.0.7", 8080, "shop/ head-0"); /* of two services, but one pod */
	CHECK_INT(slice_event("ADDED", ENDPOINTS("5", "other", "10.2.0.7", "head-1")), 0);
	CHECK_CALLED("10.2.0.7", 8080, "-");
	CHECK_INT(slice_event("DELETED", ENDPOINTS("5", "other", "10.2.0.7", "head-1")), 0);
	CHECK_INT(slice_event("DELETED", ENDPOINTS("4", "other", "10.2.0.7", "head-0")), 0);
	CHECK_CALLED("10.2.0.7", 8080, "shop/head head-0");
	CHECK_INT(service_list(SERVICE("9", "cart2", "10.96.0.1", "")), 0);
	CHECK_CALLED("10.96.0.1", 80, "shop/cart2 ");
	CHECK_CALLED("192.0.2.1", 80, "-");
	CHECK_CALLED("10.2.0.7", 8080, "shop/head head-0"); /* of another list */
	end_services();
}

static void test_pods__services_are_bounded(void)
{
	char text[1024];

	begin_services(&(struct services_config){ .max_services = 10, .max_endpoints = 10 });
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "{\"metadata\":{\"uid\":\"%d\",\"labels\":{\"kubernetes.io/service-name\":\"s\"}},\"ports\":[{\"port\":1}],\"endpoints\":[{\"addresses\":[\"10.0.0.1\"]}]}", i);
		CHECK_INT(slice_event("ADDED", text), 0);
	}
	CHECK_INT(stats[STAT_kube_services_refused], 190);
	CHECK_CALLED("10.0.0.1", 1, "/s ");
	end_services();
}

/* kubeconfig */

static void check_config(const char *text, const char *error)
{
	struct kubeconfig c;
	char said[256] = "";
	int r = kubeconfig_parse(&c, slice_str(text), "/etc/k/config", said, sizeof(said));

	if (error ? !r || !strstr(said, error) : r)
		printf("# %s: %s\n", text, said);
	CHECK(error ? r && strstr(said, error) : !r);
	CHECK(!strchr(said, '\n'));
	kubeconfig_fini(&c);
}

#define CLUSTER "clusters: [{name: c, cluster: {server: 'https://x'}}]\n"
#define HERE "current-context: h\ncontexts: [{name: h, context: {cluster: c, user: u}}]\n"

static void test_pods__kubeconfig(void)
{
	struct kubeconfig c;
	char error[256];

	CHECK_INT(kubeconfig_parse(&c, SLICE(HERE "clusters:\n- name: other\n  cluster: {server: no}\n- cluster: {server: https://x:6443, certificate-authority: pki/ca.crt, insecure-skip-tls-verify: true}\n  name: c\n"
				   "users: [{name: u, user: {token: t, tokenFile: /run/t, client-certificate-data: YWJj, client-key-data: ZGVm}}]"), "/etc/k/config", error, sizeof(error)), 0);
	CHECK_SLICE(slice_str(c.server), "https://x:6443");
	CHECK_SLICE(slice_str(c.ca_file), "/etc/k/pki/ca.crt");
	CHECK_SLICE(slice_str(c.token), "t");
	CHECK_SLICE(slice_str(c.token_file), "/run/t");
	CHECK_SLICE(slice_str(c.cert_data), "abc");
	CHECK_SLICE(slice_str(c.key_data), "def");
	CHECK(c.insecure);
	kubeconfig_fini(&c);
	check_config(HERE CLUSTER, NULL);
	check_config("", "no current-context");
	check_config("{", "not YAML");
	check_config("[]", "no current-context");
	check_config("current-context: x", "no context \"x\"");
	check_config(HERE, "no cluster");
	check_config(HERE "clusters: [{name: c, cluster: {}}]", "has no server");
	check_config(HERE CLUSTER "users: [{name: u, user: {exec: {command: rm}}}]", "exec is not supported");
	check_config(HERE CLUSTER "users: [{name: u, user: {auth-provider: {name: gcp}}}]", "auth-provider is not supported");
	check_config(HERE CLUSTER "users: [{name: u, user: {client-certificate: x}}]", "client-certificate and client-key together");
	check_config(HERE CLUSTER "users: [{name: u, user: {client-certificate-data: '!', client-key-data: ZGVm}}]", "expected PEM in Base64");
	check_config(HERE CLUSTER "users: [{name: u, user: {token: \"a\\0b\"}}]", "without NUL");
	check_config("a: &a [*a, *a]\nb: &b {<<: *b}\n" HERE CLUSTER, NULL);
}

int main(void)
{
	RUN(test_pods__all_fields);
	RUN(test_pods__one_after_the_other);
	RUN(test_pods__host_network_and_static);
	RUN(test_pods__subscribers_hear_of_changes);
	RUN(test_pods__a_list_that_fails_changes_nothing);
	RUN(test_pods__an_address_that_is_used_again);
	RUN(test_pods__limits);
	RUN(test_pods__more_labels_than_are_kept);
	RUN(test_pods__lists_of_a_full_store);
	RUN(test_pods__long_and_odd_values);
	RUN(test_pods__json_along_paths);
	RUN(test_pods__json_strings_are_cut);
	RUN(test_pods__json_depth);
	RUN(test_pods__timestamps);
	RUN(test_pods__addresses);
	RUN(test_pods__services);
	RUN(test_pods__services_are_bounded);
	RUN(test_pods__kubeconfig);
	return tap_done();
}
