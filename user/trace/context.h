/* SPDX-License-Identifier: Apache-2.0 */
/* Trace context from a message's carrier: W3C Trace Context, else B3 single, else B3 multi. Pure. */
#ifndef SPANDREL_TRACE_CONTEXT_H
#define SPANDREL_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "proto/proto.h"

enum sampled { SAMPLED_UNKNOWN, SAMPLED_NO, SAMPLED_YES };

struct trace_context {
	bool valid;		/* trace_id (and span_id) were given */
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t flags;		/* W3C trace-flags, known bits only (0x01, 0x02) */
	uint8_t sampled;	/* enum sampled; B3 may defer, or decide without ids */
	struct slice tracestate; /* normalised list, or empty */
};

/* *out is always set. tracestate is copied into the arena when it must be joined. Returns false (and valid = false)
 * when a context was there and all that was there was malformed, true otherwise. */
bool context_parse(const struct carrier *c, struct arena *arena, struct trace_context *out);
bool context_equal(const struct trace_context *a, const struct trace_context *b); /* trace and span id */

/* Any version but ff; white space around is not part of it. 0 or -EINVAL. */
int traceparent_parse(struct slice s, struct trace_context *out);
/* 0 with *out a normalised list (≤ 32 members) in the arena or borrowed, or -EINVAL, -ENOMEM: discard the whole. */
int tracestate_parse(const struct slice *lines, size_t n, struct arena *arena, struct slice *out);
/*
 * Puts or replaces the `ot` member's th (OpenTelemetry, TraceState handling) at the front; an empty th takes it out. Other members and ot sub-keys
 * stay, as far as 32 members and 256 characters allow. SLICE_NONE without memory.
 */
struct slice tracestate_with_th(struct slice state, struct slice th, struct arena *arena);
/* Text of a sub-key of the first `ot` member, borrowed: 0, -ENOENT, or -EINVAL when it is there twice. */
int tracestate_ot(struct slice state, struct slice name, struct slice *out);
/* rv of the `ot` member: 14 hex digits, -ENOENT, or -EINVAL. */
int tracestate_rv(struct slice state, uint64_t *rv);
int tracestate_th(struct slice state, uint64_t *threshold); /* 56-bit; -ENOENT, -EINVAL */

#endif
