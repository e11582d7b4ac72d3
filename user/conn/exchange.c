// SPDX-License-Identifier: Apache-2.0
#include "conn/exchange.h"

#include <string.h>

struct exchange *exchange_new(struct arena_pool *pool, const struct conn_info *conn, const struct proto_ops *proto)
{
	struct exchange *x;
	struct arena a;

	arena_init(&a, pool);
	x = arena_zalloc(&a, sizeof(*x));
	if (!x)
		return NULL;
	x->arena = a;
	list_init(&x->link);
	x->call.proto = proto;
	x->call.conn = *conn;
	return x;
}

void exchange_free(struct exchange *x)
{
	struct arena a;

	if (!x)
		return;
	if (x->release)
		x->release(x->resource);
	if (x->release && x->peer)
		x->release(x->peer);
	a = x->arena; /* it holds x itself */
	arena_fini(&a);
}
