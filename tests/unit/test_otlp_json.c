// SPDX-License-Identifier: Apache-2.0
/* The JSON encoder by exact text, and against the protobuf encoder through an independent reader (tests/tools/otlp.py). */
#include "fake_spans.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "export/json.h"

#define PYTHON_CHECK "tests/tools/otlp.py"

static void test_json__text_escapes_what_must_be(void)
{
	static const struct {
		struct slice in;
		const char *want;
	} cases[] = {
		{ SLICE(""), "" },
		{ SLICE("plain text, more than eight"), "plain text, more than eight" },
		{ SLICE("\"\\/"), "\\\"\\\\/" },
		{ SLICE("\b\t\n\f\r"), "\\b\\t\\n\\f\\r" },
		{ SLICE("\0\x01\x1f\x7f\x1b[31m"), "\\u0000\\u0001\\u001f\\u007f\\u001b[31m" },
		{ SLICE("é日\xf0\x9f\x98\x80"), "é日\xf0\x9f\x98\x80" },
		{ SLICE("1234567é"), "1234567é" },
		{ SLICE("\x80z\xe6\x97"), "\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd" },
	};
	struct writer j;
	struct buf b;

	buf_init(&b, 4096);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		buf_reset(&b);
		writer_begin(&j, &b);
		json_text(&j, cases[i].in);
		CHECK_INT(writer_end(&j), 0);
		CHECK_SLICE(buf_slice(&b), cases[i].want);
	}
	buf_fini(&b);
}

/* Each byte value at each place of a word, beside its neighbours: none is missed and none is escaped for another's sake. */
static void test_json__every_byte_at_every_place(void)
{
	struct writer j;
	struct buf b;

	buf_init(&b, 4096);
	for (unsigned c = 0; c < 128; c++)
		for (unsigned at = 0; at < 19; at++) {
			char text[19], want[64];
			bool plain = c >= 0x20 && c != 0x7f && c != '"' && c != '\\';

			memset(text, 'x', sizeof(text));
			text[at] = (char)c;
			buf_reset(&b);
			writer_begin(&j, &b);
			json_text(&j, slice_of(text, sizeof(text)));
			CHECK_INT(writer_end(&j), 0);
			CHECK(plain == (b.n == sizeof(text)));
			CHECK(!memcmp(b.p, text, at) && (plain ? b.p[at] == (char)c : b.p[at] == '\\'));
			snprintf(want, sizeof(want), "%.*s", (int)(18 - at), "xxxxxxxxxxxxxxxxxx");
			CHECK(b.n >= 18 - at && !memcmp(b.p + b.n - (18 - at), want, 18 - at));
		}
	buf_fini(&b);
}

static void check_u64(struct buf *b, uint64_t v)
{
	struct writer j;
	char want[32];

	buf_reset(b);
	writer_begin(&j, b);
	json_u64(&j, v);
	CHECK_INT(writer_end(&j), 0);
	snprintf(want, sizeof(want), "%llu", (unsigned long long)v);
	CHECK_SLICE(buf_slice(b), want);
}

static void test_json__numbers(void)
{
	static const uint64_t us[] = { 0, 9, 10, 99, 100, 101, 999, 1000, 65535, 1700000000123456789ULL, UINT64_MAX };
	static const int64_t is[] = { 0, -1, -99, INT64_MIN, INT64_MAX };
	struct writer j;
	struct buf b;
	char want[32];

	buf_init(&b, 4096);
	for (size_t i = 0; i < ARRAY_SIZE(us); i++)
		check_u64(&b, us[i]);
	for (uint64_t ten = 10; ten < UINT64_MAX / 10; ten *= 10)
		for (uint64_t v = ten - 1; v <= ten + 1; v++)
			check_u64(&b, v);
	for (uint64_t v = 0; v < 20000; v++) /* each pair and each four of digits */
		check_u64(&b, v * 100010001);
	for (size_t i = 0; i < ARRAY_SIZE(is); i++) {
		buf_reset(&b);
		writer_begin(&j, &b);
		json_i64(&j, is[i]);
		CHECK_INT(writer_end(&j), 0);
		snprintf(want, sizeof(want), "%lld", (long long)is[i]);
		CHECK_SLICE(buf_slice(&b), want);
	}
	buf_fini(&b);
}

static void test_json__doubles_that_json_does_not_know(void)
{
	struct writer j;
	struct buf b;

	buf_init(&b, 4096);
	writer_begin(&j, &b);
	json_double(&j, NAN);
	json_double(&j, INFINITY);
	json_double(&j, -INFINITY);
	json_double(&j, 0.5);
	CHECK_INT(writer_end(&j), 0);
	CHECK_SLICE(buf_slice(&b), "\"NaN\"\"Infinity\"\"-Infinity\"0.5");
	buf_fini(&b);
}

static void test_otlp_json__exact_text(void)
{
	struct span *s = fake_bare(5, &fake_resources[0]);
	struct buf b;

	memset(s->parent_id, 0xbb, 8);
	s->trace_state = SLICE("a=b");
	s->d.status = STATUS_ERROR;
	s->d.dropped_attrs = 2;
	fake_attr(s, attr_s("k", SLICE("v\n")));
	fake_attr(s, (struct attr){ .key = SLICE("l"), .type = ATTR_STRINGS, .strings = { fake_values, 2 } });
	buf_init(&b, 1 << 20);
	buf_append(&b, "before ", 7);
	CHECK_INT(otlp_json_encode(&s, 1, "9", &b), 0);
	CHECK_SLICE(buf_slice(&b),
		    "before {\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
		    "{\"stringValue\":\"shop\"}},{\"key\":\"process.pid\",\"value\":{\"intValue\":\"4711\"}}]},"
		    "\"scopeSpans\":[{\"scope\":{\"name\":\"spandrel\",\"version\":\"9\"},\"spans\":["
		    "{\"traceId\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\",\"spanId\":\"ff00000000000005\","
		    "\"traceState\":\"a=b\",\"parentSpanId\":\"bbbbbbbbbbbbbbbb\",\"flags\":257,\"name\":\"GET\","
		    "\"kind\":2,\"startTimeUnixNano\":\"1700000000123461789\",\"endTimeUnixNano\":\"1700000000135807467\","
		    "\"attributes\":[{\"key\":\"k\",\"value\":{\"stringValue\":\"v\\n\"}},{\"key\":\"l\",\"value\":"
		    "{\"arrayValue\":{\"values\":[{\"stringValue\":\"one\"},{\"stringValue\":\"t\\\"wo\\n\"}]}}}],"
		    "\"droppedAttributesCount\":2,\"status\":{\"code\":2}}],"
		    "\"schemaUrl\":\"https://opentelemetry.io/schemas/1.44.0\"}],"
		    "\"schemaUrl\":\"https://opentelemetry.io/schemas/1.44.0\"}]}");
	buf_fini(&b);
	span_free(s);
}

static void test_otlp_json__a_small_buffer_is_left_as_it_was(void)
{
	struct span *spans[4];
	size_t whole;
	struct buf b;

	for (unsigned i = 0; i < 4; i++)
		spans[i] = fake_full(i, &fake_resources[i % 3]);
	buf_init(&b, 1 << 20);
	CHECK_INT(otlp_json_encode(spans, 4, "9", &b), 0);
	whole = b.n;
	buf_fini(&b);
	for (size_t max = 10; max < whole; max += 37) {
		buf_init(&b, max);
		buf_append(&b, "before", 6);
		CHECK_INT(otlp_json_encode(spans, 4, "9", &b), -EMSGSIZE);
		CHECK_SLICE(buf_slice(&b), "before");
		CHECK(!b.failed);
		buf_fini(&b);
	}
	free_spans(spans, 4);
}

static bool write_file(const char *path, struct slice s)
{
	_fclose_ FILE *f = fopen(path, "w");

	return f && fwrite(s.p, 1, s.n, f) == s.n;
}

static bool same_by_python(const char *dir, struct slice pb, struct slice json)
{
	char a[128], b[128], command[512];

	snprintf(a, sizeof(a), "%s/a.pb", dir);
	snprintf(b, sizeof(b), "%s/b.json", dir);
	snprintf(command, sizeof(command), "python3 " PYTHON_CHECK " %s %s", a, b);
	return write_file(a, pb) && write_file(b, json) && system(command) == 0;
}

static void test_otlp_json__says_what_protobuf_says(void)
{
	char dir[] = "/tmp/otlp_json.XXXXXX", command[64];
	struct span *spans[30];
	struct buf pb, json;
	_free_ char *huge = malloc(300000);

	REQUIRE(mkdtemp(dir));
	for (int i = 0; i < 300000; i++) /* no NUL, nothing above ASCII */
		huge[i] = (char)(1 + i % 127);
	for (unsigned i = 0; i < 30; i++)
		spans[i] = i % 2 ? fake_full(i, &fake_resources[i % 3]) : fake_bare(i, i % 7 ? &fake_resources[0] : NULL);
	fake_attr(spans[3], (struct attr){ .key = SLICE("nan"), .type = ATTR_DOUBLE, .d = NAN });
	fake_attr(spans[3], (struct attr){ .key = SLICE("inf"), .type = ATTR_DOUBLE, .d = -INFINITY });
	fake_attr(spans[3], (struct attr){ .key = SLICE("tiny"), .type = ATTR_DOUBLE, .d = 5e-324 });
	fake_attr(spans[3], attr_s("huge", slice_of(huge, 300000)));
	fake_attr(spans[5], attr_s("bad", SLICE("\xff\xc0\xaf ok \xed\xa0\x80 \xe2\x82")));
	buf_init(&pb, 4 << 20);
	buf_init(&json, 4 << 20);
	CHECK_INT(otlp_encode(spans, 30, "1", &pb), 0);
	CHECK_INT(otlp_json_encode(spans, 30, "1", &json), 0);
	CHECK(same_by_python(dir, buf_slice(&pb), buf_slice(&json)));
	spans[4]->flags ^= 1; /* and the comparison can fail */
	buf_reset(&json);
	CHECK_INT(otlp_json_encode(spans, 30, "1", &json), 0);
	CHECK(!same_by_python(dir, buf_slice(&pb), buf_slice(&json)));
	buf_fini(&pb);
	buf_fini(&json);
	free_spans(spans, 30);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	CHECK_INT(system(command), 0);
}

int main(void)
{
	RUN(test_json__text_escapes_what_must_be);
	RUN(test_json__every_byte_at_every_place);
	RUN(test_json__numbers);
	RUN(test_json__doubles_that_json_does_not_know);
	RUN(test_otlp_json__exact_text);
	RUN(test_otlp_json__a_small_buffer_is_left_as_it_was);
	if (system("python3 -c pass 2>/dev/null"))
		SKIP("test_otlp_json__says_what_protobuf_says", "no python3");
	else
		RUN(test_otlp_json__says_what_protobuf_says);
	return tap_done();
}
