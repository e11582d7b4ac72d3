/* SPDX-License-Identifier: Apache-2.0 */
/* Trailers of gRPC-Web that come compressed (as connect-go sends them to clients that take gzip). */
#ifndef SPANDREL_PROTO_GRPC_INFLATE_H
#define SPANDREL_PROTO_GRPC_INFLATE_H

#include "base/slice.h"

/*
 * Inflates a whole gzip stream, at most `max` bytes of it, and gives what comes out piece by piece; pieces are borrowed. 0,
 * -EPROTO for what is no gzip or ends early (pieces before the fault were given), -E2BIG, -ENOMEM.
 */
int grpc_inflate(struct slice in, size_t max, void (*piece)(void *arg, struct slice s), void *arg);

#endif
