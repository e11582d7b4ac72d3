// SPDX-License-Identifier: Apache-2.0
/* The protobuf encoder against protobuf-c's own reader. */
#include "fake_spans.h"
#include "tap.h"

#include <errno.h>

#include "base/buf.h"
#include "otlp.pb-c.h"

static Otlp__ExportTraceServiceRequest *round_trip(struct span **spans, unsigned n, size_t limit, int *error)
{
	struct buf out;
	Otlp__ExportTraceServiceRequest *r = NULL;

	buf_init(&out, limit);
	*error = otlp_encode(spans, n, "1.2.3", &out);
	if (!*error)
		r = otlp__export_trace_service_request__unpack(NULL, out.n, (uint8_t *)out.p);
	if (*error && out.n)
		*error = 1; /* must be as it was */
	buf_fini(&out);
	return r;
}

static void done(Otlp__ExportTraceServiceRequest *r)
{
	otlp__export_trace_service_request__free_unpacked(r, NULL);
}

static struct slice bytes(ProtobufCBinaryData b)
{
	return slice_of((char *)b.data, b.len);
}

static const Otlp__AnyValue *value_of(const Otlp__Span *s, const char *key)
{
	for (size_t i = 0; i < s->n_attributes; i++)
		if (slice_eq(bytes(s->attributes[i]->key), slice_str(key)))
			return s->attributes[i]->value;
	return NULL;
}

static void test_otlp__every_field_comes_back(void)
{
	struct span *s = fake_full(7, &fake_resources[0]);
	const Otlp__ResourceSpans *rs;
	const Otlp__Span *m;
	int error;
	Otlp__ExportTraceServiceRequest *r = round_trip(&s, 1, OTLP_REQUEST_MAX, &error);

	REQUIRE(r && r->n_resource_spans == 1 && r->resource_spans[0]->n_scope_spans == 1);
	rs = r->resource_spans[0];
	CHECK_SLICE(bytes(rs->schema_url), OTLP_SCHEMA_URL);
	CHECK_INT(rs->resource->n_attributes, 2);
	CHECK_SLICE(bytes(rs->resource->attributes[0]->value->string_value), "shop");
	CHECK_INT(rs->resource->attributes[1]->value->int_value, 4711);
	CHECK_SLICE(bytes(rs->scope_spans[0]->scope->name), "spandrel");
	CHECK_SLICE(bytes(rs->scope_spans[0]->scope->version), "1.2.3");
	REQUIRE(rs->scope_spans[0]->n_spans == 1);
	m = rs->scope_spans[0]->spans[0];
	CHECK(m->trace_id.len == 16 && !memcmp(m->trace_id.data, s->trace_id, 16));
	CHECK(m->span_id.len == 8 && !memcmp(m->span_id.data, s->span_id, 8));
	CHECK(m->has_parent_span_id && m->parent_span_id.len == 8 && m->parent_span_id.data[3] == 0xbb);
	CHECK_SLICE(bytes(m->trace_state), "ot=th:8,a=b");
	CHECK_SLICE(bytes(m->name), "GET");
	CHECK_INT(m->kind, 3);
	CHECK_INT(m->start_time_unix_nano, s->start);
	CHECK_INT(m->end_time_unix_nano, s->end);
	CHECK_INT(m->flags, 0x301);
	CHECK_INT(m->dropped_attributes_count, 3);
	CHECK(m->status && m->status->code == 2);
	CHECK_INT(m->n_attributes, s->d.n_attrs);
	done(r);
	span_free(s);
}

static void test_otlp__every_type_comes_back(void)
{
	struct span *s = fake_full(7, NULL);
	const Otlp__AnyValue *v;
	const Otlp__Span *m;
	int error;
	Otlp__ExportTraceServiceRequest *r = round_trip(&s, 1, OTLP_REQUEST_MAX, &error);

	REQUIRE(r);
	CHECK(!r->resource_spans[0]->resource);
	m = r->resource_spans[0]->scope_spans[0]->spans[0];
	CHECK_INT(value_of(m, "negative")->int_value, INT64_MIN);
	CHECK(value_of(m, "half")->double_value == 0.1);
	CHECK(value_of(m, "spandrel.truncated")->bool_value);
	v = value_of(m, "no");
	CHECK(v->value_case == OTLP__ANY_VALUE__VALUE_BOOL_VALUE && !v->bool_value);
	v = value_of(m, "empty");
	CHECK(v->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE && !v->string_value.len);
	v = value_of(m, "care");
	CHECK(slice_eq(bytes(v->string_value), SLICE("q\"b\\ nl\n nul\0 del\x7f é 日本 \xf0\x9f\x98\x80")));
	v = value_of(m, "http.request.header.x");
	REQUIRE(v->value_case == OTLP__ANY_VALUE__VALUE_ARRAY_VALUE && v->array_value->n_values == 2);
	CHECK_SLICE(bytes(v->array_value->values[0]->string_value), "one");
	CHECK_SLICE(bytes(v->array_value->values[1]->string_value), "t\"wo\n");
	v = value_of(m, "none");
	CHECK(v->value_case == OTLP__ANY_VALUE__VALUE_ARRAY_VALUE && !v->array_value->n_values);
	done(r);
	span_free(s);
}

static void test_otlp__a_root_has_no_parent_status_or_state(void)
{
	struct span *s = fake_bare(1, &fake_resources[2]);
	const Otlp__Span *m;
	int error;
	Otlp__ExportTraceServiceRequest *r = round_trip(&s, 1, OTLP_REQUEST_MAX, &error);

	REQUIRE(r);
	CHECK_INT(r->resource_spans[0]->resource->n_attributes, 0);
	m = r->resource_spans[0]->scope_spans[0]->spans[0];
	CHECK(!m->has_parent_span_id && !m->has_trace_state && !m->status && !m->has_dropped_attributes_count);
	CHECK_INT(m->n_attributes, 0);
	done(r);
	span_free(s);
}

static void test_otlp__one_group_for_each_resource_in_order(void)
{
	static const unsigned who[] = { 1, 0, 1, 2, 0, 1, 1 };
	static const unsigned want[] = { 0, 2, 5, 6, 1, 4, 3 };
	struct span *spans[7];
	unsigned seen = 0;
	int error;
	Otlp__ExportTraceServiceRequest *r;

	for (unsigned i = 0; i < 7; i++)
		spans[i] = fake_http(i, &fake_resources[who[i]]);
	r = round_trip(spans, 7, OTLP_REQUEST_MAX, &error);
	REQUIRE(r && r->n_resource_spans == 3);
	CHECK_INT(r->resource_spans[0]->resource->n_attributes, 1);
	CHECK_INT(r->resource_spans[1]->resource->n_attributes, 2);
	CHECK_INT(r->resource_spans[2]->resource->n_attributes, 0);
	for (size_t g = 0; g < 3; g++)
		for (size_t i = 0; i < r->resource_spans[g]->scope_spans[0]->n_spans; i++)
			CHECK_INT(r->resource_spans[g]->scope_spans[0]->spans[i]->span_id.data[7], want[seen++]);
	CHECK_INT(seen, 7);
	done(r);
	free_spans(spans, 7);
}

static void test_otlp__many_resources_each_keep_their_spans(void)
{
	enum { N = 1000 };
	static struct resource many[N / 2];
	struct span *spans[N];
	unsigned seen = 0;
	int error;
	Otlp__ExportTraceServiceRequest *r;

	for (unsigned i = 0; i < N; i++) {
		many[i % (N / 2)] = (struct resource){ .id = 0x10000ULL * (i % (N / 2)) };
		spans[i] = fake_bare(i, &many[i % (N / 2)]);
	}
	r = round_trip(spans, N, OTLP_REQUEST_MAX, &error);
	REQUIRE(r && r->n_resource_spans == N / 2);
	for (unsigned g = 0; g < N / 2; g++) {
		const Otlp__ScopeSpans *ss = r->resource_spans[g]->scope_spans[0];

		for (size_t i = 0; i < ss->n_spans; i++, seen++)
			CHECK_INT((ss->spans[i]->span_id.data[6] << 8 | ss->spans[i]->span_id.data[7]) % (N / 2), g);
	}
	CHECK_INT(seen, N);
	done(r);
	free_spans(spans, N);
}

static void test_otlp__text_is_made_utf8(void)
{
	static const struct {
		struct slice in;
		const char *want;
	} cases[] = {
		{ SLICE("a\xff"), "a\xef\xbf\xbd" },
		{ SLICE("\xc3"), "\xef\xbf\xbd" },
		{ SLICE("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd" },			     /* overlong */
		{ SLICE("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },	     /* surrogate */
		{ SLICE("\xf4\x90\x80\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* > U+10FFFF */
		{ SLICE("12345678\x80zzzzzzzzz"), "12345678\xef\xbf\xbdzzzzzzzzz" },
		{ SLICE("1234567é\xe2\x82"), "1234567é\xef\xbf\xbd\xef\xbf\xbd" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span *s = fake_bare(1, NULL);
		int error;
		Otlp__ExportTraceServiceRequest *r;

		fake_attr(s, attr_s("k", cases[i].in));
		r = round_trip(&s, 1, OTLP_REQUEST_MAX, &error);
		REQUIRE(r);
		CHECK_SLICE(bytes(value_of(r->resource_spans[0]->scope_spans[0]->spans[0], "k")->string_value),
			    cases[i].want);
		done(r);
		span_free(s);
	}
}

static void test_otlp__a_small_buffer_anywhere_is_an_error(void)
{
	struct span *spans[40];
	Otlp__ExportTraceServiceRequest *r = NULL;
	unsigned failures = 0;
	int error = -1;

	for (unsigned i = 0; i < 40; i++)
		spans[i] = fake_full(i, &fake_resources[i % 3]);
	for (size_t limit = 1; !r && limit < OTLP_REQUEST_MAX; limit += 13) {
		r = round_trip(spans, 40, limit, &error);
		if (!r) {
			CHECK_INT(error, -EMSGSIZE);
			failures++;
		}
	}
	REQUIRE(r);
	CHECK(failures > 1000);
	CHECK_INT(r->n_resource_spans, 3);
	done(r);
	free_spans(spans, 40);
}

/* Lengths of every size of varint, of messages inside messages. */
static void test_otlp__lengths(void)
{
	static const size_t sizes[] = { 0, 1, 100, 126, 127, 128, 129, 300, 16000, 16200, 16383, 16384, 16400, 2097000, 2097152, 2100000 };
	_free_ char *text = malloc(2100000);

	memset(text, 'x', 2100000);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct slice big = slice_of(text, sizes[i]);
		struct span *s = fake_bare(1, &fake_resources[0]);
		const Otlp__AnyValue *v;
		Otlp__ExportTraceServiceRequest *r;
		int error;

		fake_attr(s, attr_s("before", SLICE("b")));
		fake_attr(s, attr_s("big", big));
		fake_attr(s, (struct attr){ .key = SLICE("list"), .type = ATTR_STRINGS, .strings = { &big, sizes[i] < 1000000 } });
		fake_attr(s, attr_i("after", -1));
		r = round_trip(&s, 1, OTLP_REQUEST_MAX, &error);
		REQUIRE(r && r->resource_spans[0]->scope_spans[0]->spans[0]->n_attributes == 4);
		v = value_of(r->resource_spans[0]->scope_spans[0]->spans[0], "big");
		CHECK(v->string_value.len == sizes[i] && (!sizes[i] || !memcmp(v->string_value.data, text, sizes[i])));
		CHECK_INT(value_of(r->resource_spans[0]->scope_spans[0]->spans[0], "after")->int_value, -1);
		done(r);
		span_free(s);
	}
}

static void test_otlp__too_large_is_said_and_leaves_the_buffer(void)
{
	_free_ char *huge = malloc(5 * 1024 * 1024);
	struct span *s = fake_bare(1, NULL);
	int error;

	memset(huge, 'x', 5 * 1024 * 1024);
	fake_attr(s, attr_s("k", slice_of(huge, 5 * 1024 * 1024)));
	CHECK(!round_trip(&s, 1, OTLP_REQUEST_MAX, &error));
	CHECK_INT(error, -EMSGSIZE);
	s->d.attrs[0].s.n = 4 * 1024 * 1024 - 1000;
	{
		Otlp__ExportTraceServiceRequest *r = round_trip(&s, 1, OTLP_REQUEST_MAX, &error);

		CHECK(r != NULL);
		done(r);
	}
	span_free(s);
}

int main(void)
{
	RUN(test_otlp__every_field_comes_back);
	RUN(test_otlp__every_type_comes_back);
	RUN(test_otlp__a_root_has_no_parent_status_or_state);
	RUN(test_otlp__one_group_for_each_resource_in_order);
	RUN(test_otlp__many_resources_each_keep_their_spans);
	RUN(test_otlp__text_is_made_utf8);
	RUN(test_otlp__a_small_buffer_anywhere_is_an_error);
	RUN(test_otlp__lengths);
	RUN(test_otlp__too_large_is_said_and_leaves_the_buffer);
	return tap_done();
}
