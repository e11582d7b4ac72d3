/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories of control groups that are a pod's or a container's (cgroup.h), found by walking the hierarchies once and told of by
 * the kernel from then on; and what the selectors (selector.h) say of each, for the kernel side (event.h, map cgroups). Bounded:
 * at most CGROUPS_MAX directories (cgroups_refused counts more), of at most PLACES_WALK walked (cgroups_unread).
 */
#ifndef SPANDREL_HOST_PLACES_H
#define SPANDREL_HOST_PLACES_H

#include <stddef.h>

#include "event.h"
#include "host/pod.h"
#include "host/selector.h"

#define PLACES_WALK  65536
#define PLACES_DEPTH 24

/*
 * Finds where a whole hierarchy can be read: v2, or the v1 one of a controller. Of our own mounts, or else of those of process 1, as
 * a container does not have the host's of its own. 0 or -ENOENT.
 */
int places_root(const char *proc, const char *controller, char *path, size_t size);

struct places_config {
	const char *v2, *v1; /* directories where the hierarchies begin; NULL: there is none to walk */
	/* What the kernel side is to be told: probe_place(). 0 or -errno. */
	int (*place)(void *arg, uint64_t key, uint32_t bits);
	void *arg;
};

struct places;

struct places *places_new(const struct places_config *c); /* the texts are copied; NULL without memory */
void places_free(struct places *p);

/* What is there now; what is not there any more is forgotten. 0, or -errno when nothing could be read. */
int places_scan(struct places *p);
/* A directory was made or removed. Does it matter? Then ask places_decide(). */
bool places_event(struct places *p, const struct ev_cgroup *ev);
/* Decides about each; pods: NULL when there is no Kubernetes. Returns how many directories are not what they were. */
size_t places_decide(struct places *p, const struct selector *s, const struct pods *pods);
size_t places_known(const struct places *p);

#endif
