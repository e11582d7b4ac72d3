/* SPDX-License-Identifier: Apache-2.0 */
/* The way back from otlp_encode(): an ExportTraceServiceRequest as spans, for what was on disk meanwhile. */
#ifndef SPANDREL_EXPORT_OTLP_DECODE_H
#define SPANDREL_EXPORT_OTLP_DECODE_H

#include "base/arena.h"
#include "trace/span.h"

struct otlp_decoded {
	struct span *spans; /* n of them, in order, without an exchange: their texts are borrows of the message */
	uint32_t n;
};

#define OTLP_RESOURCE_ID (1ULL << 63) /* no resource of a live process has this bit in its id */

/*
 * All in the arena, resources too, numbered from *next_id on. Fields that are not known are passed over.
 * 0, -EBADMSG when it is no such message or has not exactly n spans, -ENOMEM.
 */
int otlp_decode(struct slice message, uint32_t n, struct arena *arena, uint64_t *next_id,
		struct otlp_decoded *out);

#endif
