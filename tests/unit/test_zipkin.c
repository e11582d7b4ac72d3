// SPDX-License-Identifier: Apache-2.0
/* Zipkin v2 JSON, to the byte; live tests ask a real Zipkin what it understood. */
#include "fake_spans.h"
#include "tap.h"

#include "base/buf.h"
#include "export/http_format.h"

static char text[64 * 1024];

static const char *encode(struct span **spans, uint32_t n)
{
	struct buf out;

	buf_init(&out, sizeof(text) - 1);
	if (http_zipkin.encode(spans, n, "1.2", &out))
		snprintf(text, sizeof(text), "error");
	else
		snprintf(text, sizeof(text), "%.*s", (int)out.n, out.p);
	buf_fini(&out);
	free_spans(spans, n);
	return text;
}

#define HEAD "[{\"traceId\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\",\"id\":\"ff00000000000001\""
#define SCOPE "\"otel.scope.name\":\"spandrel\",\"otel.scope.version\":\"1.2\""

static void test_zipkin__exact_text(void)
{
	struct span *s = fake_bare(1, &fake_resources[0]);

	memset(s->parent_id, 0xbb, 8);
	s->kind = SPAN_CLIENT;
	s->d.status = STATUS_ERROR;
	s->d.name = SLICE("GET /Über");
	s->end = s->start + 999;
	fake_attr(s, attr_s("server.address", SLICE("Shop.Example")));
	fake_attr(s, attr_i("server.port", 8080));
	fake_attr(s, attr_s("network.peer.address", SLICE("2001:db8::1")));
	fake_attr(s, attr_i("network.peer.port", 8443));
	fake_attr(s, attr_i("process.pid", 1));
	fake_attr(s, attr_s("error", SLICE("left out")));
	CHECK_SLICE(slice_str(encode(&s, 1)),
		    HEAD ",\"parentId\":\"bbbbbbbbbbbbbbbb\",\"name\":\"get /Über\",\"kind\":\"CLIENT\",\"timestamp\":1700000000123457,"
			 "\"duration\":1,\"localEndpoint\":{\"serviceName\":\"shop\"},"
			 "\"remoteEndpoint\":{\"serviceName\":\"shop.example\",\"ipv6\":\"2001:db8::1\",\"port\":8443},"
			 "\"tags\":{\"server.address\":\"Shop.Example\",\"server.port\":\"8080\",\"network.peer.address\":\"2001:db8::1\","
			 "\"network.peer.port\":\"8443\",\"process.pid\":\"1\",\"service.name\":\"shop\"," SCOPE
			 ",\"otel.status_code\":\"ERROR\",\"error\":\"\"}}]");
}

static void test_zipkin__little_is_left_out(void)
{
	struct span *s = fake_bare(1, NULL);

	s->kind = SPAN_INTERNAL;
	s->d.name = SLICE_NONE;
	s->d.dropped_attrs = 2;
	fake_attr(s, attr_s("network.peer.address", SLICE("/run/a.sock"))); /* no address */
	CHECK_SLICE(slice_str(encode(&s, 1)),
		    HEAD ",\"timestamp\":1700000000123457,\"duration\":12345,\"tags\":{\"network.peer.address\":\"/run/a.sock\"," SCOPE
			 ",\"otel.dropped_attributes_count\":\"2\"}}]");
	CHECK_SLICE(slice_str(encode(&s, 0)), "[]");
}

static void test_zipkin__values_are_text(void)
{
	struct span *s = fake_bare(1, NULL);

	fake_attr(s, (struct attr){ .key = SLICE("list"), .type = ATTR_STRINGS, .strings = { fake_values, 2 } });
	fake_attr(s, (struct attr){ .key = SLICE("none"), .type = ATTR_STRINGS });
	fake_attr(s, (struct attr){ .key = SLICE("yes"), .type = ATTR_BOOL, .b = true });
	fake_attr(s, (struct attr){ .key = SLICE("half"), .type = ATTR_DOUBLE, .d = 0.5 });
	fake_attr(s, attr_i("least", INT64_MIN));
	fake_attr(s, attr_s("bad", SLICE("\xff\"")));
	encode(&s, 1);
	CHECK(strstr(text, "\"list\":\"[\\\"one\\\",\\\"t\\\\\\\"wo\\\\n\\\"]\""));
	CHECK(strstr(text, "\"none\":\"[]\",\"yes\":\"true\",\"half\":\"0.5\",\"least\":\"-9223372036854775808\""));
	CHECK(strstr(text, "\"bad\":\"\xef\xbf\xbd\\\"\""));
}

/* Lower case is made in pieces, which do not cut characters. */
static void test_zipkin__long_names(void)
{
	for (unsigned shift = 0; shift < 6; shift++) {
		struct span *s = fake_bare(1, NULL);
		char name[300], want[320];
		size_t n = shift;

		memset(name, 'A', sizeof(name));
		while (n + 4 < 290) {
			memcpy(name + n, "\xf0\x9f\x98\x80", 4);
			n += 4;
		}
		s->d.name = slice_of(name, n);
		encode(&s, 1);
		memset(name, 'a', shift);
		snprintf(want, sizeof(want), "\"name\":\"%.*s\"", (int)n, name);
		CHECK(strstr(text, want) != NULL);
	}
}

static void test_zipkin__a_small_buffer_is_left_as_it_was(void)
{
	struct span *s = fake_full(1, &fake_resources[0]);
	struct buf out;

	for (size_t max = 1; max < 2000; max += 7) {
		buf_init(&out, max);
		CHECK(http_zipkin.encode(&s, 1, "1", &out) < 0 ? !out.n : out.n > 500);
		buf_fini(&out);
	}
	span_free(s);
}

int main(void)
{
	RUN(test_zipkin__exact_text);
	RUN(test_zipkin__little_is_left_out);
	RUN(test_zipkin__values_are_text);
	RUN(test_zipkin__long_names);
	RUN(test_zipkin__a_small_buffer_is_left_as_it_was);
	return tap_done();
}
