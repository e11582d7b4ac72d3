/* SPDX-License-Identifier: Apache-2.0 */
/* The resource of a process out of its facts, the host's and the operator's settings. */
#ifndef SPANDREL_HOST_RESOURCE_H
#define SPANDREL_HOST_RESOURCE_H

#include "host/process.h"

#define RESOURCE_ATTRS 128 /* more are left out and counted (resource_values_cut) */

struct resource_parts {
	uint32_t pid;
	struct slice process, pod, host; /* bytes of host/facts.h, from anywhere; empty when there are none */
};

/*
 * What is said last wins: defaults, the host, the process and its pod layer by layer (enum facts_layer), then
 * --cluster-name, --resource, --environment and --service-name. One reference for the caller; NULL without memory.
 */
struct resource *resource_new(const struct host_config *c, uint64_t id,
			      const struct resource_parts *p);

/* For all who hold it the resource says what `with` says from now on. Takes `with`, which nobody else holds. */
void resource_retell(struct resource *r, struct resource *with);

#endif
