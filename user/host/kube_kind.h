/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kind of object that the API client lists and watches is a row: where it is, which of its fields are read, and what becomes
 * of them. The envelope (lists, watch events, statuses) is kube_answer.h's; its states are below KUBE_FREE.
 */
#ifndef SPANDREL_HOST_KUBE_KIND_H
#define SPANDREL_HOST_KUBE_KIND_H

#include "host/json_path.h"

/* States of host/json_path.h that rules of a kind may lead from. */
enum { KUBE_OBJECT = 2, KUBE_META = 3, KUBE_FREE = 32 };

struct kube_kind {
	const char *name; /* plural, for counters and messages */
	const char *path; /* of the collection, all namespaces */
	bool by_node;	  /* only those of this node: field selector spec.nodeName */
	struct json_rules rules;

	/* An object comes: forget the one before. Then its fields, in any order, until put or remove. */
	void (*begin)(void *arg);
	void (*open)(void *arg, uint8_t state, struct slice key);
	void (*close)(void *arg, uint8_t state);
	void (*value)(void *arg, uint8_t state, struct slice key, const struct json_value *v);
	/* It is complete. version: its resourceVersion, good for equality only. Losses are counted by the kind. */
	void (*put)(void *arg, struct slice version, uint64_t now);
	void (*remove)(void *arg, uint64_t now);
	/* What is put between begin and end replaces everything, at the end and at once. */
	void (*list_begin)(void *arg);
	void (*list_end)(void *arg, uint64_t now);
	void (*list_abort)(void *arg);
};

#endif
