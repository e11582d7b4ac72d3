/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local tail sampling: the spans of a trace wait here until its local roots (requests with nothing of this host above them)
 * have ended and all that ended below them is here, and are decided together (sample.h). What is still going on below when
 * the last root has ended is waited for TAIL_LINGER ns. Bounds: `timeout` after the first span came, max_spans held,
 * max_traces known, the pool of the spans almost used up; at a bound the oldest is decided with what it has shown, counted in traces_decided_early. Spans that
 * come after the decision follow it, but an outcome still adds; a new local root in a decided trace starts anew.
 *
 * Time is that of the spans and of tail_tick(). tail_expect() and tail_settle() are cause_sink's, in pairs; where one of a
 * pair was not told (the sampler was not local then) or its trace was forgotten, a trace is decided early, never late.
 */
#ifndef SPANDREL_TRACE_TAIL_H
#define SPANDREL_TRACE_TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "trace/sample.h"

#define TAIL_LINGER 1000000000ULL

struct span;
struct tail;

struct tail_config {
	struct sampler *sampler; /* borrowed; may be configured anew at any time */
	const struct arena_pool *pool; /* of the spans */
	uint64_t timeout;	 /* ns */
	uint32_t max_spans, max_traces;
	uint64_t seed;		 /* of the hash: trace ids come from outside */
};

struct tail_sink {
	void (*decided)(void *arg, struct span *s, const struct sample_verdict *v); /* takes the span */
	void *arg;
};

struct tail *tail_new(const struct tail_config *c, const struct tail_sink *out); /* NULL without memory */
void tail_free(struct tail *t); /* decides nothing: call tail_flush first */

void tail_expect(struct tail *t, const uint8_t trace_id[16], bool root);
void tail_settle(struct tail *t, const uint8_t trace_id[16], bool root);
void tail_add(struct tail *t, struct span *s, uint64_t now); /* takes */
void tail_tick(struct tail *t, uint64_t now);
void tail_flush(struct tail *t); /* decides everything that waits with what is known */

#endif
