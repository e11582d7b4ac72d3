/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs a pod (specs.md §6.3), proven by what the pod itself says: its controller, and what stands above that.
 *
 *   Deployment  a ReplicaSet is named <deployment>-<hash>, and the pod's label pod-template-hash is the hash
 *   CronJob     a Job is named <cronjob>-<minutes since the epoch>, of the day that the pod was created on or one next to it
 *
 * A name that only looks so proves nothing: the ReplicaSet or Job is its own then.
 */
#ifndef SPANDREL_HOST_WORKLOAD_H
#define SPANDREL_HOST_WORKLOAD_H

#include "host/pod.h"

struct workload_kind {
	const char *kind;	   /* of the owner reference */
	const char *name_key, *uid_key; /* k8s.….name, k8s.….uid */
	const char *above_key;	   /* of what may stand above; NULL: nothing does */
};

struct workload {
	const struct workload_kind *kind; /* NULL: no controller, or one of another kind */
	struct slice name, uid;		  /* of the controller */
	struct slice above;		  /* name of the Deployment or CronJob; empty: none is proven */
};

/* Borrows from the pod. */
void workload_of(const struct pod *p, struct workload *out);

#endif
