// SPDX-License-Identifier: Apache-2.0
/* Spans as protobuf. The message tree lives in an arena of the caller's pool and borrows every text it can. */
#include <errno.h>

#include "base/buf.h"
#include "base/scope.h"
#include "base/utf8.h"
#include "export/export.h"
#include "export/group.h"
#include "host/process.h"
#include "otlp.pb-c.h"

static ProtobufCBinaryData bytes_of(const void *p, size_t n)
{
	return (ProtobufCBinaryData){ .len = n, .data = (uint8_t *)p };
}

/* One bad byte would make a receiver refuse the whole batch. */
static int text(struct arena *a, struct slice s, ProtobufCBinaryData *out)
{
	char *to;

	if (utf8_valid(s)) {
		*out = bytes_of(s.p, s.n);
		return 0;
	}
	to = arena_alloc(a, utf8_clean(NULL, s));
	if (!to)
		return -ENOMEM;
	*out = bytes_of(to, utf8_clean(to, s));
	return 0;
}

static int put_string(struct arena *a, struct slice s, Otlp__AnyValue *v)
{
	*v = (Otlp__AnyValue){ .base = PROTOBUF_C_MESSAGE_INIT(&otlp__any_value__descriptor) };
	v->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	return text(a, s, &v->string_value);
}

static int put_strings(struct arena *a, const struct attr *attr, Otlp__AnyValue *v)
{
	size_t n = attr->strings.n;
	Otlp__ArrayValue *array = arena_alloc(a, sizeof(*array));
	Otlp__AnyValue *values = arena_alloc(a, n * sizeof(*values)), **list = arena_alloc(a, n * sizeof(*list));
	int r = array && values && list ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < n; i++) {
		list[i] = &values[i];
		r = put_string(a, attr->strings.v[i], &values[i]);
	}
	if (r)
		return r;
	*array = (Otlp__ArrayValue)OTLP__ARRAY_VALUE__INIT;
	array->n_values = n;
	array->values = list;
	v->value_case = OTLP__ANY_VALUE__VALUE_ARRAY_VALUE;
	v->array_value = array;
	return 0;
}

static int put_value(struct arena *a, const struct attr *attr, Otlp__AnyValue *v)
{
	*v = (Otlp__AnyValue){ .base = PROTOBUF_C_MESSAGE_INIT(&otlp__any_value__descriptor) };
	switch (attr->type) {
	case ATTR_STRING:
		return put_string(a, attr->s, v);
	case ATTR_STRINGS:
		return put_strings(a, attr, v);
	case ATTR_INT:
		v->value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
		v->int_value = attr->i;
		return 0;
	case ATTR_BOOL:
		v->value_case = OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
		v->bool_value = attr->b;
		return 0;
	case ATTR_DOUBLE:
		v->value_case = OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE;
		v->double_value = attr->d;
		return 0;
	}
	return 0; /* an empty value is legal */
}

/* *list has n elements. */
static int put_attrs(struct arena *a, const struct attr *attrs, size_t n, Otlp__KeyValue ***list)
{
	Otlp__KeyValue *pairs = arena_alloc(a, n * sizeof(*pairs)), **p = arena_alloc(a, n * sizeof(*p));
	Otlp__AnyValue *values = arena_alloc(a, n * sizeof(*values));
	int r = pairs && p && values ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < n; i++) {
		p[i] = &pairs[i];
		pairs[i] = (Otlp__KeyValue)OTLP__KEY_VALUE__INIT;
		pairs[i].value = &values[i];
		r = text(a, attrs[i].key, &pairs[i].key);
		if (!r)
			r = put_value(a, &attrs[i], &values[i]);
	}
	if (!r)
		*list = p;
	return r;
}

static int put_status(struct arena *a, const struct span *s, Otlp__Span *m)
{
	if (s->d.status == STATUS_UNSET)
		return 0;
	m->status = arena_alloc(a, sizeof(*m->status));
	if (!m->status)
		return -ENOMEM;
	*m->status = (Otlp__Status)OTLP__STATUS__INIT;
	m->status->code = s->d.status;
	return 0;
}

static int put_span(struct arena *a, const struct span *s, Otlp__Span *m)
{
	static const uint8_t root[8];
	int r;

	*m = (Otlp__Span)OTLP__SPAN__INIT;
	m->trace_id = bytes_of(s->trace_id, 16);
	m->span_id = bytes_of(s->span_id, 8);
	m->has_parent_span_id = memcmp(s->parent_id, root, 8) != 0;
	m->parent_span_id = bytes_of(s->parent_id, 8);
	m->has_trace_state = s->trace_state.n > 0;
	m->kind = s->kind;
	m->start_time_unix_nano = s->start;
	m->end_time_unix_nano = s->end;
	m->flags = s->flags;
	m->has_dropped_attributes_count = s->d.dropped_attrs > 0;
	m->dropped_attributes_count = s->d.dropped_attrs;
	m->n_attributes = s->d.n_attrs;
	r = text(a, s->trace_state, &m->trace_state);
	if (!r)
		r = text(a, s->d.name, &m->name);
	if (!r)
		r = put_attrs(a, s->d.attrs, s->d.n_attrs, &m->attributes);
	return r ? r : put_status(a, s, m);
}

static int put_resource(struct arena *a, const struct resource *r, Otlp__ResourceSpans *to)
{
	if (!r)
		return 0;
	to->resource = arena_alloc(a, sizeof(*to->resource));
	if (!to->resource)
		return -ENOMEM;
	*to->resource = (Otlp__Resource)OTLP__RESOURCE__INIT;
	to->resource->n_attributes = r->n_attrs;
	return put_attrs(a, r->attrs, r->n_attrs, &to->resource->attributes);
}

struct encoder {
	struct arena arena;
	struct span *const *spans;
	struct groups groups;
	Otlp__InstrumentationScope scope;
};

static int put_spans(struct encoder *e, const struct group *g, Otlp__ScopeSpans *to)
{
	Otlp__Span *m = arena_alloc(&e->arena, g->n * sizeof(*m)), **list = arena_alloc(&e->arena, g->n * sizeof(*list));
	int r = m && list ? 0 : -ENOMEM;

	to->spans = list;
	for (uint32_t i = g->first; !r && i != GROUP_END; i = groups_next(&e->groups, g, i)) {
		list[to->n_spans++] = m;
		r = put_span(&e->arena, e->spans[i], m++);
	}
	return r;
}

static int put_group(struct encoder *e, const struct group *g, Otlp__ResourceSpans *to)
{
	Otlp__ScopeSpans *scope = arena_alloc(&e->arena, sizeof(*scope));
	Otlp__ScopeSpans **list = arena_alloc(&e->arena, sizeof(*list));
	int r;

	if (!scope || !list)
		return -ENOMEM;
	*list = scope;
	*scope = (Otlp__ScopeSpans)OTLP__SCOPE_SPANS__INIT;
	scope->scope = &e->scope;
	scope->schema_url = bytes_of(OTLP_SCHEMA_URL, sizeof(OTLP_SCHEMA_URL) - 1);
	*to = (Otlp__ResourceSpans)OTLP__RESOURCE_SPANS__INIT;
	to->schema_url = scope->schema_url;
	to->n_scope_spans = 1;
	to->scope_spans = list;
	r = put_resource(&e->arena, g->resource, to);
	return r ? r : put_spans(e, g, scope);
}

static int build(struct encoder *e, Otlp__ExportTraceServiceRequest *to)
{
	uint32_t n = e->groups.n;
	Otlp__ResourceSpans *m = arena_alloc(&e->arena, n * sizeof(*m));
	int r = 0;

	to->resource_spans = arena_alloc(&e->arena, n * sizeof(*to->resource_spans));
	if (!m || !to->resource_spans)
		return -ENOMEM;
	for (uint32_t i = 0; !r && i < n; i++) {
		to->resource_spans[to->n_resource_spans++] = &m[i];
		r = put_group(e, &e->groups.group[i], &m[i]);
	}
	return r;
}

static int pack(const Otlp__ExportTraceServiceRequest *m, struct buf *out)
{
	size_t size = otlp__export_trace_service_request__get_packed_size(m);
	char *to;

	if (size > out->max || out->n > out->max - size)
		return -EMSGSIZE;
	to = buf_room(out, size);
	if (!to)
		return -ENOMEM;
	buf_added(out, otlp__export_trace_service_request__pack(m, (uint8_t *)to));
	return 0;
}

static void encoder_fini(struct encoder *e)
{
	groups_fini(&e->groups);
	arena_fini(&e->arena);
}

int otlp_encode(struct span *const *spans, uint32_t n, const char *version, struct arena_pool *pool, struct buf *out)
{
	Otlp__ExportTraceServiceRequest request = OTLP__EXPORT_TRACE_SERVICE_REQUEST__INIT;
	_cleanup_(encoder_fini) struct encoder e = { .spans = spans };
	int r;

	if (!n)
		return 0; /* the empty message */
	arena_init(&e.arena, pool);
	e.scope = (Otlp__InstrumentationScope)OTLP__INSTRUMENTATION_SCOPE__INIT;
	e.scope.name = bytes_of(OTLP_SCOPE, sizeof(OTLP_SCOPE) - 1);
	e.scope.version = bytes_of(version, strlen(version));
	r = groups_init(&e.groups, spans, n);
	if (!r)
		r = build(&e, &request);
	return r ? r : pack(&request, out);
}
