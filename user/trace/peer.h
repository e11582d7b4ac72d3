/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ends of one connection on this host. Private to cause. TCP: the end points swapped and the same sequence number
 * of the request's first byte (and one network namespace, if the address is a loopback one); UNIX: the keys of
 * both sockets crossed and the same offset. Exactly one end of each kind, or none.
 *
 * A send is seen when it returns, so the other end may be seen later: an exchange that has ended waits PEER_GRACE for it
 * where it is likely. A connection whose first exchange waited in vain does not wait again.
 */
#ifndef SPANDREL_TRACE_PEER_H
#define SPANDREL_TRACE_PEER_H

#include "base/table.h"
#include "trace/node.h"

#define PEER_GRACE (200 * 1000000ULL)
#define PEER_MEMORY 8192 /* power of two: connections remembered, the newer in a slot wins */

struct peers {
	struct table ends; /* request's first byte → ring of meet.ring */
	uint64_t *memory;  /* keys of what was seen */
	struct list *ready;
};

int peers_init(struct peers *p, struct list *ready);
void peers_fini(struct peers *p);

/* Links the server's end to the client's when both are here. */
void peer_begin(struct peers *p, struct node *n);
/* Is the other end likely to come yet? */
bool peer_awaited(const struct peers *p, const struct node *n);
/* It did not come. */
void peer_missed(struct peers *p, const struct node *n);
void peer_forget(struct peers *p, struct node *n);

#endif
