// SPDX-License-Identifier: Apache-2.0
/* Who waits for an answer now. */
#include "conn/conn.h"
#include "conn/flow.h"

void conn_each_open(const struct conn_table *t, void (*each)(void *arg, const struct exchange *x), void *arg)
{
	const struct conn *c;
	size_t at = 0;

	while ((c = table_next(&t->by_id, &at, NULL)))
		for (struct exchange *x = pair_oldest(&c->pair); x; x = pair_next(&c->pair, x))
			each(arg, x);
}
