/* SPDX-License-Identifier: Apache-2.0 */
/* Content-Encoding: gzip. */
#ifndef SPANDREL_EXPORT_GZIP_H
#define SPANDREL_EXPORT_GZIP_H

#include "base/buf.h"

/* Appends `in` as one gzip member. 0, -ENOSPC, -ENOMEM. */
int gzip_encode(struct slice in, struct buf *out);

#endif
