// SPDX-License-Identifier: Apache-2.0
/* What a pod says of its programs: workloads, images, names by their precedence, and every attribute. */
#include "tap.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/scope.h"
#include "host/facts.h"
#include "host/image.h"
#include "host/pod_facts.h"
#include "host/resource.h"
#include "host/workload.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CREATED 1763700000 /* 2025-11-21T04:40:00Z */
#define MINUTE	"29395000" /* the same in minutes */

/* ---- workloads ---- */

struct workload_case {
	const char *kind, *name, *hash; /* owner, label pod-template-hash */
	int64_t created;
	const char *key, *above_key, *above; /* NULL: none */
};

static const struct workload_case workloads[] = {
	{ "ReplicaSet", "shop-6f7c9d8b54", "6f7c9d8b54", CREATED, "k8s.replicaset.name", "k8s.deployment.name", "shop" },
	{ "ReplicaSet", "shop-7d4", "7d4", CREATED, "k8s.replicaset.name", "k8s.deployment.name", "shop" },
	{ "ReplicaSet", "my-shop-v2-5b8d", "5b8d", CREATED, "k8s.replicaset.name", "k8s.deployment.name", "my-shop-v2" },
	/* a name that only looks so */
	{ "ReplicaSet", "shop-6f7c9d8b54", NULL, CREATED, "k8s.replicaset.name", NULL, NULL },
	{ "ReplicaSet", "shop-6f7c9d8b54", "", CREATED, "k8s.replicaset.name", NULL, NULL },
	{ "ReplicaSet", "shop-6f7c9d8b54", "9d8b54", CREATED, "k8s.replicaset.name", NULL, NULL },
	{ "ReplicaSet", "shop-6f7c9d8b54", "abcdefghij", CREATED, "k8s.replicaset.name", NULL, NULL },
	{ "ReplicaSet", "-7d4", "7d4", CREATED, "k8s.replicaset.name", NULL, NULL },
	{ "ReplicaSet", "7d4", "7d4", CREATED, "k8s.replicaset.name", NULL, NULL },
	{ "StatefulSet", "db", NULL, CREATED, "k8s.statefulset.name", NULL, NULL },
	{ "DaemonSet", "agent-7d4", "7d4", CREATED, "k8s.daemonset.name", NULL, NULL },
	{ "Job", "report-" MINUTE, NULL, CREATED, "k8s.job.name", "k8s.cronjob.name", "report" },
	{ "Job", "report-29394000", NULL, CREATED, "k8s.job.name", "k8s.cronjob.name", "report" }, /* 16 h before: it waited */
	{ "Job", "report-29396441", NULL, CREATED, "k8s.job.name", NULL, NULL },		/* a day and a minute after */
	{ "Job", "report-29393559", NULL, CREATED, "k8s.job.name", NULL, NULL },
	{ "Job", "report-1", NULL, CREATED, "k8s.job.name", NULL, NULL },
	{ "Job", "report-12345678", NULL, CREATED, "k8s.job.name", NULL, NULL }, /* a date, or a number by hand */
	{ "Job", "report" MINUTE, NULL, CREATED, "k8s.job.name", NULL, NULL },
	{ "Job", "report-1" MINUTE, NULL, CREATED, "k8s.job.name", NULL, NULL },
	{ "Job", "-" MINUTE, NULL, CREATED, "k8s.job.name", NULL, NULL },
	{ "Job", MINUTE, NULL, CREATED, "k8s.job.name", NULL, NULL },
	{ "Job", "report-" MINUTE, NULL, 0, "k8s.job.name", NULL, NULL },
	{ "Node", "worker-1", NULL, CREATED, NULL, NULL, NULL }, /* static pods */
	{ "Rollout", "shop", "7d4", CREATED, NULL, NULL, NULL },
	{ "", "", "7d4", CREATED, NULL, NULL, NULL },
};

static void test_workload__table(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(workloads); i++) {
		const struct workload_case *c = &workloads[i];
		struct pod_pair label = { SLICE("pod-template-hash"), slice_str(c->hash) };
		struct pod p = { .owner = { slice_str(c->kind), slice_str(c->name), SLICE("u-1") },
				 .labels = &label, .n_labels = c->hash != NULL, .created = c->created };
		struct workload w;

		workload_of(&p, &w);
		if (!!w.kind != !!c->key || (c->key && strcmp(w.kind->name_key, c->key)))
			printf("# %s %s\n", c->kind, c->name);
		CHECK(!!w.kind == !!c->key);
		if (!w.kind)
			continue;
		CHECK_SLICE(slice_str(w.kind->name_key), c->key);
		CHECK_SLICE(w.name, c->name);
		CHECK_SLICE(w.uid, "u-1");
		CHECK_SLICE(w.above, c->above ? c->above : "");
		if (c->above)
			CHECK_SLICE(slice_str(w.kind->above_key), c->above_key);
	}
}

/* ---- images ---- */

#define SHA "sha256:" ID

static const struct {
	const char *reference, *name, *tag, *digest, *version;
} images[] = {
	{ "nginx", "nginx", "", "", "" },
	{ "nginx:1.29", "nginx", "1.29", "", "1.29" },
	{ "docker.io/library/nginx:1.29", "docker.io/library/nginx", "1.29", "", "1.29" },
	{ "localhost:5000/team/shop", "localhost:5000/team/shop", "", "", "" },
	{ "localhost:5000/team/shop:v2", "localhost:5000/team/shop", "v2", "", "v2" },
	{ "localhost:5000/team/shop@" SHA, "localhost:5000/team/shop", "", SHA, SHA },
	{ "shop:v2@" SHA, "shop", "v2", SHA, "v2@" SHA },
	{ SHA, "", "", "", "" },
	{ ID, "", "", "", "" },
	{ "", "", "", "", "" },
	{ ":", "", "", "", "" },
	{ "a/:@", "a/", "", "", "" },
};

static void test_image__table(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		struct image got;

		image_parse(slice_str(images[i].reference), &got);
		CHECK_SLICE(got.name, images[i].name);
		CHECK_SLICE(got.tag, images[i].tag);
		CHECK_SLICE(got.digest, images[i].digest);
		CHECK_SLICE(got.version, images[i].version);
	}
	CHECK_SLICE(image_id(SLICE("docker-pullable://nginx@" SHA)), "nginx@" SHA);
	CHECK_SLICE(image_id(SLICE("nginx@" SHA)), "nginx@" SHA);
	CHECK_SLICE(image_id(SLICE_NONE), "");
}

/* ---- the whole ---- */

static const struct pod_container shop_container = { .name = SLICE("web"), .id = SLICE(ID), .runtime = SLICE("containerd"),
	.image = SLICE("registry:5000/shop:v2@" SHA), .image_id = SLICE("registry:5000/shop@" SHA), .restarts = 3 };

static const struct pod_pair shop_labels[] = {
	{ SLICE("pod-template-hash"), SLICE("7d4") },
	{ SLICE("app.kubernetes.io/instance"), SLICE("shop-eu") },
	{ SLICE("app.kubernetes.io/name"), SLICE("shopper") },
	{ SLICE("app.kubernetes.io/version"), SLICE("2.0.1") },
	{ SLICE("team"), SLICE("blue") },
	{ SLICE("tier"), SLICE("") },
};

static struct pod shop_pod(void)
{
	return (struct pod){
		.namespace = SLICE("store"), .name = SLICE("shop-7d4-x2v"), .uid = SLICE("11-22"), .node = SLICE("node-1"),
		.hostname = SLICE("shop-host"), .owner = { SLICE("ReplicaSet"), SLICE("shop-7d4"), SLICE("33-44") },
		.containers = &shop_container, .n_containers = 1, .labels = shop_labels, .n_labels = ARRAY_SIZE(shop_labels),
		.created = CREATED, .started = CREATED + 2, .n_ips = 1,
		.ips = { { { [10] = 0xff, [11] = 0xff, [12] = 10, [13] = 1, [14] = 2, [15] = 3 } } },
	};
}

static void unref(struct resource **r)
{
	resource_unref(*r);
}

#define _resource_ _cleanup_(unref) struct resource

static struct resource *resource_of(const struct pod *p, const struct pod_container *c, const struct pod_naming *naming,
				    struct slice process)
{
	_cleanup_(buf_fini) struct buf b;
	struct host_config config = { .cluster = SLICE("c-1") };

	buf_init(&b, FACTS_MAX);
	pod_facts(&b, p, c, naming);
	return resource_new(&config, 1, &(struct resource_parts){ .pid = 7, .process = process, .pod = buf_slice(&b) });
}

static const struct attr *find(const struct resource *r, const char *key)
{
	for (uint16_t i = 0; r && i < r->n_attrs; i++)
		if (slice_eq(r->attrs[i].key, slice_str(key)))
			return &r->attrs[i];
	return NULL;
}

static struct slice text_of(const struct resource *r, const char *key)
{
	const struct attr *a = find(r, key);

	return a && a->type == ATTR_STRING ? a->s : SLICE_NONE;
}

static void check_list(const struct resource *r, const char *key, const char *value)
{
	const struct attr *a = find(r, key);

	REQUIRE(a && a->type == ATTR_STRINGS && a->strings.n == 1);
	CHECK_SLICE(a->strings.v[0], value);
}

static void test_pod_facts__every_attribute(void)
{
	static const char *const want[][2] = {
		{ "k8s.cluster.name", "c-1" }, { "k8s.node.name", "node-1" }, { "k8s.namespace.name", "store" },
		{ "k8s.pod.name", "shop-7d4-x2v" }, { "k8s.pod.uid", "11-22" }, { "k8s.pod.hostname", "shop-host" },
		{ "k8s.pod.ip", "10.1.2.3" }, { "k8s.pod.start_time", "2025-11-21T04:40:02Z" },
		{ "k8s.container.name", "web" }, { "k8s.replicaset.name", "shop-7d4" }, { "k8s.replicaset.uid", "33-44" },
		{ "k8s.deployment.name", "shop" }, { "container.id", ID }, { "container.runtime.name", "containerd" },
		{ "container.image.name", "registry:5000/shop" }, { "container.image.id", "registry:5000/shop@" SHA },
		{ "k8s.pod.label.team", "blue" }, { "service.name", "shop" }, { "service.namespace", "store" },
		{ "service.version", "v2@" SHA }, { "service.instance.id", "store.shop-7d4-x2v.web" },
	};
	static const char *const globs[] = { "te*", "ti*" };
	struct pod_naming naming = { .labels = globs, .n_labels = 2 };
	struct pod p = shop_pod();
	_resource_ *r = resource_of(&p, &shop_container, &naming, SLICE_NONE);

	REQUIRE(r);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		CHECK_SLICE(text_of(r, want[i][0]), want[i][1]);
	CHECK_SLICE(r->service, "shop");
	check_list(r, "container.image.tags", "v2");
	check_list(r, "container.image.repo_digests", "registry:5000/shop@" SHA);
	REQUIRE(find(r, "k8s.container.restart_count"));
	CHECK_INT(find(r, "k8s.container.restart_count")->i, 3);
	REQUIRE(find(r, "k8s.pod.label.tier"));
	CHECK(!find(r, "k8s.pod.label.pod-template-hash") && !find(r, "container.name"));
}

/* Nothing said, nothing known: nothing written. */
static void test_pod_facts__what_is_not_known_is_left_out(void)
{
	struct pod_container c = { .name = SLICE("web"), .id = SLICE(ID), .image = SLICE(SHA), .restarts = -1 };
	struct pod p = { .namespace = SLICE("store"), .name = SLICE("bare"), .ips = { { { 0xfd, [15] = 1 } } }, .n_ips = 1 };
	struct pod_naming naming = { 0 };
	_resource_ *r = resource_of(&p, &c, &naming, SLICE_NONE);

	REQUIRE(r);
	CHECK_SLICE(r->service, "bare");
	CHECK_SLICE(text_of(r, "k8s.pod.ip"), "fd00::1");
	CHECK(!find(r, "service.version") && !find(r, "container.image.name") && !find(r, "container.image.tags") &&
	      !find(r, "container.image.repo_digests") && !find(r, "k8s.container.restart_count") &&
	      !find(r, "k8s.pod.start_time") && !find(r, "k8s.node.name") && !find(r, "k8s.deployment.name"));
}

/* ---- precedence: each row adds what beats all rows above it ---- */

enum word { OWNER, LABEL_NAME, LABEL_INSTANCE, ANNOTATED, ENV, CONTEXT, WORDS };

static void process_facts(struct buf *b, unsigned upto)
{
	facts_begin(b, 5, 0);
	facts_text(b, SLICE("service.name"), SLICE("program"));
	facts_text(b, SLICE("service.version"), SLICE("program-1"));
	facts_layer(b, FACTS_DECLARED);
	if (upto >= ENV) {
		facts_declare(b, SLICE("service.name"), SLICE("by-env"));
		facts_declare(b, SLICE("service.name"), SLICE("$(UNSET)"));
		facts_declare(b, SLICE("k8s.pod.name"), SLICE("liar"));
		facts_declare(b, SLICE("container.id"), SLICE("liar"));
	}
	if (upto >= CONTEXT) {
		facts_layer(b, FACTS_CONTEXT);
		facts_declare(b, SLICE("service.name"), SLICE("by-context"));
		facts_declare(b, SLICE("service.instance.id"), SLICE("uuid-of-the-sdk"));
		facts_declare(b, SLICE("telemetry.sdk.name"), SLICE("opentelemetry"));
		facts_declare(b, SLICE("process.pid"), SLICE("1"));
	}
}

static void test_pod_facts__precedence(void)
{
	static const char *const want[WORDS] = { "shop", "shopper", "shop-eu", "by-annotation", "by-env", "by-context" };
	static const struct pod_pair notes[] = {
		{ SLICE("resource.opentelemetry.io/service.name"), SLICE("by-annotation") },
		{ SLICE("resource.opentelemetry.io/service.namespace"), SLICE("by-annotation") },
		{ SLICE("resource.opentelemetry.io/team"), SLICE("red") },
		{ SLICE("resource.opentelemetry.io/k8s.pod.name"), SLICE("liar") },
		{ SLICE("resource.opentelemetry.io/process.pid"), SLICE("1") },
		{ SLICE("resource.opentelemetry.io/"), SLICE("nothing") },
		{ SLICE("resource.opentelemetry.io/empty"), SLICE("") },
		{ SLICE("other.io/service.name"), SLICE("no") },
	};

	for (unsigned word = OWNER; word < WORDS; word++) {
		_cleanup_(buf_fini) struct buf b;
		struct pod_naming naming = { .app_labels = word >= LABEL_NAME };
		struct pod p = shop_pod();
		_resource_ *r = NULL;

		if (word == LABEL_NAME) {
			p.labels = shop_labels + 2;
			p.n_labels = 2;
		}
		if (word >= ANNOTATED) {
			p.annotations = notes;
			p.n_annotations = ARRAY_SIZE(notes);
		}
		buf_init(&b, FACTS_MAX);
		process_facts(&b, word);
		r = resource_of(&p, &shop_container, &naming, buf_slice(&b));
		REQUIRE(r);
		CHECK_SLICE(r->service, want[word]);
		CHECK_SLICE(text_of(r, "service.version"), word >= LABEL_NAME ? "2.0.1" : "v2@" SHA);
		CHECK_SLICE(text_of(r, "service.namespace"), word >= ANNOTATED ? "by-annotation" : "store");
		CHECK_SLICE(text_of(r, "service.instance.id"), word >= CONTEXT ? "uuid-of-the-sdk" : "store.shop-7d4-x2v.web");
		CHECK_SLICE(text_of(r, "k8s.pod.name"), "shop-7d4-x2v");
		CHECK_SLICE(text_of(r, "container.id"), ID);
		CHECK_SLICE(text_of(r, "telemetry.sdk.name"), "spandrel");
		CHECK_SLICE(text_of(r, "team"), word >= ANNOTATED ? "red" : "");
		REQUIRE(find(r, "process.pid"));
		CHECK_INT(find(r, "process.pid")->i, 7);
	}
}

/* A program that says a thousand things of itself cannot make what is known disappear; nor can large labels. */
static void test_pod_facts__nobody_crowds_out_what_is_known(void)
{
	static struct pod_pair labels[POD_LABELS_MAX];
	static char keys[POD_LABELS_MAX][8], large[1000];
	static const char *const globs[] = { "*" };
	struct pod_naming naming = { .labels = globs, .n_labels = 1 };
	_cleanup_(buf_fini) struct buf b;
	struct pod p = shop_pod();
	_resource_ *r = NULL;

	memset(large, 'x', sizeof(large));
	buf_init(&b, FACTS_MAX);
	facts_begin(&b, 5, 0);
	facts_layer(&b, FACTS_CONTEXT);
	for (int i = 0; i < 1000; i++) {
		char key[16];

		facts_declare(&b, slice_of(key, (size_t)snprintf(key, sizeof(key), "k%d", i)), SLICE("v"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
		labels[i] = (struct pod_pair){ slice_of(keys[i], (size_t)snprintf(keys[i], sizeof(keys[i]), "l%zu", i)),
					       slice_of(large, sizeof(large)) };
	p.labels = labels;
	p.n_labels = ARRAY_SIZE(labels);
	r = resource_of(&p, &shop_container, &naming, buf_slice(&b));
	REQUIRE(r && r->n_attrs == RESOURCE_ATTRS);
	CHECK_SLICE(text_of(r, "k8s.pod.name"), "shop-7d4-x2v");
	CHECK_SLICE(text_of(r, "k8s.pod.ip"), "10.1.2.3");
	CHECK_SLICE(text_of(r, "k8s.replicaset.name"), "shop-7d4");
	CHECK_SLICE(text_of(r, "k8s.cluster.name"), "c-1");
	CHECK_SLICE(r->service, "shop-7d4"); /* the label that names its Deployment is not among these */
}

/* service.name walks down: what runs the pod, the pod, its container. */
static void test_pod_facts__names_by_owner(void)
{
	static const struct {
		const char *kind, *owner, *pod, *want;
	} rows[] = {
		{ "ReplicaSet", "shop-7d4", "p", "shop" }, { "ReplicaSet", "shop-9", "p", "shop-9" },
		{ "StatefulSet", "db", "p", "db" },	   { "DaemonSet", "agent", "p", "agent" },
		{ "Job", "report-" MINUTE, "p", "report" }, { "Job", "once", "p", "once" },
		{ "Node", "node-1", "p", "p" },		   { "", "", "p", "p" },
		{ "", "", "", "web" },
	};
	struct pod_naming naming = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pod p = shop_pod();
		_resource_ *r = NULL;

		p.owner = (struct pod_owner){ slice_str(rows[i].kind), slice_str(rows[i].owner), SLICE_NONE };
		p.name = slice_str(rows[i].pod);
		r = resource_of(&p, &shop_container, &naming, SLICE_NONE);
		REQUIRE(r);
		CHECK_SLICE(r->service, rows[i].want);
	}
}

int main(void)
{
	RUN(test_workload__table);
	RUN(test_image__table);
	RUN(test_pod_facts__every_attribute);
	RUN(test_pod_facts__what_is_not_known_is_left_out);
	RUN(test_pod_facts__precedence);
	RUN(test_pod_facts__nobody_crowds_out_what_is_known);
	RUN(test_pod_facts__names_by_owner);
	return tap_done();
}
