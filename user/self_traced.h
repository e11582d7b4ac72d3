/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that send traces of their own by OTLP (otlp_call.h) are not traced twice, unless processes are selected one by one
 * (--pid, --exe): then just those are wanted, traced already or not.
 *
 *  - A request that carries traces gives no span, at neither end: a tracer that followed those would never come to an end.
 *  - A program that was seen to send such requests and to receive none is traced by an SDK of its own: from then on none of its
 *    requests gives a span. One that receives them too hands on what others send (a Collector, an agent, a proxy): its other
 *    requests are told as ever.
 *
 * Both are counted, requests_dropped{reason="self_traced"}, and stay links in the chain (cause.h): who calls such a program and
 * whom it calls are joined by the context in its headers, or, where it sends none, with each other.
 *
 * What was seen travels as EV_OTLP records, told behind the event that showed it: a replay knows it as late as the live run did,
 * and does not look for itself.
 */
#ifndef SPANDREL_SELF_TRACED_H
#define SPANDREL_SELF_TRACED_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "event.h"

#define SELF_TRACED_NEWS 8 /* of one event; what is beyond is seen again */

struct exchange;
struct host;

struct self_traced {
	struct host *host;
	bool looks; /* live, and processes are not selected one by one */
	struct ev_otlp news[SELF_TRACED_NEWS];
	size_t n_news;
};

void self_traced_configure(struct self_traced *t, const struct config *c, bool live);
/* An exchange begins. */
void self_traced_look(struct self_traced *t, const struct exchange *x);
/* Takes what was seen, one by one, behind the event: false when there is no more. */
bool self_traced_next(struct self_traced *t, struct ev_otlp *out);
/* No span of this one? */
bool self_traced_hides(const struct self_traced *t, const struct exchange *x);

#endif
