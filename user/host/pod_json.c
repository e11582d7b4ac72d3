// SPDX-License-Identifier: Apache-2.0
/*
 * A draft is filled field by field: texts go to one run of bytes, and what is kept of it in the end is copied into a block of
 * its size. Specification and status name the same containers; either may come first.
 */
#include "host/pod_json.h"

#include <errno.h>
#include <stdlib.h>

#include "base/scope.h"
#include "base/stats.h"
#include "host/text.h"
#include "host/timestamp.h"

#define NAME_MAX_K8S 253 /* of names, uids, ids: a longer one is none */
#define IMAGE_MAX    1024

enum {
	P_NAME = KUBE_FREE, P_NAMESPACE, P_UID, P_CREATED,
	P_LABELS, P_LABEL, P_ANNOTATIONS, P_ANNOTATION,
	P_OWNERS, P_OWNER, P_OWNER_KIND, P_OWNER_NAME, P_OWNER_UID, P_OWNER_CONTROLLER,
	P_SPEC, P_NODE, P_HOSTNAME, P_HOST_NETWORK,
	P_STATUS, P_PHASE, P_IP, P_IPS, P_IPS_ITEM, P_STARTED,
	P_SPEC_MAIN, P_SPEC_INIT, P_SPEC_EPHEMERAL, P_MAIN, P_INIT, P_EPHEMERAL,
	P_CONTAINER, P_C_NAME, P_C_IMAGE, P_C_IMAGE_ID, P_C_ID, P_C_RESTARTS, P_C_LAST, P_C_ENDED, P_C_FORMER,
};

static const struct json_rule rules[] = {
	{ KUBE_META, P_NAME, "name" },
	{ KUBE_META, P_NAMESPACE, "namespace" },
	{ KUBE_META, P_UID, "uid" },
	{ KUBE_META, P_CREATED, "creationTimestamp" },
	{ KUBE_META, P_LABELS, "labels" },
	{ P_LABELS, P_LABEL, "*" },
	{ KUBE_META, P_ANNOTATIONS, "annotations" },
	{ P_ANNOTATIONS, P_ANNOTATION, "*" },
	{ KUBE_META, P_OWNERS, "ownerReferences" },
	{ P_OWNERS, P_OWNER, "[]" },
	{ P_OWNER, P_OWNER_KIND, "kind" },
	{ P_OWNER, P_OWNER_NAME, "name" },
	{ P_OWNER, P_OWNER_UID, "uid" },
	{ P_OWNER, P_OWNER_CONTROLLER, "controller" },
	{ KUBE_OBJECT, P_SPEC, "spec" },
	{ P_SPEC, P_NODE, "nodeName" },
	{ P_SPEC, P_HOSTNAME, "hostname" },
	{ P_SPEC, P_HOST_NETWORK, "hostNetwork" },
	{ P_SPEC, P_SPEC_MAIN, "containers" },
	{ P_SPEC, P_SPEC_INIT, "initContainers" },
	{ P_SPEC, P_SPEC_EPHEMERAL, "ephemeralContainers" },
	{ KUBE_OBJECT, P_STATUS, "status" },
	{ P_STATUS, P_PHASE, "phase" },
	{ P_STATUS, P_IP, "podIP" },
	{ P_STATUS, P_IPS, "podIPs" },
	{ P_IPS, P_IPS_ITEM, "[]" },
	{ P_IPS_ITEM, P_IP, "ip" },
	{ P_STATUS, P_STARTED, "startTime" },
	{ P_STATUS, P_MAIN, "containerStatuses" },
	{ P_STATUS, P_INIT, "initContainerStatuses" },
	{ P_STATUS, P_EPHEMERAL, "ephemeralContainerStatuses" },
	{ P_SPEC_MAIN, P_CONTAINER, "[]" },
	{ P_SPEC_INIT, P_CONTAINER, "[]" },
	{ P_SPEC_EPHEMERAL, P_CONTAINER, "[]" },
	{ P_MAIN, P_CONTAINER, "[]" },
	{ P_INIT, P_CONTAINER, "[]" },
	{ P_EPHEMERAL, P_CONTAINER, "[]" },
	{ P_CONTAINER, P_C_NAME, "name" },
	{ P_CONTAINER, P_C_IMAGE, "image" },
	{ P_CONTAINER, P_C_IMAGE_ID, "imageID" },
	{ P_CONTAINER, P_C_ID, "containerID" },
	{ P_CONTAINER, P_C_RESTARTS, "restartCount" },
	{ P_CONTAINER, P_C_LAST, "lastState" },
	{ P_C_LAST, P_C_ENDED, "terminated" },
	{ P_C_ENDED, P_C_FORMER, "containerID" },
};

/* A container as one of the lists names it. */
struct part {
	struct pod_container c;
	struct slice former, former_runtime;
	bool spec; /* of the specification, else of the status */
};

struct pod_reader {
	struct pods *pods;
	struct pod pod;
	struct pod_container containers[POD_CONTAINERS_MAX];
	struct pod_pair labels[POD_LABELS_MAX], annotations[POD_LABELS_MAX];
	struct slice config_hash;
	bool mirror; /* the API server's image of a static pod */
	struct part part;
	struct pod_owner owner;
	bool controller;
	uint32_t n_text;
	char text[POD_BYTES_MAX / 2];
};

/* Texts */

/* A copy; cut at `max` bytes, or none when `whole` is wanted and it is longer. */
static struct slice keep(struct pod_reader *r, struct slice s, size_t max, bool whole)
{
	size_t room = sizeof(r->text) - r->n_text, n;
	char *to = r->text + r->n_text;

	if (s.n > max || s.n > room)
		stat_inc(kube_values_cut);
	if (s.n > room || (s.n > max && whole))
		return SLICE_NONE;
	n = text_clean(to, max, s);
	r->n_text += (uint32_t)n;
	return slice_of(to, n);
}

static struct slice keep_name(struct pod_reader *r, const struct json_value *v)
{
	return v->type == JSON_STRING ? keep(r, v->text, NAME_MAX_K8S, true) : SLICE_NONE;
}

static struct slice keep_image(struct pod_reader *r, const struct json_value *v)
{
	return v->type == JSON_STRING ? keep(r, v->text, IMAGE_MAX, true) : SLICE_NONE;
}

static void keep_pair(struct pod_reader *r, struct pod_pair *v, uint16_t *n, struct slice key, struct slice value)
{
	if (*n == POD_LABELS_MAX || sizeof(r->text) - r->n_text < key.n + MIN(value.n, (size_t)POD_VALUE_MAX)) {
		stat_inc(kube_values_cut);
		return;
	}
	v[*n].key = keep(r, key, NAME_MAX_K8S + 64, true); /* a key has a prefix */
	if (!v[*n].key.n)
		return;
	if (value.n > POD_VALUE_MAX)
		stat_inc(kube_values_cut);
	v[*n].value = keep(r, slice_to(value, POD_VALUE_MAX), POD_VALUE_MAX, false);
	(*n)++;
}

/* "containerd://ID" */
static void take_id(struct pod_reader *r, const struct json_value *v, struct slice *id, struct slice *runtime)
{
	struct slice all = keep_name(r, v);
	const char *at = all.n ? memmem(all.p, all.n, "://", 3) : NULL;

	if (!at)
		return;
	*runtime = slice_to(all, (size_t)(at - all.p));
	*id = slice_from(all, runtime->n + 3);
}

/* Fields */

static void take_ip(struct pod *p, const struct json_value *v)
{
	struct pod_ip ip;

	if (v->type != JSON_STRING || !pod_ip_parse(v->text, &ip))
		return;
	for (uint8_t i = 0; i < p->n_ips; i++)
		if (!memcmp(p->ips[i].b, ip.b, sizeof(ip.b)))
			return;
	if (p->n_ips == POD_IPS_MAX)
		stat_inc(kube_values_cut);
	else
		p->ips[p->n_ips++] = ip;
}

static uint8_t phase_of(struct slice text)
{
	static const char *const names[] = { "", "Pending", "Running", "Succeeded", "Failed" };

	for (uint8_t i = 1; i < ARRAY_SIZE(names); i++)
		if (slice_eq(slice_str(names[i]), text))
			return i;
	return POD_PHASE_UNKNOWN;
}

static void take_annotation(struct pod_reader *r, struct slice key, const struct json_value *v)
{
	if (v->type != JSON_STRING)
		return;
	if (slice_eq(key, SLICE("kubernetes.io/config.hash")))
		r->config_hash = keep_name(r, v);
	if (slice_eq(key, SLICE("kubernetes.io/config.mirror")))
		r->mirror = true;
	if (pods_keeps_annotation(key))
		keep_pair(r, r->annotations, &r->pod.n_annotations, key, v->text);
}

static void take_label(struct pod_reader *r, struct slice key, const struct json_value *v)
{
	if (v->type == JSON_STRING && pods_keeps_label(r->pods, key))
		keep_pair(r, r->labels, &r->pod.n_labels, key, v->text);
}

static void take_restarts(struct pod_container *c, const struct json_value *v)
{
	uint64_t n;

	if (v->type == JSON_NUMBER && slice_u64(v->text, &n) && n <= INT32_MAX)
		c->restarts = (int64_t)n;
}

static void container_value(struct pod_reader *r, uint8_t state, const struct json_value *v)
{
	struct part *t = &r->part;

	if (state == P_C_NAME)
		t->c.name = keep_name(r, v);
	else if (state == P_C_IMAGE)
		t->c.image = keep_image(r, v);
	else if (state == P_C_IMAGE_ID)
		t->c.image_id = keep_image(r, v);
	else if (state == P_C_ID)
		take_id(r, v, &t->c.id, &t->c.runtime);
	else if (state == P_C_RESTARTS)
		take_restarts(&t->c, v);
	else if (state == P_C_FORMER)
		take_id(r, v, &t->former, &t->former_runtime);
}

static void owner_value(struct pod_reader *r, uint8_t state, const struct json_value *v)
{
	if (state == P_OWNER_KIND)
		r->owner.kind = keep_name(r, v);
	else if (state == P_OWNER_NAME)
		r->owner.name = keep_name(r, v);
	else if (state == P_OWNER_UID)
		r->owner.uid = keep_name(r, v);
	else if (state == P_OWNER_CONTROLLER)
		r->controller = v->type == JSON_BOOL && v->truth;
}

static struct slice *name_field(struct pod *p, uint8_t state)
{
	switch (state) {
	case P_NAME:
		return &p->name;
	case P_NAMESPACE:
		return &p->namespace;
	case P_UID:
		return &p->uid;
	case P_NODE:
		return &p->node;
	case P_HOSTNAME:
		return &p->hostname;
	}
	return NULL;
}

static void pod_value(void *arg, uint8_t state, struct slice key, const struct json_value *v)
{
	struct pod_reader *r = arg;
	struct slice *name = name_field(&r->pod, state);

	if (name)
		*name = keep_name(r, v);
	else if (state == P_LABEL)
		take_label(r, key, v);
	else if (state == P_ANNOTATION)
		take_annotation(r, key, v);
	else if (state == P_IP)
		take_ip(&r->pod, v);
	else if (state == P_PHASE)
		r->pod.phase = phase_of(v->text);
	else if (state == P_HOST_NETWORK)
		r->pod.host_network = v->type == JSON_BOOL && v->truth;
	else if (state == P_CREATED)
		r->pod.created = timestamp_parse(v->text);
	else if (state == P_STARTED)
		r->pod.started = timestamp_parse(v->text);
	else if (state >= P_CONTAINER)
		container_value(r, state, v);
	else
		owner_value(r, state, v);
}

/* Containers and owners */

static struct pod_container *container_slot(struct pod_reader *r, const struct part *t)
{
	struct pod *p = &r->pod;

	for (uint16_t i = 0; i < p->n_containers; i++) {
		struct pod_container *c = &r->containers[i];

		if (!c->former && c->kind == t->c.kind && slice_eq(c->name, t->c.name))
			return c;
	}
	if (p->n_containers == POD_CONTAINERS_MAX) {
		stat_inc(kube_values_cut);
		return NULL;
	}
	r->containers[p->n_containers] = (struct pod_container){ .name = t->c.name, .kind = t->c.kind, .restarts = -1 };
	return &r->containers[p->n_containers++];
}

static void add_former(struct pod_reader *r, const struct part *t, struct pod_container c)
{
	if (r->pod.n_containers == POD_CONTAINERS_MAX) {
		stat_inc(kube_values_cut);
		return;
	}
	/* the run before may have had another image, and how often it had been started is not said */
	c.id = t->former;
	c.runtime = t->former_runtime;
	c.image_id = SLICE_NONE;
	c.restarts = -1;
	c.former = true;
	r->containers[r->pod.n_containers++] = c;
}

static void container_done(struct pod_reader *r)
{
	const struct part *t = &r->part;
	struct pod_container *c = t->c.name.n ? container_slot(r, t) : NULL;

	if (!c)
		return;
	if (t->c.image.n && (t->spec || !c->image.n))
		c->image = t->c.image;
	if (t->spec)
		return;
	c->image_id = t->c.image_id;
	c->id = t->c.id;
	c->runtime = t->c.runtime;
	c->restarts = t->c.restarts;
	if (t->former.n && !slice_eq(t->former, t->c.id))
		add_former(r, t, *c);
}

static void pod_open(void *arg, uint8_t state, struct slice key)
{
	struct pod_reader *r = arg;
	struct part *t = &r->part;

	(void)key;
	if (state >= P_SPEC_MAIN && state <= P_EPHEMERAL) {
		t->spec = state <= P_SPEC_EPHEMERAL;
		t->c.kind = (uint8_t)((state - P_SPEC_MAIN) % 3); /* in the order of enum pod_kind */
	} else if (state == P_CONTAINER) {
		*t = (struct part){ .c = { .kind = t->c.kind, .restarts = -1 }, .spec = t->spec };
	} else if (state == P_OWNER) {
		r->owner = (struct pod_owner){ 0 };
		r->controller = false;
	}
}

static void pod_close(void *arg, uint8_t state)
{
	struct pod_reader *r = arg;

	if (state == P_CONTAINER)
		container_done(r);
	else if (state == P_OWNER && r->controller)
		r->pod.owner = r->owner;
}

/* The draft as a block of its own */

struct packer {
	const char *from;
	char *to;
};

static void move(const struct packer *m, struct slice *s)
{
	if (s->n)
		s->p = m->to + (s->p - m->from);
}

static void move_pairs(const struct packer *m, struct pod_pair *v, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		move(m, &v[i].key);
		move(m, &v[i].value);
	}
}

static void move_all(const struct packer *m, struct pod *p)
{
	struct slice *v[] = { &p->namespace, &p->name, &p->uid, &p->cgroup_uid, &p->node, &p->hostname, &p->owner.kind,
			      &p->owner.name, &p->owner.uid, &p->version };

	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		move(m, v[i]);
	for (uint16_t i = 0; i < p->n_containers; i++) {
		struct pod_container *c = (struct pod_container *)&p->containers[i];
		struct slice *w[] = { &c->name, &c->id, &c->runtime, &c->image, &c->image_id };

		for (size_t k = 0; k < ARRAY_SIZE(w); k++)
			move(m, w[k]);
	}
	move_pairs(m, (struct pod_pair *)p->labels, p->n_labels);
	move_pairs(m, (struct pod_pair *)p->annotations, p->n_annotations);
}

static char *append(char *to, const void *from, size_t n)
{
	memcpy(to, from, n);
	return to + n;
}

static struct pod *pack(struct pod_reader *r)
{
	const struct pod *d = &r->pod;
	size_t containers = d->n_containers * sizeof(r->containers[0]), labels = d->n_labels * sizeof(r->labels[0]);
	size_t annotations = d->n_annotations * sizeof(r->annotations[0]);
	size_t bytes = sizeof(struct pod) + containers + labels + annotations + r->n_text;
	struct pod *p = malloc(bytes);
	char *at = (char *)(p + 1);

	if (!p)
		return NULL;
	*p = *d;
	p->refs = 1;
	p->bytes = bytes;
	p->containers = (const struct pod_container *)at;
	at = append(at, r->containers, containers);
	p->labels = (const struct pod_pair *)at;
	at = append(at, r->labels, labels);
	p->annotations = (const struct pod_pair *)at;
	at = append(at, r->annotations, annotations);
	memcpy(at, r->text, r->n_text);
	move_all(&(struct packer){ r->text, at }, p);
	return p;
}

/* The row */

static void pod_begin(void *arg)
{
	struct pod_reader *r = arg;

	r->pod = (struct pod){ 0 };
	r->config_hash = SLICE_NONE;
	r->mirror = false;
	r->part = (struct part){ 0 };
	r->n_text = 0;
}

static void pod_put(void *arg, struct slice version, uint64_t now)
{
	struct pod_reader *r = arg;
	struct pod *p;

	r->pod.version = keep(r, version, NAME_MAX_K8S, true);
	r->pod.cgroup_uid = r->mirror && r->config_hash.n ? r->config_hash : r->pod.uid;
	p = pack(r);
	if (p)
		pods_put(r->pods, p, now);
	else
		stat_inc(kube_pods_refused);
}

static void pod_remove(void *arg, uint64_t now)
{
	struct pod_reader *r = arg;

	pods_delete(r->pods, r->pod.uid, now);
}

static void list_begin(void *arg)
{
	pods_list_begin(((struct pod_reader *)arg)->pods);
}

static void list_end(void *arg, uint64_t now)
{
	pods_list_end(((struct pod_reader *)arg)->pods, now);
}

static void list_abort(void *arg)
{
	pods_list_abort(((struct pod_reader *)arg)->pods);
}

const struct kube_kind kube_kind_pods = {
	.name = "pods",
	.path = "/api/v1/pods",
	.by_node = true,
	.rules = { rules, ARRAY_SIZE(rules) },
	.begin = pod_begin,
	.open = pod_open,
	.close = pod_close,
	.value = pod_value,
	.put = pod_put,
	.remove = pod_remove,
	.list_begin = list_begin,
	.list_end = list_end,
	.list_abort = list_abort,
};

struct pod_reader *pod_reader_new(struct pods *to)
{
	struct pod_reader *r = calloc(1, sizeof(*r));

	if (r)
		r->pods = to;
	return r;
}

void pod_reader_free(struct pod_reader *r)
{
	free(r);
}
