// SPDX-License-Identifier: Apache-2.0
#include "export/protobuf.h"

#include <endian.h>

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

void pb_u64(struct writer *w, uint32_t number, uint64_t v)
{
	if (writer_room(w, 2 * PB_VARINT_MAX))
		w->at = pb_put_varint(pb_put_tag(w->at, number, PB_VARINT), v);
}

void pb_fixed64(struct writer *w, uint32_t number, uint64_t v)
{
	if (!writer_room(w, PB_VARINT_MAX + sizeof(v)))
		return;
	v = htole64(v);
	w->at = pb_put_tag(w->at, number, PB_FIXED64);
	memcpy(w->at, &v, sizeof(v));
	w->at += sizeof(v);
}

void pb_fixed32(struct writer *w, uint32_t number, uint32_t v)
{
	if (!writer_room(w, PB_VARINT_MAX + sizeof(v)))
		return;
	v = htole32(v);
	w->at = pb_put_tag(w->at, number, PB_FIXED32);
	memcpy(w->at, &v, sizeof(v));
	w->at += sizeof(v);
}

void pb_bytes(struct writer *w, uint32_t number, const void *p, size_t n)
{
	if (!writer_room(w, 2 * PB_VARINT_MAX + n))
		return;
	w->at = pb_put_varint(pb_put_tag(w->at, number, PB_BYTES), n);
	if (n)
		memcpy(w->at, p, n);
	w->at += n;
}

struct pb_mark pb_open(struct writer *w, uint32_t number, size_t guess)
{
	if (!writer_room(w, 2 * PB_VARINT_MAX))
		return (struct pb_mark){ 0 };
	w->at = pb_put_tag(w->at, number, PB_BYTES) + guess;
	return (struct pb_mark){ (size_t)(w->at - w->out->p), guess };
}

void pb_close(struct writer *w, struct pb_mark mark)
{
	size_t need, n;
	char *from;

	if (!writer_room(w, PB_VARINT_MAX)) /* the buffer may move here, not below */
		return;
	from = w->out->p + mark.from;
	n = (size_t)(w->at - from);
	need = pb_varint_size(n);
	if (need != mark.room)
		memmove(from - mark.room + need, from, n);
	pb_put_varint(from - mark.room, n);
	w->at += need - mark.room;
}
