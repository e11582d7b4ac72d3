/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the whole cluster's services and of what stands behind them (--kube-services; specs.md §11.4): Services tell
 * ClusterIP:port, which is what a client's socket sees before the packets are rewritten; EndpointSlices tell the
 * addresses behind them and the pods that have them, on any node.
 *
 * Bounded in number; beyond it new ones are refused (kube_services_refused). Measured: 310 bytes a service of one port, 180 an
 * endpoint address; 10,000 services with 50,000 endpoints cost 12 MB, the most that is kept 17 MB, and as much again
 * while lists are read another time.
 * No history: a name is that of now. Not for threads.
 */
#ifndef SPANDREL_HOST_SERVICE_H
#define SPANDREL_HOST_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "host/pod.h"

/* What an address is called. Borrowed from the store until its next change; `pod` is empty where it is not known. */
struct service_name {
	struct slice name, namespace; /* of the service */
	struct slice pod;	      /* of the endpoint that has the address: its name, in the same namespace */
};

struct services;

struct services_config {
	uint32_t max_services;	/* 0: 16384 */
	uint32_t max_endpoints; /* addresses; 0: 65536 */
};

struct services *services_new(const struct services_config *c); /* NULL without memory */
void services_free(struct services *s);

/*
 * What the server side of a connection is called: a service by its address (cluster, external, load balancer) and TCP port,
 * else by the address and TCP port of one of its endpoints. False when there is none or two services could be meant; but
 * an endpoint of several services is still one pod: true, with an empty name. Headless services are known by their endpoints
 * alone. An address in a node's own network (host-network pods) is only found with a port that its endpoints list.
 */
bool services_find(const struct services *s, const struct pod_ip *ip, uint16_t port, struct service_name *out);
uint32_t services_known(const struct services *s);

/*
 * For the API client and tests. A Service, or an EndpointSlice: addresses that answer on each of the ports. An address of a
 * slice may name a pod.
 */
enum service_source { SERVICE_ITSELF, SERVICE_ENDPOINTS, SERVICE_SOURCES };

#define SERVICE_ADDRESSES_MAX 1024 /* of one object, as the API allows; more are left out and counted (kube_values_cut) */
#define SERVICE_PORTS_MAX     128

struct service_address {
	struct pod_ip ip;
	struct slice pod;
};

struct service_object {
	enum service_source source;
	struct slice uid, version, name, namespace; /* name: of the service */
	const struct service_address *addresses;
	const uint16_t *ports; /* TCP */
	uint16_t n_addresses, n_ports;
};

/* Copies. 0, or -errno and it is counted. Between begin and end of a list of its source it counts at the end only. */
int services_put(struct services *s, const struct service_object *o);
void services_delete(struct services *s, enum service_source source, struct slice uid);
/* A list in full, as pods_list_begin() … have it. */
void services_list_begin(struct services *s, enum service_source source);
void services_list_end(struct services *s, enum service_source source);
void services_list_abort(struct services *s, enum service_source source);

#endif
