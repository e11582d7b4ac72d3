/* SPDX-License-Identifier: Apache-2.0 */
/* The pages of --listen: what a live run says of itself. Everything here is borrowed. */
#ifndef SPANDREL_STATUS_H
#define SPANDREL_STATUS_H

#include <stdbool.h>

#include "listen.h"

struct kube_setup;
struct pipeline;
struct probe;

struct status {
	struct probe *probe;
	struct pipeline *pipeline;
	const struct kube_setup *kube;
	double start;	     /* usage_start(), */
	uint64_t began;	     /* likewise by the boot clock, ns */
	uint64_t wait;	     /* ns: pods that are not known by then are no reason to be unready */
	bool ending;  /* nothing is captured any more, and the gauges stand for how it ended */
};

/* For struct listen_pages; arg: a struct status. */
unsigned status_page(void *arg, enum listen_page page, enum metrics_format format, struct buf *body);

#endif
