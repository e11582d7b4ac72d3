// SPDX-License-Identifier: Apache-2.0
#include "trace/rate.h"

#include "base/clock.h"
#include "base/scope.h"

#define RATE_MAX 1000000000ULL /* a nanosecond each */

bool rate_parse(struct slice s, struct rate *out)
{
	struct slice number;
	uint64_t n, per;

	if (!slice_split(&s, '/', &number) || !slice_u64(number, &n) || n > RATE_MAX)
		return false;
	if (slice_eq(s, SLICE("s")))
		per = NS_PER_S;
	else if (slice_eq(s, SLICE("m")))
		per = 60 * NS_PER_S;
	else
		return false;
	*out = (struct rate){ .limited = true, .n = n, .per = per };
	return true;
}

bool rate_admit(struct rate *r, uint64_t now)
{
	uint64_t cost;

	if (!r->limited)
		return true;
	if (!r->n)
		return false;
	cost = r->per / r->n;
	if (r->paid > now && r->paid - now > r->per - cost)
		return false;
	r->paid = MAX(r->paid, now) + cost;
	return true;
}
