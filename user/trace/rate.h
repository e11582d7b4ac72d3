/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At most n in `per` ns, and at most n at once: in any time t no more than n (t / per + 1). As one number, the time by which
 * what was admitted is paid for (generic cell rate algorithm); time is the caller's and never goes back.
 */
#ifndef SPANDREL_TRACE_RATE_H
#define SPANDREL_TRACE_RATE_H

#include "base/slice.h"

struct rate {
	bool limited; /* else everything is admitted */
	uint64_t n, per;
	uint64_t paid; /* what was admitted is paid for by then */
};

/* "100/s", "5/m", "0/s": nothing. False on anything else; *out untouched then. */
bool rate_parse(struct slice s, struct rate *out);
bool rate_admit(struct rate *r, uint64_t now);

#endif
