/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the other end of a client's connection is called, by its address (specs.md §11.4): pods of this node by the name that the
 * pod gives its programs (pod_facts.h), or, where the process that answered is seen here, by its own (peer_name_own()); with
 * --kube-services also a Service by ClusterIP and port, which is what a client's socket sees before packets are rewritten, and what
 * stands behind it on other nodes. Never loopback, never the host's network: there many share an address. Two candidates are none.
 *
 * For replay each answer travels as an EV_NAME record ahead of the event that brought it about.
 */
#ifndef SPANDREL_HOST_ADDRESS_BOOK_H
#define SPANDREL_HOST_ADDRESS_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"
#include "host/pod_facts.h"

struct services;

#define BOOK_ANSWERS 16384 /* records that a replay keeps; beyond it the oldest go: they were asked for long ago */

struct address_book_config {
	const struct pods *pods;	 /* NULL: there are none, as in a replay */
	const struct services *services; /* NULL: likewise */
	struct pod_naming naming;	 /* borrowed */
	/* Called with an EV_NAME record for each answer; for --record. May be NULL. */
	void (*on_name)(void *arg, const struct ev_head *record);
	void *arg;
};

struct address_book;

struct address_book *address_book_new(const struct address_book_config *c); /* NULL without memory */
void address_book_free(struct address_book *b); /* NULL is fine; before the stores */
void address_book_event(struct address_book *b, const struct ev_name *ev); /* of a recording */

struct address {
	const uint8_t *addr; /* 16 bytes, IPv4 mapped */
	uint16_t port;
	uint64_t at; /* boot time: an address may be another's later */
};

struct peer_name {
	struct slice name, space; /* of the service, and its namespace; borrowed until the next call */
};

bool address_book_find(struct address_book *b, const struct address *a, struct peer_name *out);
struct resource;
/* Where the process at the other end is known, and in a pod: what its own spans say. Else *out stays as it is. */
void peer_name_own(const struct resource *r, struct peer_name *out);

#endif
