/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the whole cluster's services and of what stands behind them (--kube-services; specs.md §11.4): Services tell
 * ClusterIP:port, which is what a client's socket sees before the packets are rewritten; EndpointSlices tell the
 * addresses behind them and the pods that have them, on any node.
 *
 * Bounded in number; beyond it new ones are refused (kube_services_refused). Memory: about 200 bytes a service port and
 * 250 bytes an endpoint address, so 10,000 services of one port and 50,000 endpoints cost some 15 MB. Times are
 * boot time in ns. Not for threads.
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
 * What the server side of a connection is called: a service by its ClusterIP (external and load balancer addresses count
 * as well) and TCP port, else by one of its endpoints' address and TCP port. False when there is none, or two services could be
 * meant (then out->pod is still the endpoint's, where it is only one: true, with an empty name). Headless services are known by
 * their endpoints alone. Endpoints in the host's network are left out where the slice's pod says so
 * or the address is a node's own.
 */
bool services_find(const struct services *s, const struct pod_ip *ip, uint16_t port, struct service_name *out);
uint32_t services_known(const struct services *s);

#endif
