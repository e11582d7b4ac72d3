/* SPDX-License-Identifier: Apache-2.0 */
/* Pods as the API server writes them (core/v1), field by field into a store. Hostile input; memory of one pod. */
#ifndef SPANDREL_HOST_POD_JSON_H
#define SPANDREL_HOST_POD_JSON_H

#include "host/kube_kind.h"
#include "host/pod.h"

struct pod_reader; /* what kube_kind_pods' functions take */

extern const struct kube_kind kube_kind_pods;

struct pod_reader *pod_reader_new(struct pods *to); /* NULL without memory */
void pod_reader_free(struct pod_reader *r);	    /* NULL is fine */

#endif
