// SPDX-License-Identifier: Apache-2.0
#include "host/pod_json.h"

#include <stdlib.h>

#include "base/scope.h"
#include "base/stats.h"
#include "host/pod_draft.h"
#include "host/timestamp.h"

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

struct pod_reader {
	struct pods *pods;
	struct pod_draft d;
	struct slice config_hash;
	bool mirror; /* the API server's image of a static pod */
	struct pod_part part;
	struct pod_owner owner;
	bool controller;
};

static struct slice keep_name(struct pod_reader *r, const struct json_value *v)
{
	return v->type == JSON_STRING ? draft_text(&r->d, v->text, POD_NAME_MAX) : SLICE_NONE;
}

static struct slice keep_image(struct pod_reader *r, const struct json_value *v)
{
	return v->type == JSON_STRING ? draft_text(&r->d, v->text, POD_IMAGE_MAX) : SLICE_NONE;
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
		draft_pair(&r->d, r->d.annotations, &r->d.pod.n_annotations, key, v->text);
}

static void take_label(struct pod_reader *r, struct slice key, const struct json_value *v)
{
	uint16_t n = r->d.pod.n_labels;

	if (v->type != JSON_STRING || !pods_keeps_label(r->pods, key))
		return;
	draft_pair(&r->d, r->d.labels, &r->d.pod.n_labels, key, v->text);
	r->d.pod.labels_cut |= r->d.pod.n_labels == n;
}

static void take_restarts(struct pod_container *c, const struct json_value *v)
{
	uint64_t n;

	if (v->type == JSON_NUMBER && slice_u64(v->text, &n) && n <= INT32_MAX)
		c->restarts = (int64_t)n;
}

static void container_value(struct pod_reader *r, uint8_t state, const struct json_value *v)
{
	struct pod_part *t = &r->part;

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
	struct slice *name = name_field(&r->d.pod, state);

	if (name)
		*name = keep_name(r, v);
	else if (state == P_LABEL)
		take_label(r, key, v);
	else if (state == P_ANNOTATION)
		take_annotation(r, key, v);
	else if (state == P_IP)
		draft_ip(&r->d, v->text);
	else if (state == P_PHASE)
		r->d.pod.phase = phase_of(v->text);
	else if (state == P_HOST_NETWORK)
		r->d.pod.host_network = v->type == JSON_BOOL && v->truth;
	else if (state == P_CREATED)
		r->d.pod.created = timestamp_parse(v->text);
	else if (state == P_STARTED)
		r->d.pod.started = timestamp_parse(v->text);
	else if (state >= P_CONTAINER)
		container_value(r, state, v);
	else
		owner_value(r, state, v);
}

/* Containers and owners */

static void pod_open(void *arg, uint8_t state, struct slice key)
{
	struct pod_reader *r = arg;
	struct pod_part *t = &r->part;

	(void)key;
	if (state >= P_SPEC_MAIN && state <= P_EPHEMERAL) {
		t->spec = state <= P_SPEC_EPHEMERAL;
		t->c.kind = (uint8_t)((state - P_SPEC_MAIN) % 3); /* in the order of enum pod_kind */
	} else if (state == P_CONTAINER) {
		*t = (struct pod_part){ .c = { .kind = t->c.kind, .restarts = -1 }, .spec = t->spec };
	} else if (state == P_OWNER) {
		r->owner = (struct pod_owner){ 0 };
		r->controller = false;
	}
}

static void pod_close(void *arg, uint8_t state)
{
	struct pod_reader *r = arg;

	if (state == P_CONTAINER)
		draft_container(&r->d, &r->part);
	else if (state == P_OWNER && r->controller)
		r->d.pod.owner = r->owner;
}

/* The row */

static void pod_begin(void *arg)
{
	struct pod_reader *r = arg;

	draft_begin(&r->d);
	r->config_hash = SLICE_NONE;
	r->mirror = false;
	r->part = (struct pod_part){ 0 };
}

static void pod_put(void *arg, struct slice version, uint64_t now)
{
	struct pod_reader *r = arg;
	struct pod *p;

	r->d.pod.version = draft_text(&r->d, version, POD_NAME_MAX);
	r->d.pod.cgroup_uid = r->mirror && r->config_hash.n ? r->config_hash : r->d.pod.uid;
	p = draft_pack(&r->d);
	if (p)
		pods_put(r->pods, p, now);
	else
		stat_inc(kube_pods_refused);
}

static void pod_remove(void *arg, uint64_t now)
{
	struct pod_reader *r = arg;

	pods_delete(r->pods, r->d.pod.uid, now);
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
