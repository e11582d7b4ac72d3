// SPDX-License-Identifier: Apache-2.0
#include "export/protobuf.h"

#include <endian.h>

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
