/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program's environment says about its identity: OTEL_SERVICE_NAME and
 * OTEL_RESOURCE_ATTRIBUTES, nothing else of it is looked at. OpenTelemetry's rules: a list
 * `key=value,key=value` with percent-encoding; any error drops the whole list.
 */
#ifndef SPANDREL_HOST_ENVIRON_H
#define SPANDREL_HOST_ENVIRON_H

#include "base/slice.h"

#define ENVIRON_MAX   (128 * 1024) /* bytes of an environment that are read */
#define ENVIRON_ATTRS 64	   /* attributes in the list; more is an error of the list */
#define ENVIRON_LIST  (8 * 1024)   /* bytes of the list; more is an error of it */

/* The value of a variable in NUL-separated text; empty when it is not there, empty or cut off. The
 * first one counts. */
struct slice environ_get(struct slice env, struct slice name);

/*
 * Calls fn for each attribute of the list, decoded; only when the whole list is valid. `room` takes
 * the decoded bytes and holds list.n of them. 0, or -EINVAL and fn was not called.
 */
int environ_attributes(struct slice list, char *room,
		       void (*fn)(void *arg, struct slice key, struct slice value), void *arg);

#endif
