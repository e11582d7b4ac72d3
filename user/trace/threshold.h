/* SPDX-License-Identifier: Apache-2.0 */
/* Consistent probability (OpenTelemetry, TraceState: Probability Sampling): a ratio as the 56-bit T of "keep iff R >= T". */
#ifndef SPANDREL_TRACE_THRESHOLD_H
#define SPANDREL_TRACE_THRESHOLD_H

#include <stddef.h>
#include <stdint.h>

#define THRESHOLD_NOTHING (1ULL << 56) /* above every R */
#define THRESHOLD_TEXT 15	       /* bytes, with the terminator */

uint64_t threshold_of(double ratio); /* anything that is not above 0 keeps nothing, above 1 all */
/* As the tracestate wants it, without trailing zeros. T below 2^56. */
void threshold_text(uint64_t t, char to[THRESHOLD_TEXT]);

#endif
