// SPDX-License-Identifier: Apache-2.0
/* Spans as OTLP/JSON (OTLP specification, "JSON Protobuf Encoding"): ids in hex, enums as integers, 64-bit integers as strings, lowerCamelCase. */
#include <errno.h>

#include "base/buf.h"
#include "base/scope.h"
#include "export/export.h"
#include "export/group.h"
#include "export/json.h"
#include "host/process.h"

static void put_string(struct writer *j, struct slice s)
{
	writer_lit(j, "{\"stringValue\":\"");
	json_text(j, s);
	writer_lit(j, "\"}");
}

static void put_strings(struct writer *j, const struct attr *a)
{
	writer_lit(j, "{\"arrayValue\":{\"values\":[");
	for (size_t i = 0; i < a->strings.n; i++) {
		if (i)
			writer_lit(j, ",");
		put_string(j, a->strings.v[i]);
	}
	writer_lit(j, "]}}");
}

/* What follows a key: few pieces, for there are many of them. */
static void put_value(struct writer *j, const struct attr *a)
{
	switch (a->type) {
	case ATTR_STRING:
		writer_lit(j, "\",\"value\":{\"stringValue\":\"");
		json_text(j, a->s);
		writer_lit(j, "\"}}");
		return;
	case ATTR_INT:
		writer_lit(j, "\",\"value\":{\"intValue\":\"");
		json_i64(j, a->i);
		writer_lit(j, "\"}}");
		return;
	case ATTR_BOOL:
		if (a->b)
			writer_lit(j, "\",\"value\":{\"boolValue\":true}}");
		else
			writer_lit(j, "\",\"value\":{\"boolValue\":false}}");
		return;
	case ATTR_DOUBLE:
		writer_lit(j, "\",\"value\":{\"doubleValue\":");
		json_double(j, a->d);
		writer_lit(j, "}}");
		return;
	case ATTR_STRINGS:
		writer_lit(j, "\",\"value\":");
		put_strings(j, a);
		writer_lit(j, "}");
		return;
	}
	writer_lit(j, "\",\"value\":{}}"); /* an empty value is legal */
}

static void put_attrs(struct writer *j, const struct attr *attrs, size_t n)
{
	writer_lit(j, "\"attributes\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			writer_lit(j, ",{\"key\":\"");
		else
			writer_lit(j, "{\"key\":\"");
		json_text(j, attrs[i].key);
		put_value(j, &attrs[i]);
	}
	writer_lit(j, "]");
}

static void put_ids(struct writer *j, const struct span *s)
{
	static const uint8_t root[8];

	writer_lit(j, "{\"traceId\":\"");
	json_hex(j, s->trace_id, 16);
	writer_lit(j, "\",\"spanId\":\"");
	json_hex(j, s->span_id, 8);
	if (s->trace_state.n) {
		writer_lit(j, "\",\"traceState\":\"");
		json_text(j, s->trace_state);
	}
	if (memcmp(s->parent_id, root, 8)) {
		writer_lit(j, "\",\"parentSpanId\":\"");
		json_hex(j, s->parent_id, 8);
	}
}

static void put_span(struct writer *j, const struct span *s)
{
	put_ids(j, s);
	writer_lit(j, "\",\"flags\":");
	json_u64(j, s->flags);
	writer_lit(j, ",\"name\":\"");
	json_text(j, s->d.name);
	writer_lit(j, "\",\"kind\":");
	json_u64(j, s->kind);
	writer_lit(j, ",\"startTimeUnixNano\":\"");
	json_u64(j, s->start);
	writer_lit(j, "\",\"endTimeUnixNano\":\"");
	json_u64(j, s->end);
	writer_lit(j, "\",");
	put_attrs(j, s->d.attrs, s->d.n_attrs);
	if (s->d.dropped_attrs) {
		writer_lit(j, ",\"droppedAttributesCount\":");
		json_u64(j, s->d.dropped_attrs);
	}
	if (s->d.status != STATUS_UNSET) {
		writer_lit(j, ",\"status\":{\"code\":");
		json_u64(j, s->d.status);
		writer_lit(j, "}");
	}
	writer_lit(j, "}");
}

static void put_group(struct writer *j, struct span *const *spans, const struct groups *gs, const struct group *g,
		      const char *version)
{
	writer_lit(j, "{");
	if (g->resource) {
		writer_lit(j, "\"resource\":{");
		put_attrs(j, g->resource->attrs, g->resource->n_attrs);
		writer_lit(j, "},");
	}
	writer_lit(j, "\"scopeSpans\":[{\"scope\":{\"name\":\"" OTLP_SCOPE "\",\"version\":\"");
	json_text(j, slice_str(version));
	writer_lit(j, "\"},\"spans\":[");
	for (uint32_t i = g->first; i != GROUP_END; i = groups_next(gs, g, i)) {
		if (i != g->first)
			writer_lit(j, ",");
		put_span(j, spans[i]);
	}
	writer_lit(j, "],\"schemaUrl\":\"" OTLP_SCHEMA_URL "\"}],\"schemaUrl\":\"" OTLP_SCHEMA_URL "\"}");
}

int otlp_json_encode(struct span *const *spans, uint32_t n, const char *version, struct buf *out)
{
	_cleanup_(groups_fini) struct groups groups;
	struct writer j;
	int r;

	r = groups_init(&groups, spans, n);
	if (r)
		return r;
	writer_begin(&j, out);
	writer_lit(&j, "{\"resourceSpans\":[");
	for (uint32_t i = 0; i < groups.n; i++) {
		if (i)
			writer_lit(&j, ",");
		put_group(&j, spans, &groups, &groups.group[i], version);
	}
	writer_lit(&j, "]}");
	return writer_end(&j);
}
