/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One JSON object a line and request, for joining a program's own log with traces by trace_id. What it says is
 * taken from the span's attributes, which are scrubbed; what the span does not have is left out.
 */
#ifndef SPANDREL_EXPORT_ACCESS_LOG_H
#define SPANDREL_EXPORT_ACCESS_LOG_H

#include <stdint.h>

#include "base/buf.h"
#include "trace/span.h"

/* Appends the lines. 0, -EMSGSIZE when `out` is too small, -ENOMEM; `out` keeps what it had. */
int access_log_encode(struct span *const *spans, uint32_t n, struct buf *out);

#endif
