// SPDX-License-Identifier: Apache-2.0
#include "host/pod_facts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <time.h>

#include "base/ip.h"
#include "base/scope.h"
#include "base/stats.h"
#include "glob.h"
#include "host/facts.h"
#include "host/image.h"
#include "host/text.h"
#include "host/workload.h"

#define ANNOTATION SLICE("resource.opentelemetry.io/")

static void put(struct buf *b, const char *key, struct slice value)
{
	if (value.n)
		facts_text(b, slice_str(key), value);
}

static struct slice app_label(const struct pod *p, const struct pod_naming *naming, struct slice key)
{
	return naming->app_labels ? pod_label(p, key) : SLICE_NONE;
}

static struct slice first_of(const struct slice *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].n)
			return v[i];
	return SLICE_NONE;
}

/* Without its annotations. */
static struct slice name_of(const struct pod *p, const struct pod_naming *naming, const struct workload *w)
{
	struct slice names[] = { app_label(p, naming, SLICE("app.kubernetes.io/instance")),
				 app_label(p, naming, SLICE("app.kubernetes.io/name")),
				 w->above, w->name, p->name };

	return first_of(names, ARRAY_SIZE(names));
}

/* What facts_declare() would take. */
static struct slice declared(const struct pod *p, struct slice key)
{
	struct slice value = pod_annotation(p, key);

	return value.n && memmem(value.p, value.n, "$(", 2) ? SLICE_NONE : value;
}

struct slice pod_service_name(const struct pod *p, const struct pod_naming *naming)
{
	struct slice said = declared(p, SLICE("resource.opentelemetry.io/service.name"));
	struct workload w;

	workload_of(p, &w);
	return said.n ? said : name_of(p, naming, &w);
}

struct slice pod_service_namespace(const struct pod *p)
{
	struct slice said = declared(p, SLICE("resource.opentelemetry.io/service.namespace"));

	return said.n ? said : p->namespace;
}

static void put_service(struct buf *b, const struct pod *p, const struct pod_container *c, const struct pod_naming *naming,
			const struct workload *w, const struct image *image)
{
	struct slice names[] = { name_of(p, naming, w), c->name };
	struct slice versions[] = { app_label(p, naming, SLICE("app.kubernetes.io/version")), image->version };
	char id[TEXT_MAX];
	int n;

	put(b, "service.name", first_of(names, ARRAY_SIZE(names)));
	put(b, "service.namespace", p->namespace);
	put(b, "service.version", first_of(versions, ARRAY_SIZE(versions)));
	n = snprintf(id, sizeof(id), "%.*s.%.*s.%.*s", SLICE_ARG(p->namespace), SLICE_ARG(p->name), SLICE_ARG(c->name));
	if (p->name.n && c->name.n && n > 0 && (size_t)n < sizeof(id))
		put(b, "service.instance.id", slice_of(id, (size_t)n));
}

static void put_annotations(struct buf *b, const struct pod *p)
{
	for (size_t i = 0; i < p->n_annotations; i++) {
		const struct pod_pair *a = &p->annotations[i];

		if (slice_starts(a->key, ANNOTATION) && a->value.n)
			facts_declare(b, slice_from(a->key, ANNOTATION.n), a->value);
	}
}

static void put_container(struct buf *b, const struct pod_container *c, const struct image *image)
{
	struct slice id = image_id(c->image_id);

	put(b, "container.id", c->id);
	put(b, "container.runtime.name", c->runtime);
	put(b, "container.image.name", image->name);
	put(b, "container.image.id", id);
	if (image->tag.n)
		facts_list(b, SLICE("container.image.tags"), image->tag);
	if (slice_find(id, '@') > 0)
		facts_list(b, SLICE("container.image.repo_digests"), id);
	put(b, "k8s.container.name", c->name);
	if (c->restarts >= 0)
		facts_number(b, SLICE("k8s.container.restart_count"), c->restarts);
}

static void put_start(struct buf *b, int64_t started)
{
	time_t t = started;
	struct tm tm;
	char text[32];

	if (started > 0 && gmtime_r(&t, &tm))
		put(b, "k8s.pod.start_time", slice_of(text, strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm)));
}

static void put_address(struct buf *b, const struct pod_ip *ip)
{
	bool v4 = ip_is_v4(ip->b);
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(v4 ? AF_INET : AF_INET6, ip->b + (v4 ? IP_V4_AT : 0), text, sizeof(text)))
		put(b, "k8s.pod.ip", slice_str(text));
}

static void put_pod(struct buf *b, const struct pod *p)
{
	put(b, "k8s.node.name", p->node);
	put(b, "k8s.namespace.name", p->namespace);
	put(b, "k8s.pod.name", p->name);
	put(b, "k8s.pod.uid", p->uid);
	put(b, "k8s.pod.hostname", p->hostname);
	put_start(b, p->started);
	if (p->n_ips)
		put_address(b, &p->ips[0]);
}

static void put_workload(struct buf *b, const struct workload *w)
{
	if (!w->kind)
		return;
	put(b, w->kind->name_key, w->name);
	put(b, w->kind->uid_key, w->uid);
	if (w->above.n)
		put(b, w->kind->above_key, w->above);
}

static bool wanted(const struct pod_naming *naming, struct slice key)
{
	for (size_t i = 0; i < naming->n_labels; i++)
		if (glob_match(naming->labels[i], (uint32_t)strlen(naming->labels[i]), key.p, (uint32_t)key.n))
			return true;
	return false;
}

/* A label may be empty and still say something. */
static void put_labels(struct buf *b, const struct pod *p, const struct pod_naming *naming)
{
	for (size_t i = 0; i < p->n_labels; i++) {
		const struct pod_pair *l = &p->labels[i];
		char key[UINT8_MAX + 1];
		int n;

		if (!wanted(naming, l->key))
			continue;
		n = snprintf(key, sizeof(key), "k8s.pod.label.%.*s", SLICE_ARG(l->key));
		if (n > 0 && (size_t)n < sizeof(key))
			facts_text(b, slice_of(key, (size_t)n), l->value);
		else
			stat_inc(resource_cut);
	}
}

void pod_facts(struct buf *b, const struct pod *p, const struct pod_container *c, const struct pod_naming *naming)
{
	struct workload w;
	struct image image;

	workload_of(p, &w);
	image_parse(c->image, &image);
	facts_begin(b, 0, 0);
	facts_layer(b, FACTS_KNOWN);
	put_container(b, c, &image);
	put_pod(b, p);
	put_workload(b, &w);
	facts_layer(b, FACTS_POD);
	put_service(b, p, c, naming, &w, &image);
	put_annotations(b, p);
	facts_layer(b, FACTS_KNOWN); /* at the end: large ones take the room of nothing else */
	put_labels(b, p, naming);
}
