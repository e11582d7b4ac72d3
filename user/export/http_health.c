// SPDX-License-Identifier: Apache-2.0
#include "export/http_health.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/scope.h"

#define RETRY_FIRST (1 * NS_PER_S)
#define RETRY_CAP (10 * NS_PER_S)

void http_health_init(struct http_health *h, uint64_t seed)
{
	*h = (struct http_health){ 0 };
	rng_seed(&h->rng, clock_boot(), (uint64_t)getpid() << 16 | seed);
}

uint64_t http_health_backoff(struct http_health *h, uint32_t failures)
{
	uint64_t whole = RETRY_FIRST << MIN(failures - 1, 10u);

	whole = MIN(whole, RETRY_CAP);
	return whole / 2 + rng_next(&h->rng) % (whole / 2 + 1);
}

void http_health_failed(struct http_health *h, uint32_t epoch, uint64_t told, uint64_t now)
{
	h->down = true;
	if (epoch == h->epoch) {
		h->epoch++;
		h->failures++;
		h->gate = now + (told ? told : http_health_backoff(h, h->failures));
		h->told = told != 0;
	} else if (told && now + told > h->gate) {
		h->gate = now + told;
		h->told = true;
	}
}

void http_health_answered(struct http_health *h)
{
	h->down = h->told = false;
	h->failures = 0;
	h->gate = 0;
}
