/* SPDX-License-Identifier: Apache-2.0 */
/* A batch's spans by resource: groups in order of first sight, spans in the order they came. */
#ifndef SPANDREL_EXPORT_GROUP_H
#define SPANDREL_EXPORT_GROUP_H

#include <stdint.h>

#include "trace/span.h"

#define GROUP_END UINT32_MAX

struct group {
	const struct resource *resource; /* may be NULL */
	uint32_t first, last;		 /* index of a span; groups_next() gives the one after */
	uint32_t n;
};

struct groups {
	struct group *group;
	uint32_t n;
	uint32_t *next;	  /* NULL: one group of all spans in order */
	struct group one; /* saves the allocation in the usual case */
	void *memory;
};

/* 0 or -ENOMEM. */
int groups_init(struct groups *g, struct span *const *spans, uint32_t n);
void groups_fini(struct groups *g);

static inline uint32_t groups_next(const struct groups *g, const struct group *group, uint32_t i)
{
	if (i == group->last)
		return GROUP_END;
	return g->next ? g->next[i] : i + 1;
}

#endif
