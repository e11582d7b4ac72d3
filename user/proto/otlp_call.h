/* SPDX-License-Identifier: Apache-2.0 */
/* Which requests carry traces by OTLP: POST to a path that ends in /v1/traces, or the method of gRPC. Pure. */
#ifndef SPANDREL_PROTO_OTLP_CALL_H
#define SPANDREL_PROTO_OTLP_CALL_H

#include <stdbool.h>

struct call;

/* By the request's head alone; false where that was not seen. */
bool otlp_call(const struct call *call);

#endif
