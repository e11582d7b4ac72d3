/* SPDX-License-Identifier: Apache-2.0 */
/* What is exported. A span owns its exchange (and so all strings); span_free() releases both. Times: ns since 1970. */
#ifndef SPANDREL_TRACE_SPAN_H
#define SPANDREL_TRACE_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "conn/exchange.h"
#include "proto/describe.h"

enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_CLIENT = 3, SPAN_PRODUCER = 4, SPAN_CONSUMER = 5 };
struct resource; /* host/resource.h */

struct span {
	struct list link;
	uint8_t trace_id[16], span_id[8];
	uint8_t parent_id[8]; /* all zero: root */
	uint32_t flags;	      /* OTLP Span.flags: trace flags | 0x100 | 0x200 when the parent is remote */
	uint8_t kind;	      /* enum span_kind */
	uint8_t origin;	      /* enum sampled: what the context said that the trace came with */
	struct slice trace_state; /* that context's; ours once the span is kept */
	uint64_t start, end;
	struct description d; /* name, status, attributes */
	const struct resource *resource; /* referenced through the exchange */
	struct exchange *exchange;
	uint32_t refs; /* exporters that still hold it */
	bool unsampled; /* not kept, and counted as that: only for exporters that take every request */
	bool acked;    /* one of them delivered it */
	int drop;      /* enum stat_id: first reason one of them gave up, -1 */
	bool spooled;  /* on disk for one of them, which decides what becomes of it */
	struct parcel *parcel; /* it came from there (export/backlog.h) and has no exchange; NULL */
};

/*
 * Makes the span of a placed exchange. Takes x. clock_offset: real time − boot time. NULL without memory
 * (x is freed and counted as a drop then). Adds what is not the protocol's to say: spandrel.link, spandrel.truncated.
 */
struct placement;
struct span *span_build(struct exchange *x, const struct placement *p, int64_t clock_offset, const struct describe_config *config);
/*
 * A client's span says what the service at the other end is called (empty: nothing is said). Before span_keep(). service.peer.* are for
 * operations that access a remote service: a server's span has none.
 */
void span_name_peer(struct span *s, struct slice name, struct slice space);
/* It was kept: the tracestate says with what probability. */
struct sample_verdict;
void span_keep(struct span *s, const struct sample_verdict *v);
void span_free(struct span *s); /* with its exchange */

#endif
