/* SPDX-License-Identifier: Apache-2.0 */
/* Times as Kubernetes writes them: RFC 3339 in UTC, "2026-11-21T18:00:00Z", a fraction is dropped. */
#ifndef SPANDREL_HOST_TIMESTAMP_H
#define SPANDREL_HOST_TIMESTAMP_H

#include "base/slice.h"

#define TIMESTAMP_TEXT 20

/* Seconds since 1970; 0: not such a time. */
int64_t timestamp_parse(struct slice text);
/* Writes TIMESTAMP_TEXT characters, no terminator; at must be what timestamp_parse() gave. */
void timestamp_put(char *to, int64_t at);

#endif
