/* SPDX-License-Identifier: Apache-2.0 */
/* Services (core/v1) and EndpointSlices (discovery.k8s.io/v1) as the API server writes them, into a store. Hostile input. */
#ifndef SPANDREL_HOST_SERVICE_JSON_H
#define SPANDREL_HOST_SERVICE_JSON_H

#include "host/kube_kind.h"
#include "host/service.h"

struct service_reader; /* what the functions of both kinds take */

extern const struct kube_kind kube_kind_services, kube_kind_slices;

struct service_reader *service_reader_new(struct services *to, enum service_source source); /* NULL without memory */
void service_reader_free(struct service_reader *r); /* NULL is fine */

#endif
