// SPDX-License-Identifier: Apache-2.0
/* Protocol buffers as they are on the wire: a tag (number and type), then a varint, 4 or 8 bytes, or a length and bytes. */
#include "export/otlp_decode.h"

#include <endian.h>
#include <errno.h>

#include "base/scope.h"
#include "host/process.h"

#define SPAN_LEAST 40 /* bytes: the ids and times alone */

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct field {
	uint32_t number;
	uint8_t wire;
	uint64_t v;	    /* unless it is bytes */
	struct slice bytes;
};

struct decoder {
	struct arena *arena;
	struct span *spans;
	uint32_t n, max;
	uint64_t *next_id; /* of a resource */
	int error;	   /* the first one */
};

static bool take_varint(struct slice *s, uint64_t *v)
{
	*v = 0;
	for (unsigned shift = 0; shift < 64 && s->n; shift += 7) {
		uint8_t b = (uint8_t)*s->p;

		*s = slice_from(*s, 1);
		*v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80)
			return true;
	}
	return false;
}

static bool take_fixed(struct slice *s, size_t n, uint64_t *v)
{
	uint64_t le = 0;

	if (s->n < n)
		return false;
	memcpy(&le, s->p, n);
	*v = le64toh(le);
	*s = slice_from(*s, n);
	return true;
}

static bool take_bytes(struct slice *s, struct slice *out)
{
	uint64_t n;

	if (!take_varint(s, &n) || n > s->n)
		return false;
	*out = slice_to(*s, n);
	*s = slice_from(*s, n);
	return true;
}

/* False at the end, and where it is not sound (then d->error). */
static bool next_field(struct decoder *d, struct slice *s, struct field *f)
{
	uint64_t tag;
	bool ok;

	if (!s->n || d->error)
		return false;
	*f = (struct field){ .number = 0 };
	ok = take_varint(s, &tag) && tag >> 3 && tag <= UINT32_MAX;
	f->number = (uint32_t)(tag >> 3);
	f->wire = tag & 7;
	if (ok)
		ok = f->wire == WIRE_VARINT ? take_varint(s, &f->v) :
		     f->wire == WIRE_64	    ? take_fixed(s, 8, &f->v) :
		     f->wire == WIRE_32	    ? take_fixed(s, 4, &f->v) :
		     f->wire == WIRE_BYTES  ? take_bytes(s, &f->bytes) :
					      false;
	if (!ok)
		d->error = -EBADMSG;
	return ok;
}

static bool is_message(const struct field *f, uint32_t number)
{
	return f->number == number && f->wire == WIRE_BYTES;
}

static uint32_t count_fields(struct decoder *d, struct slice s, uint32_t number)
{
	struct field f;
	uint32_t n = 0;

	while (next_field(d, &s, &f))
		n += is_message(&f, number);
	return n;
}

static void *alloc(struct decoder *d, size_t n)
{
	void *p = d->error ? NULL : arena_zalloc(d->arena, n ? n : 1);

	if (!p && !d->error)
		d->error = -ENOMEM;
	return p;
}

/* ArrayValue of strings; others in it become empty. */
static void decode_strings(struct decoder *d, struct slice s, struct attr *a)
{
	uint32_t n = count_fields(d, s, 1), i = 0;
	struct slice *v = alloc(d, n * sizeof(*v));
	struct field f, text;

	while (v && i < n && next_field(d, &s, &f)) {
		if (!is_message(&f, 1))
			continue;
		while (next_field(d, &f.bytes, &text))
			if (is_message(&text, 1))
				v[i] = text.bytes;
		i++;
	}
	a->type = ATTR_STRINGS;
	a->strings.v = v;
	a->strings.n = i;
}

static void decode_value(struct decoder *d, struct slice s, struct attr *a)
{
	struct field f;

	while (next_field(d, &s, &f)) {
		if (is_message(&f, 1)) {
			a->type = ATTR_STRING;
			a->s = f.bytes;
		} else if (f.number == 2 && f.wire == WIRE_VARINT) {
			a->type = ATTR_BOOL;
			a->b = f.v;
		} else if (f.number == 3 && f.wire == WIRE_VARINT) {
			a->type = ATTR_INT;
			a->i = (int64_t)f.v;
		} else if (f.number == 4 && f.wire == WIRE_64) {
			a->type = ATTR_DOUBLE;
			memcpy(&a->d, &f.v, sizeof(a->d));
		} else if (is_message(&f, 5)) {
			decode_strings(d, f.bytes, a);
		}
	}
}

/* All fields `number` of the message, KeyValues. */
static struct attr *decode_attrs(struct decoder *d, struct slice s, uint32_t number, uint16_t *count)
{
	uint32_t n = count_fields(d, s, number), i = 0;
	struct attr *attrs;
	struct field f, part;

	if (n > UINT16_MAX)
		d->error = -EBADMSG;
	attrs = alloc(d, n * sizeof(*attrs));
	while (attrs && i < n && next_field(d, &s, &f)) {
		if (!is_message(&f, number))
			continue;
		while (next_field(d, &f.bytes, &part)) {
			if (is_message(&part, 1))
				attrs[i].key = part.bytes;
			else if (is_message(&part, 2))
				decode_value(d, part.bytes, &attrs[i]);
		}
		i++;
	}
	*count = (uint16_t)i;
	return attrs;
}

static void copy_id(struct decoder *d, uint8_t *to, size_t n, struct slice id)
{
	if (id.n == n)
		memcpy(to, id.p, n);
	else if (id.n)
		d->error = -EBADMSG;
}

static void span_number(struct span *s, const struct field *f)
{
	switch (f->number) {
	case 6:
		s->kind = (uint8_t)f->v;
		break;
	case 7:
		s->start = f->v;
		break;
	case 8:
		s->end = f->v;
		break;
	case 10:
		s->d.dropped_attrs = (uint16_t)f->v;
		break;
	case 16:
		s->flags = (uint32_t)f->v;
		break;
	}
}

static void span_bytes(struct decoder *d, struct span *s, struct field *f)
{
	struct field code;

	switch (f->number) {
	case 1:
		copy_id(d, s->trace_id, sizeof(s->trace_id), f->bytes);
		break;
	case 2:
		copy_id(d, s->span_id, sizeof(s->span_id), f->bytes);
		break;
	case 3:
		s->trace_state = f->bytes;
		break;
	case 4:
		copy_id(d, s->parent_id, sizeof(s->parent_id), f->bytes);
		break;
	case 5:
		s->d.name = f->bytes;
		break;
	case 15:
		while (next_field(d, &f->bytes, &code))
			if (code.number == 3 && code.wire == WIRE_VARINT)
				s->d.status = (uint8_t)code.v;
		break;
	}
}

static void decode_span(struct decoder *d, struct slice message, const struct resource *resource)
{
	struct slice rest = message;
	struct span *s;
	struct field f;

	if (d->n == d->max) {
		d->error = -EBADMSG;
		return;
	}
	s = &d->spans[d->n++];
	list_init(&s->link);
	s->resource = resource;
	s->drop = -1;
	while (next_field(d, &rest, &f)) {
		if (f.wire == WIRE_BYTES)
			span_bytes(d, s, &f);
		else
			span_number(s, &f);
	}
	s->d.attrs = decode_attrs(d, message, 9, &s->d.n_attrs);
}

static struct resource *decode_resource(struct decoder *d, struct slice message)
{
	struct resource *r = alloc(d, sizeof(*r));

	if (!r)
		return NULL;
	r->refs = 1; /* the arena's: it never falls to 0 */
	r->id = OTLP_RESOURCE_ID | (*d->next_id)++;
	r->attrs = decode_attrs(d, message, 1, &r->n_attrs);
	for (uint32_t i = 0; r->attrs && i < r->n_attrs; i++)
		if (slice_eq(r->attrs[i].key, SLICE("service.name")) && r->attrs[i].type == ATTR_STRING)
			r->service = r->attrs[i].s;
	return r;
}

/* ResourceSpans. Its resource may stand behind the spans. */
static void decode_group(struct decoder *d, struct slice message)
{
	const struct resource *resource = NULL;
	struct slice rest = message;
	struct field f, span;

	while (next_field(d, &rest, &f))
		if (is_message(&f, 1))
			resource = decode_resource(d, f.bytes);
	while (next_field(d, &message, &f))
		while (is_message(&f, 2) && next_field(d, &f.bytes, &span))
			if (is_message(&span, 2))
				decode_span(d, span.bytes, resource);
}

int otlp_decode(struct slice message, uint32_t n, struct arena *arena, uint64_t *next_id,
		struct otlp_decoded *out)
{
	struct decoder d = { .arena = arena, .max = n, .next_id = next_id };
	struct field f;

	if (n > message.n / SPAN_LEAST)
		return -EBADMSG;
	d.spans = alloc(&d, n * sizeof(*d.spans));
	while (next_field(&d, &message, &f))
		if (is_message(&f, 1))
			decode_group(&d, f.bytes);
	if (!d.error && d.n != n)
		d.error = -EBADMSG;
	if (!d.error)
		*out = (struct otlp_decoded){ d.spans, n };
	return d.error;
}
