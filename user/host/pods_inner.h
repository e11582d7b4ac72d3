/* SPDX-License-Identifier: Apache-2.0 */
/* The store of pods, for its own files: what it knows of a pod is an entry, which is in three indexes at once. */
#ifndef SPANDREL_HOST_PODS_INNER_H
#define SPANDREL_HOST_PODS_INNER_H

#include "base/table.h"
#include "host/pod.h"

#define PODS_KEYS_MAX (POD_CONTAINERS_MAX + POD_IPS_MAX + 2) /* of one pod */
#define PODS_LONG_AGO 1 /* released_at of a pod that had ended when it was first heard of: its addresses are others' */

/* One way to find a pod; those of one hash are chained. */
struct key {
	struct key *next;
	struct entry *entry;
	uint64_t hash;
};

struct entry {
	struct list link; /* of s->ended, oldest first; else linked to itself */
	struct pod *pod;
	uint32_t slot; /* in s->all */
	bool listed;   /* by the list that has just been read */
	uint32_t wish; /* s->wish when it was read */
	uint16_t n_keys;
	struct key keys[];
};

struct pods {
	uint32_t max_pods;
	size_t max_bytes, bytes; /* of pods: in entries and staged */
	char **labels;		 /* globs */
	size_t n_labels;
	uint32_t wish; /* which labels: counts the changes */
	struct table index; /* hash → struct key */
	struct entry **all;
	uint32_t n_all, n_ended;
	struct list ended;
	struct pod **staged; /* by the list that is being read; NULL: none is */
	uint32_t n_staged;
	size_t staged_bytes; /* among bytes */
	struct list watchers;
};

/* By container, uid, address. 0 or -errno, and it is in none of them. */
int pods_index(struct pods *s, struct entry *e);
void pods_unindex(struct pods *s, struct entry *e);
struct entry *pods_find(const struct pods *s, struct slice uid); /* the one whose uid it is, or NULL */

#endif
