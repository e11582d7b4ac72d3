/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CURLOPT_PRIVATE of every easy handle on the loop's multi handle points to: that handle has one list of completions
 * for all, so whoever reads it must know whom to tell.
 */
#ifndef SPANDREL_BASE_TRANSFER_H
#define SPANDREL_BASE_TRANSFER_H

#include <stdint.h>

struct transfer {
	/* result: a CURLcode; now: boot time. May add and remove easy handles. */
	void (*done)(struct transfer *t, int result, uint64_t now);
};

#endif
