// SPDX-License-Identifier: Apache-2.0
/* What answers mean, format by format; framing; answers that are no answers. */
#include "fake_spans.h"
#include "tap.h"

#include "base/clock.h"
#include "export/http_format.h"
#include "export/json_read.h"

#define FIELDS(text) ((struct slice){ (text), sizeof(text) - 1 })

static struct http_verdict judge(const struct http_format_ops *f, struct post_answer a)
{
	struct http_verdict v;

	memset(&v, 0xff, sizeof(v)); /* nothing of before may show */
	a.error = "";
	f->judge(&a, &v);
	return v;
}

static void test_http_format__fate_by_status(void)
{
	static const struct {
		long status;
		int fate;
	} cases[] = { { 0, FATE_LATER },    { 200, FATE_TAKEN },   { 202, FATE_TAKEN },	  { 204, FATE_TAKEN },
		      { 301, FATE_REFUSED }, { 307, FATE_REFUSED }, { 400, FATE_REFUSED }, { 401, FATE_REFUSED },
		      { 404, FATE_REFUSED }, { 408, FATE_REFUSED }, { 413, FATE_TOO_LARGE }, { 429, FATE_LATER },
		      { 500, FATE_REFUSED }, { 501, FATE_REFUSED }, { 502, FATE_LATER },   { 503, FATE_LATER },
		      { 504, FATE_LATER },   { 505, FATE_REFUSED } };
	static const struct http_format_ops *const formats[] = { &http_otlp, &http_otlp_json, &http_zipkin };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
			struct http_verdict v = judge(formats[f], (struct post_answer){ .status = cases[i].status, .retry_after = 7 });

			CHECK_INT(v.fate, cases[i].fate);
			CHECK_INT(v.wait, cases[i].fate == FATE_LATER ? 7 : 0);
			CHECK_INT(v.grpc, -1);
		}
}

static struct http_verdict call(struct slice fields)
{
	return judge(&http_grpc, (struct post_answer){ .status = 200, .fields = fields });
}

static void test_http_format__fate_by_grpc_status(void)
{
	static const int later[] = { 1, 4, 10, 11, 14, 15 };

	for (int code = 0; code < 20; code++) {
		int want = code ? FATE_REFUSED : FATE_TAKEN;
		struct http_verdict v;
		char text[32];

		for (size_t i = 0; i < ARRAY_SIZE(later); i++)
			want = code == later[i] ? FATE_LATER : want;
		want = code == 8 ? FATE_TOO_LARGE : want;
		snprintf(text, sizeof(text), "grpc-status: %d\r\n", code);
		v = call(slice_str(text));
		CHECK_INT(v.fate, want);
		CHECK_INT(v.grpc, code);
		CHECK_INT(v.wait, 0);
	}
}

/* code 8, ErrorInfo, RetryInfo of 2.5 s; as grpc-go writes it */
#define DETAILS \
	"CAgSB2JlY2F1c2UaLQoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLkVycm9ySW5mbxIBARo2Cih0eXBlLmdvb2ds" \
	"ZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgoKCAgCEIDKte4B"

static void test_http_format__retry_info(void)
{
	struct http_verdict v = call(FIELDS("grpc-status: 8\r\ngrpc-status-details-bin: " DETAILS "\r\n"));

	CHECK_INT(v.fate, FATE_LATER);
	CHECK_INT(v.wait, 2500 * NS_PER_MS);
	CHECK(!strcmp(v.text, "because"));
	v = call(FIELDS("grpc-status: 14\r\ngrpc-message: a%20%c3%a9%zz%\r\ngrpc-status-details-bin: " DETAILS "==,x\r\n"));
	CHECK_INT(v.wait, 2500 * NS_PER_MS);
	CHECK(!strcmp(v.text, "a \xc3\xa9%zz%"));
	v = call(FIELDS("grpc-status: 8\r\ngrpc-status-details-bin: !\r\n"));
	CHECK_INT(v.fate, FATE_TOO_LARGE);
}

static void test_http_format__calls_without_a_status(void)
{
	struct post_answer a = { .status = 200 };

	CHECK_INT(judge(&http_grpc, a).fate, FATE_REFUSED); /* no gRPC at all */
	a.broken = true;
	CHECK_INT(judge(&http_grpc, a).fate, FATE_LATER);
	CHECK_INT(judge(&http_grpc, (struct post_answer){ 0 }).fate, FATE_LATER);
	CHECK_INT(judge(&http_grpc, (struct post_answer){ .status = 503, .retry_after = 9 }).wait, 9);
	CHECK_INT(judge(&http_grpc, (struct post_answer){ .status = 413 }).fate, FATE_TOO_LARGE);
	CHECK_INT(judge(&http_grpc, (struct post_answer){ .status = 404 }).fate, FATE_REFUSED);
	CHECK_INT(call(FIELDS("grpc-status: x\r\n")).fate, FATE_REFUSED);
	CHECK_INT(call(FIELDS("grpc-status: 14\r\ngrpc-status: 0\r\n")).fate, FATE_TAKEN); /* the trailer comes last */
}

/* rejected_spans and error_message; a message that ends early says nothing. */
static void test_http_format__partial_success(void)
{
	static const char whole[] = "\x0a\x06\x08\x03\x12\x02no";
	struct slice body = { whole, sizeof(whole) - 1 };
	struct http_verdict v = judge(&http_otlp, (struct post_answer){ .status = 200, .body = body });
	char framed[32] = { 0, 0, 0, 0, 8 };

	CHECK_INT(v.rejected, 3);
	CHECK(!strcmp(v.text, "no"));
	for (size_t n = 0; n < body.n; n++) {
		v = judge(&http_otlp, (struct post_answer){ .status = 200, .body = slice_to(body, n) });
		CHECK_INT(v.fate, FATE_TAKEN);
		CHECK_INT(v.rejected, 0);
	}
	memcpy(framed + 5, whole, sizeof(whole));
	v = judge(&http_grpc, (struct post_answer){ .fields = FIELDS("grpc-status: 0\r\n"), .body = slice_of(framed, 5 + body.n) });
	CHECK_INT(v.rejected, 3);
	v = judge(&http_otlp, (struct post_answer){ .status = 200, /* -1 */
						    .body = FIELDS("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") });
	CHECK_INT(v.rejected, 0);
	v = judge(&http_otlp_json, (struct post_answer){ .status = 200,
		.body = FIELDS(" {\"x\":[{\"a\":\"}\\\"\"}], \"partialSuccess\" : {\"rejectedSpans\":\"7\",\"errorMessage\": \"no\"} }") });
	CHECK_INT(v.rejected, 7);
	CHECK(!strcmp(v.text, "no"));
	v = judge(&http_otlp_json, (struct post_answer){ .status = 200, .body = FIELDS("{\"partialSuccess\":{\"rejectedSpans\":2}}") });
	CHECK_INT(v.rejected, 2);
	v = judge(&http_otlp_json, (struct post_answer){ .status = 400, .body = FIELDS("{\"code\":3,\"message\":\"bad\"}") });
	CHECK(!strcmp(v.text, "bad"));
}

static void test_http_format__json_that_is_none(void)
{
	static const char *const bad[] = { "", "{", "{\"", "{\"a\"", "{\"a\":", "{\"a\":\"", "{\"a\":[", "[\"a\"]", "{\"b\":1 \"a\":2}", "null",
					   "{\"b\":{\"a\":1}}", "{\"a\\\":1}", "{\"a\":}", "{:1}" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(!json_member(slice_str(bad[i]), SLICE("a")).n);
	CHECK_SLICE(json_member(SLICE("{\"b\":{\"a\":1},\"a\":[1,{\"c\":\"]\"}] ,\"d\":0}"), SLICE("a")), "[1,{\"c\":\"]\"}]");
	CHECK_SLICE(json_member(SLICE("\n{ \"a\" :\t-1.5e3\n}"), SLICE("a")), "-1.5e3");
}

static void test_http_format__bodies(void)
{
	struct buf body;

	buf_init(&body, 4096);
	REQUIRE(!http_format_body(&http_otlp, false, SLICE("abc"), &body));
	CHECK_SLICE(buf_slice(&body), "abc");
	REQUIRE(!http_format_body(&http_grpc, false, SLICE("abc"), &body));
	CHECK(slice_eq(buf_slice(&body), SLICE("\0\0\0\0\3abc")));
	REQUIRE(!http_format_body(&http_grpc, true, SLICE("abc"), &body));
	CHECK(body.n > 5 + 10 && body.p[0] == 1 && (size_t)body.p[4] == body.n - 5 && (uint8_t)body.p[5] == 0x1f);
	REQUIRE(!http_format_body(&http_grpc, false, SLICE_NONE, &body));
	CHECK(slice_eq(buf_slice(&body), SLICE("\0\0\0\0\0")));
	buf_fini(&body);
}

int main(void)
{
	RUN(test_http_format__fate_by_status);
	RUN(test_http_format__fate_by_grpc_status);
	RUN(test_http_format__retry_info);
	RUN(test_http_format__calls_without_a_status);
	RUN(test_http_format__partial_success);
	RUN(test_http_format__json_that_is_none);
	RUN(test_http_format__bodies);
	return tap_done();
}
