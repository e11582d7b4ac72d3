/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a protocol says about a call: name, status, attributes. Embedded in struct span. Strings are borrowed from the
 * exchange's arena or static; over-long values are cut (counted in attributes_truncated), bytes that are not UTF-8
 * become U+FFFD. A key that is there already keeps its first value.
 */
#ifndef SPANDREL_PROTO_DESCRIBE_H
#define SPANDREL_PROTO_DESCRIBE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/attr.h"

enum span_status { STATUS_UNSET = 0, STATUS_OK = 1, STATUS_ERROR = 2 };

#define DESCRIPTION_ATTRS 48 /* more are dropped and counted in dropped_attrs */
#define DESCRIPTION_FEW 16   /* room for so many to begin with: nearly all have less */

enum { SEMCONV_STABLE = 1, SEMCONV_LEGACY = 2 }; /* which names attributes get: bits */

struct describe_config {
	uint8_t semconv; /* 0: stable */
	size_t max_value;		/* --max-attribute-length, in bytes, cut at a UTF-8 border; 0: no limit */
	const struct slice *keep_query; /* globs of query keys whose values may be shown */
	size_t n_keep_query;
	const struct slice *plain_headers; /* lower case; shown although their names speak of secrets */
	size_t n_plain_headers;
};

struct description {
	struct slice name;
	uint8_t status; /* enum span_status */
	uint16_t n_attrs, dropped_attrs;
	uint64_t seen; /* fingerprints of the keys, one bit each */
	uint8_t room;
	struct attr *attrs; /* room for so many, in the arena */
	struct arena *arena;
	const struct describe_config *config;
};

/* 0 or -ENOMEM. */
int describe_init(struct description *d, struct arena *arena, const struct describe_config *config);
void describe_name(struct description *d, struct slice name);
/* As the three below; key lives as long as the arena. */
void describe_add_str(struct description *d, struct slice key, struct slice value);
void describe_add_int(struct description *d, struct slice key, int64_t value);
void describe_add_bool(struct description *d, struct slice key, bool value);

/* key is static. Inline, for the length of a literal is known. */
static inline void describe_str(struct description *d, const char *key, struct slice value)
{
	describe_add_str(d, slice_str(key), value);
}

static inline void describe_int(struct description *d, const char *key, int64_t value)
{
	describe_add_int(d, slice_str(key), value);
}

static inline void describe_bool(struct description *d, const char *key, bool value)
{
	describe_add_bool(d, slice_str(key), value);
}

/* key and values live as long as the arena */
void describe_strs(struct description *d, struct slice key, const struct slice *values, size_t n);
/* One that was described before, as it is. */
void describe_attr(struct description *d, const struct attr *attr);
/* Room for all attributes anew, in the same arena; the old ones stay readable. -ENOMEM: nothing has changed. */
int describe_restart(struct description *d);
/* status ERROR and error.type */
void describe_error(struct description *d, struct slice type);
/* The parts in one piece, in the arena; empty without memory. */
struct slice describe_join(struct description *d, const struct slice *parts, size_t n);
/* Text of an address (RFC 5952; IPv4 dotted when mapped), in the arena. */
struct slice describe_addr(struct description *d, const uint8_t addr[16]);
/* The query with every value REDACTED whose key no --keep-query glob names. Borrows when nothing changes. */
struct slice describe_redact_query(struct description *d, struct slice query);
const struct attr *describe_find(const struct description *d, const char *key);

#endif
