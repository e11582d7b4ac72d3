/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Older names of attributes, for back ends whose dashboards know only those: HTTP before 1.21, RPC up to 1.37. Everything
 * before this step speaks the current names; what had no older name keeps the current one.
 */
#ifndef SPANDREL_PROTO_SEMCONV_H
#define SPANDREL_PROTO_SEMCONV_H

#include "proto/describe.h"

/*
 * As d->config->semconv asks: nothing, the older names in place of the current ones, or beside them. Where one name has
 * two meanings (rpc.method) and both are asked for, the current one stays. The last step before a span is exported.
 */
void semconv_apply(struct description *d, bool server);

#endif
