// SPDX-License-Identifier: Apache-2.0
/*
 * Each kind of object has a watch of its own, which is in one of two phases: it wants a list, or it wants to hear of
 * changes since a version. What goes wrong decides only which of them comes next and when.
 */
#include "host/kube.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "host/facts.h"
#include "host/kube_auth.h"
#include "host/kube_watch.h"
#include "host/pod.h"
#include "host/pod_json.h"
#include "host/service.h"
#include "host/service_json.h"

#define KINDS_MAX 3

struct kube {
	struct kube_auth *auth;
	struct kube_place place;
	char node[254], agent[64];
	struct pods *pods;
	struct services *services;
	struct pod_reader *pod_reader;
	struct service_reader *service_reader, *slice_reader;
	struct kube_watch *watches[KINDS_MAX];
	uint32_t n; /* the first is that of the pods */
};

bool kube_wanted(const struct kube_config *c)
{
	const struct kube_auth_config a = { c->api, c->kubeconfig, c->account };

	if (c->mode != KUBE_AUTO)
		return c->mode == KUBE_ON;
	return c->api || c->kubeconfig || kube_auth_in_cluster(&a);
}

/* The kubelet's own rule: the host's name in lower case, unless it was told another. No node has the name of a pod. */
static int find_node(struct kube *k, const char *told)
{
	const char *name = told && *told ? told : getenv("NODE_NAME");

	if (name && *name) {
		if (strlen(name) >= sizeof(k->node))
			return log_ret(-EINVAL, "--node-name: expected at most %zu bytes", sizeof(k->node) - 1);
		strcpy(k->node, name);
		return 0;
	}
	if (!facts_named_as_host("/proc"))
		return log_ret(-EINVAL, "--node-name: expected this node's name, which a container with a host name of its own does not know: spec.nodeName, in NODE_NAME");
	if (gethostname(k->node, sizeof(k->node) - 1) || !k->node[0])
		return log_ret(-EINVAL, "--node-name: expected one: this host has no name");
	for (char *p = k->node; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p += 'a' - 'A';
	return 0;
}

static int add_watch(struct kube *k, const struct kube_kind *kind, void *reader)
{
	int r = reader ? kube_watch_new(&k->watches[k->n], &k->place, kind, reader) : -ENOMEM;

	k->n += !r;
	return r;
}

static int add_watches(struct kube *k)
{
	int r;

	k->pod_reader = pod_reader_new(k->pods);
	r = add_watch(k, &kube_kind_pods, k->pod_reader);
	if (r || !k->services)
		return r;
	k->service_reader = service_reader_new(k->services, SERVICE_ITSELF);
	k->slice_reader = service_reader_new(k->services, SERVICE_ENDPOINTS);
	r = add_watch(k, &kube_kind_services, k->service_reader);
	return r ? r : add_watch(k, &kube_kind_slices, k->slice_reader);
}

static int open_all(struct kube *k, const struct kube_config *c, CURLM *multi)
{
	const struct kube_auth_config a = { c->api, c->kubeconfig, c->account };
	char error[512];
	int r = find_node(k, c->node);

	if (r)
		return r;
	r = kube_auth_new(&k->auth, &a, error, sizeof(error));
	if (r)
		return log_ret(r, "%s", error);
	snprintf(k->agent, sizeof(k->agent), "spandrel/%s", c->version);
	k->place = (struct kube_place){ .multi = multi, .auth = k->auth, .node = k->node, .agent = k->agent };
	kube_place_seed(&k->place);
	r = add_watches(k);
	return r ? log_ret(r, "the API server's client: %s", strerror(-r)) : 0;
}

int kube_new(struct kube **out, const struct kube_config *c, struct pods *pods, struct services *services, CURLM *multi)
{
	struct kube *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->pods = pods;
	k->services = services;
	r = open_all(k, c, multi);
	if (r)
		kube_free(k);
	else
		*out = k;
	return r;
}

void kube_free(struct kube *k)
{
	if (!k)
		return;
	for (uint32_t i = 0; i < k->n; i++)
		kube_watch_free(k->watches[i]);
	pod_reader_free(k->pod_reader);
	service_reader_free(k->service_reader);
	service_reader_free(k->slice_reader);
	kube_auth_free(k->auth);
	free(k);
}

void kube_turn(struct kube *k, uint64_t now)
{
	for (uint32_t i = 0; i < k->n; i++)
		kube_watch_turn(k->watches[i], now);
	pods_tick(k->pods, now);
}

bool kube_busy(const struct kube *k)
{
	for (uint32_t i = 0; i < k->n; i++)
		if (kube_watch_busy(k->watches[i]))
			return true;
	return false;
}

void kube_list_again(struct kube *k, uint64_t now)
{
	kube_watch_list_again(k->watches[0], now);
}

void kube_state(const struct kube *k, struct kube_state *out)
{
	*out = (struct kube_state){ .synced = true,
				    .healthy = true,
				    .error = "",
				    .server = kube_auth_server(k->auth),
				    .node = k->node,
				    .requests = stats[STAT_kube_requests],
				    .bytes_in = stats[STAT_kube_bytes] };
	for (uint32_t i = 0; i < k->n; i++) {
		const char *error = kube_watch_error(k->watches[i]);

		out->synced &= kube_watch_synced(k->watches[i]);
		out->healthy &= !*error;
		if (!*out->error)
			out->error = error;
	}
}

void kube_gauges(const struct kube *k)
{
	stats_gauge_clear("pods_known");
	stats_gauge_add("pods_known", "node", slice_str(k->node), pods_known(k->pods));
}
