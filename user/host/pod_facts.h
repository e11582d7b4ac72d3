/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pod says of the programs in one of its containers, as facts (host/facts.h; specs.md §6.1 and §6.2):
 *
 *   service.name         the Deployment, else what runs the pod (ReplicaSet, StatefulSet, DaemonSet, CronJob, Job), else the pod;
 *                        with --kube-app-labels before them app.kubernetes.io/instance, then /name
 *   service.namespace    the namespace
 *   service.version      TAG@DIGEST of the image, as far as it is said; with --kube-app-labels before it app.kubernetes.io/version
 *   service.instance.id  NAMESPACE.POD.CONTAINER
 *   any attribute        annotations resource.opentelemetry.io/ATTRIBUTE, before the above
 *   k8s.*, container.*   what is known, and nothing else; container.id first
 *
 * container.name is what the runtime calls a container, which no pod says: left out.
 */
#ifndef SPANDREL_HOST_POD_FACTS_H
#define SPANDREL_HOST_POD_FACTS_H

#include "base/buf.h"
#include "host/pod.h"

struct pod_naming { /* the operator's wishes; borrowed */
	bool app_labels;		  /* --kube-app-labels */
	const char *const *labels; /* --kube-pod-label: globs of keys, to become k8s.pod.label.KEY */
	size_t n_labels;
};

/* service.name and service.namespace, which do not depend on the container. Borrows from the pod. */
struct slice pod_service_name(const struct pod *p, const struct pod_naming *naming);
struct slice pod_service_namespace(const struct pod *p);

/* *b is reset first. What does not fit into it is left out. */
void pod_facts(struct buf *b, const struct pod *p, const struct pod_container *c, const struct pod_naming *naming);

#endif
