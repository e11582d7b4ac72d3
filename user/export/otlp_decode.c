// SPDX-License-Identifier: Apache-2.0
#include "export/otlp_decode.h"

#include <errno.h>

#include "base/scope.h"
#include "export/otlp_fields.h"
#include "export/protobuf.h"
#include "host/process.h"

#define SPAN_LEAST 40 /* bytes: the ids and times alone */

struct decoder {
	struct arena *arena;
	struct span *spans;
	uint32_t n, max;
	uint64_t *next_id; /* of a resource */
	int error;	   /* the first one */
};

/* False at the end, and where it is not sound (then d->error). */
static bool next_field(struct decoder *d, struct slice *s, struct pb_field *f)
{
	if (!s->n || d->error)
		return false;
	if (pb_next(s, f))
		return true;
	d->error = -EBADMSG;
	return false;
}

static bool is_message(const struct pb_field *f, uint32_t number)
{
	return f->number == number && f->type == PB_BYTES;
}

static uint32_t count_fields(struct decoder *d, struct slice s, uint32_t number)
{
	struct pb_field f;
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
	uint32_t n = count_fields(d, s, ARRAY_VALUES), i = 0;
	struct slice *v = alloc(d, n * sizeof(*v));
	struct pb_field f, text;

	while (v && i < n && next_field(d, &s, &f)) {
		if (!is_message(&f, ARRAY_VALUES))
			continue;
		while (next_field(d, &f.bytes, &text))
			if (is_message(&text, VALUE_STRING))
				v[i] = text.bytes;
		i++;
	}
	a->type = ATTR_STRINGS;
	a->strings.v = v;
	a->strings.n = i;
}

static void decode_value(struct decoder *d, struct slice s, struct attr *a)
{
	struct pb_field f;

	while (next_field(d, &s, &f)) {
		if (is_message(&f, VALUE_STRING)) {
			a->type = ATTR_STRING;
			a->s = f.bytes;
		} else if (f.number == VALUE_BOOL && f.type == PB_VARINT) {
			a->type = ATTR_BOOL;
			a->b = f.value;
		} else if (f.number == VALUE_INT && f.type == PB_VARINT) {
			a->type = ATTR_INT;
			a->i = (int64_t)f.value;
		} else if (f.number == VALUE_DOUBLE && f.type == PB_FIXED64) {
			a->type = ATTR_DOUBLE;
			memcpy(&a->d, &f.value, sizeof(a->d));
		} else if (is_message(&f, VALUE_ARRAY)) {
			decode_strings(d, f.bytes, a);
		}
	}
}

/* All fields `number` of the message, KeyValues. */
static struct attr *decode_attrs(struct decoder *d, struct slice s, uint32_t number, uint16_t *count)
{
	uint32_t n = count_fields(d, s, number), i = 0;
	struct attr *attrs;
	struct pb_field f, part;

	if (n > UINT16_MAX)
		d->error = -EBADMSG;
	attrs = alloc(d, n * sizeof(*attrs));
	while (attrs && i < n && next_field(d, &s, &f)) {
		if (!is_message(&f, number))
			continue;
		while (next_field(d, &f.bytes, &part)) {
			if (is_message(&part, KEY_VALUE_KEY))
				attrs[i].key = part.bytes;
			else if (is_message(&part, KEY_VALUE_VALUE))
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

static void span_number(struct span *s, const struct pb_field *f)
{
	switch (f->number) {
	case SPAN_KIND:
		s->kind = (uint8_t)f->value;
		break;
	case SPAN_START:
		s->start = f->value;
		break;
	case SPAN_END:
		s->end = f->value;
		break;
	case SPAN_DROPPED_ATTRIBUTES:
		s->d.dropped_attrs = (uint16_t)f->value;
		break;
	case SPAN_FLAGS:
		s->flags = (uint32_t)f->value;
		break;
	}
}

static void span_bytes(struct decoder *d, struct span *s, struct pb_field *f)
{
	struct pb_field code;

	switch (f->number) {
	case SPAN_TRACE_ID:
		copy_id(d, s->trace_id, sizeof(s->trace_id), f->bytes);
		break;
	case SPAN_SPAN_ID:
		copy_id(d, s->span_id, sizeof(s->span_id), f->bytes);
		break;
	case SPAN_TRACE_STATE:
		s->trace_state = f->bytes;
		break;
	case SPAN_PARENT_SPAN_ID:
		copy_id(d, s->parent_id, sizeof(s->parent_id), f->bytes);
		break;
	case SPAN_NAME:
		s->d.name = f->bytes;
		break;
	case SPAN_STATUS:
		while (next_field(d, &f->bytes, &code))
			if (code.number == STATUS_CODE && code.type == PB_VARINT)
				s->d.status = (uint8_t)code.value;
		break;
	}
}

static void decode_span(struct decoder *d, struct slice message, const struct resource *resource)
{
	struct slice rest = message;
	struct span *s;
	struct pb_field f;

	if (d->n == d->max) {
		d->error = -EBADMSG;
		return;
	}
	s = &d->spans[d->n++];
	list_init(&s->link);
	s->resource = resource;
	s->drop = -1;
	while (next_field(d, &rest, &f)) {
		if (f.type == PB_BYTES)
			span_bytes(d, s, &f);
		else
			span_number(s, &f);
	}
	s->d.attrs = decode_attrs(d, message, SPAN_ATTRIBUTES, &s->d.n_attrs);
}

static struct resource *decode_resource(struct decoder *d, struct slice message)
{
	struct resource *r = alloc(d, sizeof(*r));

	if (!r)
		return NULL;
	r->refs = 1; /* the arena's: it never falls to 0 */
	r->id = OTLP_RESOURCE_ID | (*d->next_id)++;
	r->attrs = decode_attrs(d, message, RESOURCE_ATTRIBUTES, &r->n_attrs);
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
	struct pb_field f, span;

	while (next_field(d, &rest, &f))
		if (is_message(&f, RESOURCE_SPANS_RESOURCE))
			resource = decode_resource(d, f.bytes);
	while (next_field(d, &message, &f))
		while (is_message(&f, RESOURCE_SPANS_SCOPE_SPANS) && next_field(d, &f.bytes, &span))
			if (is_message(&span, SCOPE_SPANS_SPANS))
				decode_span(d, span.bytes, resource);
}

int otlp_decode(struct slice message, uint32_t n, struct arena *arena, uint64_t *next_id,
		struct otlp_decoded *out)
{
	struct decoder d = { .arena = arena, .max = n, .next_id = next_id };
	struct pb_field f;

	if (n > message.n / SPAN_LEAST)
		return -EBADMSG;
	d.spans = alloc(&d, n * sizeof(*d.spans));
	while (next_field(&d, &message, &f))
		if (is_message(&f, REQUEST_RESOURCE_SPANS))
			decode_group(&d, f.bytes);
	if (!d.error && d.n != n)
		d.error = -EBADMSG;
	if (!d.error)
		*out = (struct otlp_decoded){ d.spans, n };
	return d.error;
}
