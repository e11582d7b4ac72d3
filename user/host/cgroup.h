/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a directory of control groups is to Kubernetes and to container runtimes, by its path alone (specs.md §6.4): drivers
 * systemd and cgroupfs, hierarchies v1 and v2, runtimes inside containers. Any bytes are safe.
 */
#ifndef SPANDREL_HOST_CGROUP_H
#define SPANDREL_HOST_CGROUP_H

#include "base/slice.h"

enum cgroup_kind {
	CGROUP_OTHER,	  /* nothing of its own: what holds for the directory above holds here */
	CGROUP_PODS,	  /* all pods of a kubelet are below */
	CGROUP_POD,	  /* one pod's */
	CGROUP_CONTAINER, /* one container's */
	CGROUP_MONITOR,	  /* of the program that watches a container (conmon): beside it, not inside */
};

#define CGROUP_UID_MAX 36

struct cgroup_name {
	enum cgroup_kind kind;
	struct slice id;	  /* container: 64 hexadecimal digits, a part of the path */
	char uid[CGROUP_UID_MAX + 1]; /* of the pod that it is or is in, with dashes; empty: none */
};

/* path: from the root of its hierarchy. What its last component stands for. */
void cgroup_name(struct slice path, struct cgroup_name *out);

#endif
