/* SPDX-License-Identifier: Apache-2.0 */
/* Private to cause: the decision about an exchange that waits for nothing any more, and what it leaves to those below. */
#ifndef SPANDREL_TRACE_RESOLVE_H
#define SPANDREL_TRACE_RESOLVE_H

#include "trace/node.h"

/* Fills *p, whose origin lives in the exchange's arena, counts the link, and wakes the nodes below. */
void node_resolve(struct node *n, struct rng *rng, struct placement *p, struct list *ready);

#endif
