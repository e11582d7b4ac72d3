/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC and gRPC-Web over any version of HTTP ("gRPC over HTTP2", "gRPC Web"): which calls are gRPC, how they ended, and what their
 * spans say (semantic conventions for RPC). Pure.
 */
#ifndef SPANDREL_PROTO_GRPC_H
#define SPANDREL_PROTO_GRPC_H

#include "proto/http_fill.h"

/* application/grpc, application/grpc-web, each with or without a suffix; parameters do not matter. */
bool grpc_content_type(struct slice content_type);
/* Either side says so, or the answer carries a grpc-status. */
bool grpc_call(const struct call *call);
/* package.Service/Method, borrowed from the request; empty when the path is not known or is no method's, or for no gRPC. */
struct slice grpc_method(const struct call *call);

#define GRPC_CODES 17 /* 0 OK … 16 UNAUTHENTICATED */
#define GRPC_UNKNOWN_CODE (-1) /* what ended the call was not seen */

/*
 * The status: grpc-status when it came, else what the reset, GOAWAY or HTTP status means, else GRPC_UNKNOWN_CODE. A code above
 * 16 is returned as it is.
 */
int64_t grpc_status(const struct http_view *v);
/* Empty for a number without a name. */
struct slice grpc_status_name(int64_t code);
/* Does a span of this kind count it as an error? */
bool grpc_status_is_error(int64_t code, bool server);
/* grpc-timeout in nanoseconds, UINT64_MAX at most; 0: none, or not valid. */
uint64_t grpc_timeout(struct slice value);

/* Name, status and attributes of a gRPC call. */
void grpc_fill(struct description *d, struct http_view *v);

#endif
