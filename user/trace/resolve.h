/* SPDX-License-Identifier: Apache-2.0 */
/* Private to cause: the decision about an exchange that waits for nothing any more, and what it leaves to those below. */
#ifndef SPANDREL_TRACE_RESOLVE_H
#define SPANDREL_TRACE_RESOLVE_H

#include "trace/node.h"

/* Fills *p, whose origin lives in the node, and counts the link. */
void node_resolve(struct node *n, struct rng *rng, struct placement *p);
/* What the placement leaves to a node below, which wakes up. */
void node_bequeath(const struct placement *p, struct node *child, struct list *ready);

#endif
