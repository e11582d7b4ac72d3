/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON straight into a buf, for the hot path: room is asked for once per item, not per byte.
 * After a failure (the buf is full) all writes do nothing; json_end() tells.
 */
#ifndef SPANDREL_EXPORT_JSON_H
#define SPANDREL_EXPORT_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

struct json {
	struct buf *out;
	char *at, *end; /* free part of out's memory */
	size_t start;	/* out->n at the beginning */
	int error;
};

void json_begin(struct json *j, struct buf *out);
/* 0, or -EMSGSIZE or -ENOMEM with `out` as it was. */
int json_end(struct json *j);

/* Makes room for n bytes. */
bool json_grow(struct json *j, size_t n);
static inline bool json_room(struct json *j, size_t n)
{
	return (size_t)(j->end - j->at) >= n || json_grow(j, n);
}

static inline void json_raw(struct json *j, const char *p, size_t n)
{
	if (!json_room(j, n))
		return;
	memcpy(j->at, p, n);
	j->at += n;
}

#define json_lit(j, literal) json_raw(j, literal, sizeof(literal) - 1)

/* Without quotes; control characters, DEL, quote and backslash escaped, bytes that are not UTF-8 as U+FFFD. */
void json_text(struct json *j, struct slice s);
void json_u64(struct json *j, uint64_t v);
void json_i64(struct json *j, int64_t v);
void json_double(struct json *j, double v); /* NaN and infinities as strings */
void json_hex(struct json *j, const uint8_t *p, size_t n);

#endif
