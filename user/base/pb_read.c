// SPDX-License-Identifier: Apache-2.0
#include "base/pb_read.h"

static bool take_varint(struct slice *rest, uint64_t *v)
{
	uint64_t got = 0;

	for (size_t i = 0; i < rest->n && i < 10; i++) {
		uint8_t c = (uint8_t)rest->p[i];

		got |= (uint64_t)(c & 127) << (7 * i);
		if (c < 128) {
			*v = got;
			*rest = slice_from(*rest, i + 1);
			return true;
		}
	}
	return false;
}

static bool take_fixed(struct slice *rest, size_t n, uint64_t *v)
{
	uint64_t got = 0;

	if (rest->n < n)
		return false;
	for (size_t i = 0; i < n; i++)
		got |= (uint64_t)(uint8_t)rest->p[i] << (8 * i);
	*v = got;
	*rest = slice_from(*rest, n);
	return true;
}

static bool take_bytes(struct slice *rest, struct slice *bytes)
{
	uint64_t n;

	if (!take_varint(rest, &n) || n > rest->n)
		return false;
	*bytes = slice_of(rest->p, n);
	*rest = slice_from(*rest, n);
	return true;
}

bool pb_next(struct slice *rest, struct pb_field *f)
{
	struct slice left = *rest;
	uint64_t tag;
	bool ok;

	if (!take_varint(&left, &tag) || tag >> 3 == 0 || tag >> 32)
		return false;
	*f = (struct pb_field){ .number = (uint32_t)(tag >> 3), .type = tag & 7 };
	if (f->type == PB_VARINT)
		ok = take_varint(&left, &f->value);
	else if (f->type == PB_BYTES)
		ok = take_bytes(&left, &f->bytes);
	else
		ok = (f->type == PB_FIXED64 || f->type == PB_FIXED32) &&
		     take_fixed(&left, f->type == PB_FIXED64 ? 8 : 4, &f->value);
	if (ok)
		*rest = left;
	return ok;
}
