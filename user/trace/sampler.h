/* SPDX-License-Identifier: Apache-2.0 */
/* Private to sample*.c: the configuration of sampling in force. */
#ifndef SPANDREL_TRACE_SAMPLER_H
#define SPANDREL_TRACE_SAMPLER_H

#include "trace/rule.h"
#include "trace/sample.h"

struct sampler {
	uint64_t threshold; /* of --sample-ratio */
	bool ignore_parent, keep_errors;
	uint64_t keep_slower_than;
	struct rate rate;
	struct rule *rules; /* the temporary ones first, the newest before all; there is room for SAMPLE_TEMPORARY_MAX of them */
	size_t n_rules, n_temporary;
};

#endif
