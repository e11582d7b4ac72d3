/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --container and --kube-…: is this container, this pod selected? Kinds are AND-ed, alternatives of one kind OR-ed, an exclusion wins.
 * What is not known yet is no reason to select, nor to say no for good: then the answer is open.
 */
#ifndef SPANDREL_HOST_SELECTOR_H
#define SPANDREL_HOST_SELECTOR_H

#include <stdbool.h>

#include "host/pod.h"

enum selector_kind { SELECT_CONTAINER, SELECT_SPACE, SELECT_POD, SELECT_LABEL, SELECT_KINDS };

/* NULL-terminated lists of globs, or NULL; of labels K=V, where V is a glob. Borrowed. */
struct selector_lists {
	const char *const *want[SELECT_KINDS], *const *not[SELECT_KINDS];
};

struct selector;

struct selector *selector_new(const struct selector_lists *lists); /* copies; NULL without memory */
void selector_free(struct selector *s);
bool selector_wants(const struct selector *s, enum selector_kind kind); /* in either form */
bool selector_excludes(const struct selector *s);

struct subject {
	const struct pod *pod;			 /* NULL: not known, or there is none */
	const struct pod_container *container;	 /* of the pod; NULL: not known, or the pod as a whole is meant */
	struct slice id;			 /* of the container; empty: the pod as a whole */
	bool in_pod;				 /* it is one of Kubernetes, or in one */
	bool nameless;				 /* nobody will ever say what pods are called here: there is no Kubernetes to ask */
};

enum choice {
	CHOICE_OPEN,
	CHOICE_NO,
	CHOICE_YES,
	CHOICE_EXCLUDED,
};

/*
 * A container is called what its pod calls it; one that is in no pod, or whose pod's names nobody knows, goes by the beginning of its
 * id. Without a wanted kind (exclusions alone) what is not excluded is CHOICE_NO.
 */
enum choice selector_choose(const struct selector *s, const struct subject *of);

#endif
