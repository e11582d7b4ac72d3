// SPDX-License-Identifier: Apache-2.0
#include "trace/threshold.h"

#include <math.h>

uint64_t threshold_of(double ratio)
{
	if (!(ratio > 0))
		return THRESHOLD_NOTHING;
	/* 2^56 (1 − ratio), without the bits that 1 − ratio would lose */
	return ratio >= 1 ? 0 : THRESHOLD_NOTHING - (uint64_t)llround(ldexp(ratio, 56));
}

void threshold_text(uint64_t t, char to[THRESHOLD_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	do {
		to[n++] = digits[t >> 52 & 15];
		t = t << 4 & (THRESHOLD_NOTHING - 1);
	} while (t);
	to[n] = '\0';
}
