/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HPACK's tables (RFC 7541 §2.3, §4): internal to proto/hpack*.c. The dynamic one counts sizes from below where a length is
 * unknown, so that what it evicts is gone from the real table too.
 */
#ifndef SPANDREL_PROTO_HPACK_TABLE_H
#define SPANDREL_PROTO_HPACK_TABLE_H

#include "proto/hpack.h"

#define HPACK_STATIC_N 61
#define HPACK_ENTRY_SIZE 32 /* what §4.1 adds to the lengths */

/* By index, from 1. */
extern const struct hpack_field hpack_static[HPACK_STATIC_N + 1];

void hpack_table_fini(struct hpack_table *t);
/* The newest has index 1. False beyond the last entry known. The strings are borrowed until the next insertion. */
bool hpack_table_get(const struct hpack_table *t, uint32_t index, struct hpack_field *f);
/*
 * An entry not larger than `max` and HPACK_KEEP_MAX, by its known lengths; its strings must not be the table's own. 0, or
 * -ENOMEM (nothing changed).
 */
int hpack_table_insert(struct hpack_table *t, const struct hpack_field *f);
void hpack_table_set_max(struct hpack_table *t, uint32_t max);
/* No entry is left; `old`: there may be unknown ones. */
void hpack_table_clear(struct hpack_table *t, bool old);

#endif
