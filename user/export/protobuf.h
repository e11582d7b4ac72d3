/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing protobuf's wire format (base/pb_read.h reads it), in one pass: a message's length is filled in behind it, as a
 * varint of just its size.
 */
#ifndef SPANDREL_EXPORT_PROTOBUF_H
#define SPANDREL_EXPORT_PROTOBUF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pb_read.h"
#include "base/writer.h"

#define PB_VARINT_MAX 10 /* bytes */

static inline size_t pb_varint_size(uint64_t v)
{
	return (size_t)(64 - __builtin_clzll(v | 1) + 6) / 7;
}

/* At `to`, where there is room; returns what follows it. */
static inline char *pb_put_varint(char *to, uint64_t v)
{
	for (; v >= 128; v >>= 7)
		*to++ = (char)(v | 128);
	*to++ = (char)v;
	return to;
}

static inline char *pb_put_tag(char *to, uint32_t number, enum pb_type type)
{
	return pb_put_varint(to, (uint64_t)number << 3 | type);
}

void pb_u64(struct writer *w, uint32_t number, uint64_t v); /* all varint types but sint */
void pb_fixed64(struct writer *w, uint32_t number, uint64_t v);
void pb_fixed32(struct writer *w, uint32_t number, uint32_t v);
void pb_bytes(struct writer *w, uint32_t number, const void *p, size_t n);

struct pb_mark {
	size_t from; /* of the content, in the buffer */
	size_t room; /* bytes left for the length */
};

/* A message inside: what is written between the two is its content. It is moved when its length takes not just `guess` bytes. */
struct pb_mark pb_open(struct writer *w, uint32_t number, size_t guess);
void pb_close(struct writer *w, struct pb_mark mark);

#endif
