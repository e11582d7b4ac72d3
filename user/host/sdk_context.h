/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process context that an OpenTelemetry SDK publishes in its own memory (OTEP 4719; specs.md §1.7): one mapping named
 * OTEL_CTX whose header points at a ProcessContext in protobuf. What it says is that program's word, so anything: only
 * memory that no file is behind is read (a page of a file may come from a server that never answers), of bounded size.
 */
#ifndef SPANDREL_HOST_SDK_CONTEXT_H
#define SPANDREL_HOST_SDK_CONTEXT_H

#include "base/attr.h"
#include "base/buf.h"
#include "host/proc.h"

#define SDK_CONTEXT_MAX	  (16 * 1024) /* bytes of a payload; a larger one is not read */
#define SDK_CONTEXT_ATTRS 128	      /* more are left out */

/* Appends the payload. 0, -ENOENT when nothing is published, -EAGAIN while it is written, else what is wrong with it. */
int sdk_context_read(const struct proc *p, struct buf *payload);
/* The attributes of its resource: texts and integers, borrowed; others are left out. Stops at what does not parse. */
void sdk_context_each(struct slice payload, void (*fn)(void *arg, const struct attr *a), void *arg);

#endif
