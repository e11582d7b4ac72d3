// SPDX-License-Identifier: Apache-2.0
#include "host/service_json.h"

#include <stdlib.h>

#include "base/scope.h"
#include "base/stats.h"
#include "host/text.h"

#define NAME_MAX_K8S 253
#define TEXT_SIZE    (192 * 1024) /* of one object: pods' names mostly */

enum {
	S_NAME = KUBE_FREE, S_NAMESPACE, S_UID, S_LABELS, S_SERVICE_NAME,
	S_SPEC, S_STATUS, S_BALANCER, S_INGRESS, S_INGRESS_ITEM,
	S_IP, S_IPS, S_PORTS, S_PORT, S_PORT_NUMBER, S_PROTOCOL,
	S_ENDPOINTS, S_ENDPOINT, S_ENDPOINT_IPS, S_ENDPOINT_IP, S_TARGET, S_TARGET_KIND, S_TARGET_NAME,
};

static const struct json_rule service_rules[] = {
	{ KUBE_META, S_NAME, "name" },
	{ KUBE_META, S_NAMESPACE, "namespace" },
	{ KUBE_META, S_UID, "uid" },
	{ KUBE_OBJECT, S_SPEC, "spec" },
	{ S_SPEC, S_IP, "clusterIP" },
	{ S_SPEC, S_IPS, "clusterIPs" },
	{ S_SPEC, S_IPS, "externalIPs" },
	{ S_IPS, S_IP, "[]" },
	{ S_SPEC, S_PORTS, "ports" },
	{ S_PORTS, S_PORT, "[]" },
	{ S_PORT, S_PORT_NUMBER, "port" },
	{ S_PORT, S_PROTOCOL, "protocol" },
	{ KUBE_OBJECT, S_STATUS, "status" },
	{ S_STATUS, S_BALANCER, "loadBalancer" },
	{ S_BALANCER, S_INGRESS, "ingress" },
	{ S_INGRESS, S_INGRESS_ITEM, "[]" },
	{ S_INGRESS_ITEM, S_IP, "ip" },
};

static const struct json_rule slice_rules[] = {
	{ KUBE_META, S_NAMESPACE, "namespace" },
	{ KUBE_META, S_UID, "uid" },
	{ KUBE_META, S_LABELS, "labels" },
	{ S_LABELS, S_SERVICE_NAME, "kubernetes.io/service-name" },
	{ KUBE_OBJECT, S_ENDPOINTS, "endpoints" },
	{ S_ENDPOINTS, S_ENDPOINT, "[]" },
	{ S_ENDPOINT, S_ENDPOINT_IPS, "addresses" },
	{ S_ENDPOINT_IPS, S_ENDPOINT_IP, "[]" },
	{ S_ENDPOINT, S_TARGET, "targetRef" },
	{ S_TARGET, S_TARGET_KIND, "kind" },
	{ S_TARGET, S_TARGET_NAME, "name" },
	{ KUBE_OBJECT, S_PORTS, "ports" },
	{ S_PORTS, S_PORT, "[]" },
	{ S_PORT, S_PORT_NUMBER, "port" },
	{ S_PORT, S_PROTOCOL, "protocol" },
};

struct service_reader {
	struct services *services;
	struct service_object o;
	struct service_address addresses[SERVICE_ADDRESSES_MAX];
	uint16_t ports[SERVICE_PORTS_MAX];
	uint16_t endpoint; /* its first address */
	uint32_t port;
	bool tcp, is_pod;
	struct slice target;
	uint32_t n_text;
	char text[TEXT_SIZE];
};

static struct slice keep(struct service_reader *r, const struct json_value *v)
{
	char *to = r->text + r->n_text;
	size_t n;

	if (v->type != JSON_STRING)
		return SLICE_NONE;
	if (v->text.n > NAME_MAX_K8S || v->text.n > sizeof(r->text) - r->n_text) {
		stat_inc(kube_values_cut);
		return SLICE_NONE;
	}
	n = text_clean(to, v->text.n, v->text);
	r->n_text += (uint32_t)n;
	return slice_of(to, n);
}

/* "None" is no address; clusterIP stands in clusterIPs again. */
static void take_ip(struct service_reader *r, const struct json_value *v)
{
	struct service_address a = { 0 };

	if (v->type != JSON_STRING || !pod_ip_parse(v->text, &a.ip))
		return;
	for (uint16_t i = r->o.source == SERVICE_ITSELF ? 0 : r->endpoint; i < r->o.n_addresses; i++)
		if (!memcmp(r->addresses[i].ip.b, a.ip.b, sizeof(a.ip.b)))
			return;
	if (r->o.n_addresses == SERVICE_ADDRESSES_MAX)
		stat_inc(kube_values_cut);
	else
		r->addresses[r->o.n_addresses++] = a;
}

static void take_port(struct service_reader *r)
{
	if (!r->tcp || !r->port)
		return;
	if (r->o.n_ports == SERVICE_PORTS_MAX)
		stat_inc(kube_values_cut);
	else
		r->ports[r->o.n_ports++] = (uint16_t)r->port;
}

static uint32_t port_of(const struct json_value *v)
{
	uint64_t n;

	return v->type == JSON_NUMBER && slice_u64(v->text, &n) && n <= UINT16_MAX ? (uint32_t)n : 0;
}

static void on_value(void *arg, uint8_t state, struct slice key, const struct json_value *v)
{
	struct service_reader *r = arg;

	(void)key;
	if (state == S_NAME || state == S_SERVICE_NAME)
		r->o.name = keep(r, v);
	else if (state == S_NAMESPACE)
		r->o.namespace = keep(r, v);
	else if (state == S_UID)
		r->o.uid = keep(r, v);
	else if (state == S_IP || state == S_ENDPOINT_IP)
		take_ip(r, v);
	else if (state == S_PORT_NUMBER)
		r->port = port_of(v);
	else if (state == S_PROTOCOL)
		r->tcp = slice_eq(v->text, SLICE("TCP"));
	else if (state == S_TARGET_KIND)
		r->is_pod = slice_eq(v->text, SLICE("Pod"));
	else if (state == S_TARGET_NAME)
		r->target = keep(r, v);
}

static void on_open(void *arg, uint8_t state, struct slice key)
{
	struct service_reader *r = arg;

	(void)key;
	if (state == S_PORT) {
		r->port = 0;
		r->tcp = true; /* unless said */
	} else if (state == S_ENDPOINT) {
		r->endpoint = r->o.n_addresses;
		r->is_pod = false;
		r->target = SLICE_NONE;
	}
}

static void on_close(void *arg, uint8_t state)
{
	struct service_reader *r = arg;

	if (state == S_PORT)
		take_port(r);
	else if (state == S_ENDPOINT && r->is_pod)
		for (uint16_t i = r->endpoint; i < r->o.n_addresses; i++)
			r->addresses[i].pod = r->target;
}

static void on_begin(void *arg)
{
	struct service_reader *r = arg;

	r->o = (struct service_object){ .source = r->o.source, .addresses = r->addresses, .ports = r->ports };
	r->endpoint = 0;
	r->n_text = 0;
}

/* A slice that belongs to no service, or a service without an address, names nothing. */
static void on_put(void *arg, struct slice version, uint64_t now)
{
	struct service_reader *r = arg;

	(void)now;
	r->o.version = version;
	if (r->o.n_addresses && r->o.n_ports && r->o.name.n)
		services_put(r->services, &r->o);
	else
		services_delete(r->services, r->o.source, r->o.uid);
}

static void on_remove(void *arg, uint64_t now)
{
	struct service_reader *r = arg;

	(void)now;
	services_delete(r->services, r->o.source, r->o.uid);
}

static void list_begin(void *arg)
{
	struct service_reader *r = arg;

	services_list_begin(r->services, r->o.source);
}

static void list_end(void *arg, uint64_t now)
{
	struct service_reader *r = arg;

	(void)now;
	services_list_end(r->services, r->o.source);
}

static void list_abort(void *arg)
{
	struct service_reader *r = arg;

	services_list_abort(r->services, r->o.source);
}

#define CALLS                                                                                                          \
	.begin = on_begin, .open = on_open, .close = on_close, .value = on_value, .put = on_put, .remove = on_remove,  \
	.list_begin = list_begin, .list_end = list_end, .list_abort = list_abort

const struct kube_kind kube_kind_services = {
	.name = "services",
	.path = "/api/v1/services",
	.rules = { service_rules, ARRAY_SIZE(service_rules) },
	CALLS,
};

const struct kube_kind kube_kind_slices = {
	.name = "endpointslices",
	.path = "/apis/discovery.k8s.io/v1/endpointslices",
	.rules = { slice_rules, ARRAY_SIZE(slice_rules) },
	CALLS,
};

struct service_reader *service_reader_new(struct services *to, enum service_source source)
{
	struct service_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->services = to;
	r->o.source = source;
	return r;
}

void service_reader_free(struct service_reader *r)
{
	free(r);
}
