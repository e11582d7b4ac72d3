/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between cause and span: exchanges whose process is in a container that nobody can name yet (RESOURCE_POD_AWAITED) wait here
 * for it, in the order they came, so that rules see the service's name and every span carries its pod. How long is up to
 * host, which ends the waiting by itself (--kube-wait). Their traces are not complete meanwhile, and the sink is told so.
 * Bounds: `max` exchanges, and the pool that they are in: at one of them nobody waits any longer, counted in kube_waits_cut.
 */
#ifndef SPANDREL_TRACE_AWAIT_H
#define SPANDREL_TRACE_AWAIT_H

#include "base/arena.h"
#include "trace/cause.h"

struct await;

struct await_config {
	uint32_t max;
	const struct arena_pool *pool; /* of the exchanges */
};

struct await_sink {
	void (*known)(void *arg, struct exchange *x, const struct placement *p); /* takes x */
	void (*crowded)(void *arg); /* no resource may await anything when it returns */
	/* As cause_sink has them; root. */
	void (*expect)(void *arg, const uint8_t trace_id[16], bool root);
	void (*settle)(void *arg, const uint8_t trace_id[16], bool root);
	void *arg;
};

struct await *await_new(const struct await_config *c, const struct await_sink *out); /* NULL without memory */
void await_free(struct await *a); /* hands out nothing: call await_flush first */

/* Takes x. It goes on at once unless its resource awaits something. */
void await_add(struct await *a, struct exchange *x, const struct placement *p);
/* Something may have become known, or late: those that need not wait go on. */
void await_turn(struct await *a);
void await_flush(struct await *a); /* all go on */

#endif
