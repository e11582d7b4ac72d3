/* SPDX-License-Identifier: Apache-2.0 */
/* When an end point that has failed may be asked again: a back-off that grows from 1 s to 10 s, half of it by chance, or what the server named. */
#ifndef SPANDREL_EXPORT_HTTP_HEALTH_H
#define SPANDREL_EXPORT_HTTP_HEALTH_H

#include <stdbool.h>

#include "base/rng.h"

struct http_health {
	bool down;
	bool told;	   /* the server named the gate */
	uint32_t failures; /* in a row; those under way together count once */
	uint32_t epoch;	   /* of failures; a request remembers it from its start */
	uint64_t gate;	   /* nothing is sent before */
	struct rng rng;
};

void http_health_init(struct http_health *h, uint64_t seed);
/* After so many failures, 1 or more: ns. */
uint64_t http_health_backoff(struct http_health *h, uint32_t failures);
/* A request that began in `epoch` failed; told: ns that the server asked for, 0 when it did not. */
void http_health_failed(struct http_health *h, uint32_t epoch, uint64_t told, uint64_t now);
void http_health_answered(struct http_health *h);

#endif
