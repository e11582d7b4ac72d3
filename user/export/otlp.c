// SPDX-License-Identifier: Apache-2.0
/* Spans as protobuf (opentelemetry-proto: trace, common, resource), in one pass over them. */
#include <errno.h>

#include "base/bytes.h"
#include "base/scope.h"
#include "base/utf8.h"
#include "export/export.h"
#include "export/group.h"
#include "export/otlp_fields.h"
#include "export/protobuf.h"
#include "host/process.h"

/* Bytes that a message's length takes: below 128, 16 Ki, 2 Mi. */
enum { SMALL = 1, MEDIUM = 2, LARGE = 3 };

/* A text as it will be written: one bad byte would make a receiver refuse the whole batch. */
struct text {
	struct slice s;
	size_t n; /* bytes, made UTF-8 */
};

static struct text text_of(struct slice s)
{
	return (struct text){ s, utf8_valid(s) ? s.n : utf8_clean(NULL, s) };
}

/* Field of a string; there is room for it. */
static char *put_text(char *to, uint32_t number, struct text t)
{
	to = pb_put_varint(pb_put_tag(to, number, PB_BYTES), t.n);
	if (t.n != t.s.n)
		utf8_clean(to, t.s);
	else
		bytes_copy(to, t.s.p, t.n);
	return to + t.n;
}

static size_t text_size(struct text t)
{
	return 1 + pb_varint_size(t.n) + t.n; /* numbers below 16 have a tag of one byte */
}

static void put_string(struct writer *w, uint32_t number, struct slice s)
{
	struct text t = text_of(s);

	if (writer_room(w, text_size(t)))
		w->at = put_text(w->at, number, t);
}

/* What most attributes are, without a detour: all sizes are known beforehand. */
static void put_string_attr(struct writer *w, uint32_t number, const struct attr *a)
{
	struct text key = text_of(a->key), value = text_of(a->s);
	size_t any = text_size(value), pair = text_size(key) + 1 + pb_varint_size(any) + any;

	if (!writer_room(w, 1 + PB_VARINT_MAX + pair))
		return;
	w->at = pb_put_varint(pb_put_tag(w->at, number, PB_BYTES), pair);
	w->at = put_text(w->at, KEY_VALUE_KEY, key);
	w->at = pb_put_varint(pb_put_tag(w->at, KEY_VALUE_VALUE, PB_BYTES), any);
	w->at = put_text(w->at, VALUE_STRING, value);
}

static void put_array(struct writer *w, const struct attr *a)
{
	struct pb_mark array = pb_open(w, VALUE_ARRAY, SMALL);

	for (size_t i = 0; i < a->strings.n; i++) {
		struct pb_mark value = pb_open(w, ARRAY_VALUES, SMALL);

		put_string(w, VALUE_STRING, a->strings.v[i]);
		pb_close(w, value);
	}
	pb_close(w, array);
}

static void put_double(struct writer *w, double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof(bits));
	pb_fixed64(w, VALUE_DOUBLE, bits);
}

static void put_value(struct writer *w, const struct attr *a)
{
	switch ((enum attr_type)a->type) {
	case ATTR_STRING:
		put_string(w, VALUE_STRING, a->s);
		break;
	case ATTR_STRINGS:
		put_array(w, a);
		break;
	case ATTR_INT:
		pb_u64(w, VALUE_INT, (uint64_t)a->i);
		break;
	case ATTR_BOOL:
		pb_u64(w, VALUE_BOOL, a->b);
		break;
	case ATTR_DOUBLE:
		put_double(w, a->d);
		break;
	}
}

static void put_attrs(struct writer *w, uint32_t number, const struct attr *attrs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct pb_mark pair, value;

		if (attrs[i].type == ATTR_STRING) {
			put_string_attr(w, number, &attrs[i]);
			continue;
		}
		pair = pb_open(w, number, SMALL);
		put_string(w, KEY_VALUE_KEY, attrs[i].key);
		value = pb_open(w, KEY_VALUE_VALUE, SMALL);
		put_value(w, &attrs[i]);
		pb_close(w, value);
		pb_close(w, pair);
	}
}

static void put_status(struct writer *w, uint8_t code)
{
	struct pb_mark status = pb_open(w, SPAN_STATUS, SMALL);

	pb_u64(w, STATUS_CODE, code);
	pb_close(w, status);
}

static void put_span(struct writer *w, const struct span *s)
{
	static const uint8_t root[8];
	struct pb_mark span = pb_open(w, SCOPE_SPANS_SPANS, MEDIUM);

	pb_bytes(w, SPAN_TRACE_ID, s->trace_id, sizeof(s->trace_id));
	pb_bytes(w, SPAN_SPAN_ID, s->span_id, sizeof(s->span_id));
	if (s->trace_state.n)
		put_string(w, SPAN_TRACE_STATE, s->trace_state);
	if (memcmp(s->parent_id, root, sizeof(root)))
		pb_bytes(w, SPAN_PARENT_SPAN_ID, s->parent_id, sizeof(s->parent_id));
	put_string(w, SPAN_NAME, s->d.name);
	pb_u64(w, SPAN_KIND, s->kind);
	pb_fixed64(w, SPAN_START, s->start);
	pb_fixed64(w, SPAN_END, s->end);
	put_attrs(w, SPAN_ATTRIBUTES, s->d.attrs, s->d.n_attrs);
	if (s->d.dropped_attrs)
		pb_u64(w, SPAN_DROPPED_ATTRIBUTES, s->d.dropped_attrs);
	if (s->d.status != STATUS_UNSET)
		put_status(w, s->d.status);
	pb_fixed32(w, SPAN_FLAGS, s->flags);
	pb_close(w, span);
}

static void put_scope(struct writer *w, const char *version)
{
	struct pb_mark scope = pb_open(w, SCOPE_SPANS_SCOPE, SMALL);

	put_string(w, SCOPE_NAME, SLICE(OTLP_SCOPE));
	put_string(w, SCOPE_VERSION, slice_str(version));
	pb_close(w, scope);
}

static void put_resource(struct writer *w, const struct resource *r)
{
	struct pb_mark resource;

	if (!r)
		return;
	resource = pb_open(w, RESOURCE_SPANS_RESOURCE, MEDIUM);
	put_attrs(w, RESOURCE_ATTRIBUTES, r->attrs, r->n_attrs);
	pb_close(w, resource);
}

static void put_group(struct writer *w, struct span *const *spans, const struct groups *gs, const struct group *g,
		      const char *version)
{
	struct pb_mark resource_spans = pb_open(w, REQUEST_RESOURCE_SPANS, LARGE), scope_spans;

	put_resource(w, g->resource);
	scope_spans = pb_open(w, RESOURCE_SPANS_SCOPE_SPANS, LARGE);
	put_scope(w, version);
	for (uint32_t i = g->first; i != GROUP_END; i = groups_next(gs, g, i))
		put_span(w, spans[i]);
	put_string(w, SCOPE_SPANS_SCHEMA_URL, SLICE(OTLP_SCHEMA_URL));
	pb_close(w, scope_spans);
	put_string(w, RESOURCE_SPANS_SCHEMA_URL, SLICE(OTLP_SCHEMA_URL));
	pb_close(w, resource_spans);
}

int otlp_encode(struct span *const *spans, uint32_t n, const char *version, struct buf *out)
{
	_cleanup_(groups_fini) struct groups groups;
	struct writer w;
	int r;

	r = groups_init(&groups, spans, n);
	if (r)
		return r;
	writer_begin(&w, out);
	for (uint32_t i = 0; i < groups.n; i++)
		put_group(&w, spans, &groups, &groups.group[i], version);
	return writer_end(&w);
}
