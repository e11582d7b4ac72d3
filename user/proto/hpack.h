/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HPACK (RFC 7541) read by a bystander, who may have come late or missed blocks. One decoder per direction of a connection;
 * it must be given every block, in order. Lenient and never wrong:
 *  - An entry inserted while nobody watched is unknown, and so is every field that refers to it. Indices count from the
 *    newest entry, so that entries inserted since are exact from the first one on.
 *  - Once what was inserted since exceeds what the table can hold besides an old entry, nothing old is left: exact again.
 *  - The table's size is the encoder's last size update. While it is not known (hpack_lost) the bound is the limit that
 *    was announced, 4,096 unless hpack_limit() said otherwise, until a size update or an index proves another. An
 *    insertion above the bound either emptied the table or is in it: itself and all older entries become unknown.
 *  - Of a table above HPACK_KEEP_MAX the newest entries are kept; older ones become unknown.
 * Memory: twice HPACK_KEEP_MAX for strings and 8 KiB for entries at most, allocated as the table fills; HPACK_SCRATCH_MAX
 * while a block is decoded.
 */
#ifndef SPANDREL_PROTO_HPACK_H
#define SPANDREL_PROTO_HPACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define HPACK_KEEP_MAX (16 * 1024)    /* of a table, in RFC 7541 §4.1's size */
#define HPACK_SCRATCH_MAX (64 * 1024) /* of one field's decoded Huffman strings; longer ones are unknown */
#define HPACK_LIMIT_DEFAULT 4096

enum { HPACK_NAME_UNKNOWN = 1, HPACK_VALUE_UNKNOWN = 2, HPACK_NEVER_INDEXED = 4 };

struct hpack_field {
	struct slice name, value; /* empty when unknown */
	uint8_t flags;
};

/* Entries, newest first (hpack_table.c). */
struct hpack_table {
	struct hpack_entry *ring; /* `slots` of them, a power of two */
	uint32_t slots, newest, n;
	char *bytes; /* names and values, in the order of insertion */
	uint32_t cap, base, end; /* base: where `bytes` begins, end: where the next goes, in bytes ever stored (wraps) */
	uint32_t size; /* of the entries; where a name's or value's length is unknown, of what is known of them */
	uint32_t max;  /* upper bound of the real table's size */
	bool old;      /* there may be older entries, unknown */
};

struct hpack {
	struct hpack_table table;
	struct buf scratch;
	uint32_t limit;
	bool max_proven; /* table.max is the real one */
};

/* 0; allocates nothing. The table is empty and exact: the connection's beginning. */
int hpack_init(struct hpack *h);
void hpack_fini(struct hpack *h);
/* SETTINGS_HEADER_TABLE_SIZE of the decoding side took effect. */
void hpack_limit(struct hpack *h, uint32_t limit);
/* Joined in mid-connection, or bytes lost: entries so far are unknown. */
void hpack_lost(struct hpack *h);
/* Nothing in the table is unknown because it was inserted unseen. */
bool hpack_exact(const struct hpack *h);
/*
 * Calls `field` for each field of a whole header block. 0. -EPROTO: not HPACK, or an index that cannot be (then as after
 * hpack_lost; fields before it were given). -ENOMEM (likewise). Strings are borrowed for the call of `field` only, which must not
 * use the decoder. Costs no more than the block's length, and no allocation per field.
 */
int hpack_decode(struct hpack *h, struct slice block, void (*field)(void *arg, const struct hpack_field *f), void *arg);

#endif
