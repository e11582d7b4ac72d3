/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ends of one connection on this host. Private to cause. TCP: the end points swapped and the same sequence number
 * of the request's first byte (and one network namespace, if the address is a loopback one); UNIX: the keys of
 * both sockets crossed and the same offset; TLS: the same of its socket, and the same offset in the plaintext. Of a stream the same id instead, where one end does not know its position.
 * Exactly one end of each kind, or none.
 *
 * A send is seen when it returns, so the other end may be seen later: an exchange that has ended waits PEER_GRACE for it
 * where it is likely, but no longer than until the next request of its connection (whoever sends that one has
 * returned from sending the first). Who waited in vain does not wait again: a server on that connection, a client of that address.
 */
#ifndef SPANDREL_TRACE_PEER_H
#define SPANDREL_TRACE_PEER_H

#include "base/table.h"
#include "trace/node.h"

#define PEER_GRACE (200 * 1000000ULL)
#define PEER_MEMORY 8192 /* power of two: connections remembered, the newer in a slot wins */

struct peers {
	struct table ends; /* request's first byte → ring of meet.ring */
	struct table awaiting; /* connection → the last node of it in `grace` */
	struct list grace;     /* hold.turn; the first to expire first */
	uint64_t *memory;      /* keys of what was seen */
	struct list *ready;
};

int peers_init(struct peers *p, struct list *ready);
void peers_fini(struct peers *p);

/* Links the server's end to the client's when both are here. */
void peer_begin(struct peers *p, struct node *n);
/* n has ended: waits for the other end if that is likely to come yet. */
void peer_await(struct peers *p, struct node *n, uint64_t now);
/* Ends the waits that are over. */
void peer_expire(struct peers *p, uint64_t now);
/* Ends this one, whatever comes. */
void peer_give_up(struct peers *p, struct node *n);
void peer_forget(struct peers *p, struct node *n);

#endif
