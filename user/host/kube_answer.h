/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API server answers to a list, to a watch, and when it refuses (specs.md §11.1): the envelope around objects of a
 * kind (kube_kind.h). Fed as it comes; nothing is kept but the object in hand. Hostile input.
 */
#ifndef SPANDREL_HOST_KUBE_ANSWER_H
#define SPANDREL_HOST_KUBE_ANSWER_H

#include "host/kube_kind.h"

#define KUBE_VERSION_MAX 128		     /* a longer resourceVersion is an error */
#define KUBE_OBJECT_MAX	 (8 * 1024 * 1024)   /* bytes of one object or event */
#define KUBE_LIST_MAX	 (1024 * 1024 * 1024) /* bytes of a list, once inflated: a bound of time, not of memory */

enum kube_ask { KUBE_LIST, KUBE_WATCH, KUBE_REFUSAL };

/* A Status object: of a refusal, or of an ERROR event. */
struct kube_status {
	uint32_t code;	      /* 0: not said */
	uint32_t retry_after; /* s, 0: not said */
	bool too_large;	      /* "Too large resource version": a version from the future */
	char reason[64], message[200];
};

struct kube_answer;

/* kind: NULL for KUBE_REFUSAL. NULL without memory. */
struct kube_answer *kube_answer_new(enum kube_ask ask, const struct kube_kind *kind, void *arg);
/* A list that has not ended is given up; NULL is fine. */
void kube_answer_free(struct kube_answer *a);

/*
 * 0, or what no more can come after: -EPROTO (not what it should be), -E2BIG, -ENOMEM, -ECANCELED (an ERROR event: see
 * kube_answer_status()).
 */
int kube_answer_feed(struct kube_answer *a, struct slice data, uint64_t now);
/* Nothing more comes. A list takes effect now, if it is complete. 0 or -EPROTO. */
int kube_answer_end(struct kube_answer *a, uint64_t now);

/* The last resourceVersion that may be watched from; "" while there is none. */
const char *kube_answer_version(const struct kube_answer *a);
const struct kube_status *kube_answer_status(const struct kube_answer *a);

#endif
