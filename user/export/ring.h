/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which end point owns a trace: a consistent hash ring as the Collector's load-balancing exporter had it at first, 100 points
 * of 36,000 positions for each end point (its newer releases take more and probe). Agents agree without
 * talking: the same end points in any order give the same owners.
 */
#ifndef SPANDREL_EXPORT_RING_H
#define SPANDREL_EXPORT_RING_H

#include <stdint.h>

struct ring;

/* An end point's name on the ring is host:port of its URL (4317 when it has none), a socket's is the URL. 0 or -ENOMEM. */
int ring_new(struct ring **out, const char *const *urls, uint32_t n);
void ring_free(struct ring *r); /* NULL is fine */
uint32_t ring_owner(const struct ring *r, const uint8_t trace_id[16]); /* index into urls */

#endif
