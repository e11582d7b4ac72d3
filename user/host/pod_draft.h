/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod while it is read: texts go to one run of bytes, and what is kept of it in the end is copied into a block of its size.
 * What passes a bound is cut or left out, and counted.
 */
#ifndef SPANDREL_HOST_POD_DRAFT_H
#define SPANDREL_HOST_POD_DRAFT_H

#include "host/pod.h"

#define POD_NAME_MAX  253 /* of names, uids, ids: a longer one is none */
#define POD_IMAGE_MAX 1024

struct pod_draft {
	struct pod pod; /* its texts are in `text`, its lists below */
	struct pod_container containers[POD_CONTAINERS_MAX];
	struct pod_pair labels[POD_LABELS_MAX], annotations[POD_LABELS_MAX];
	uint32_t n_text;
	char text[POD_BYTES_MAX / 2];
};

/* A container as one of the lists names it. */
struct pod_part {
	struct pod_container c;
	struct slice former, former_runtime;
	bool spec; /* of the specification, else of the status */
};

void draft_begin(struct pod_draft *d);
/* A copy of the text, made fit (host/text.h); none when it is longer than max. */
struct slice draft_text(struct pod_draft *d, struct slice s, size_t max);
/* Adds a label or an annotation to one of the draft's lists; its value may be cut. */
void draft_pair(struct pod_draft *d, struct pod_pair *v, uint16_t *n, struct slice key, struct slice value);
void draft_ip(struct pod_draft *d, struct slice text); /* what is no address is passed over */
/* Specification and status name the same containers; either may come first. */
void draft_container(struct pod_draft *d, const struct pod_part *t);
struct pod *draft_pack(const struct pod_draft *d); /* one reference; NULL without memory */

#endif
