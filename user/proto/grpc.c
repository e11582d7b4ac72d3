// SPDX-License-Identifier: Apache-2.0
/* Which calls are gRPC, and how they ended. */
#include "proto/grpc.h"

#include "base/scope.h"

enum { OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED,
       RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS,
       UNAUTHENTICATED };

static const struct {
	const char *name;
	bool server_error; /* semantic conventions for gRPC: what a server's span counts as an error */
} codes[GRPC_CODES] = {
	[OK] = { "OK", false },
	[CANCELLED] = { "CANCELLED", false },
	[UNKNOWN] = { "UNKNOWN", true },
	[INVALID_ARGUMENT] = { "INVALID_ARGUMENT", false },
	[DEADLINE_EXCEEDED] = { "DEADLINE_EXCEEDED", true },
	[NOT_FOUND] = { "NOT_FOUND", false },
	[ALREADY_EXISTS] = { "ALREADY_EXISTS", false },
	[PERMISSION_DENIED] = { "PERMISSION_DENIED", false },
	[RESOURCE_EXHAUSTED] = { "RESOURCE_EXHAUSTED", false },
	[FAILED_PRECONDITION] = { "FAILED_PRECONDITION", false },
	[ABORTED] = { "ABORTED", false },
	[OUT_OF_RANGE] = { "OUT_OF_RANGE", false },
	[UNIMPLEMENTED] = { "UNIMPLEMENTED", true },
	[INTERNAL] = { "INTERNAL", true },
	[UNAVAILABLE] = { "UNAVAILABLE", true },
	[DATA_LOSS] = { "DATA_LOSS", true },
	[UNAUTHENTICATED] = { "UNAUTHENTICATED", false },
};

struct slice grpc_status_name(int64_t code)
{
	return code >= 0 && code < GRPC_CODES ? slice_str(codes[code].name) : SLICE_NONE;
}

bool grpc_status_is_error(int64_t code, bool server)
{
	if (code == GRPC_UNKNOWN_CODE)
		return false;
	return server && code < GRPC_CODES ? codes[code].server_error : code != OK;
}

/* ---- which calls ---- */

/* The name, and then parameters, a subtype's suffix, or the end. */
static bool is_named(struct slice type, struct slice name)
{
	return slice_eq_nocase(slice_to(type, name.n), name) && (type.n == name.n || memchr("+; \t", type.p[name.n], 4));
}

bool grpc_content_type(struct slice type)
{
	static const struct slice common = { "application/grpc", 16 };
	struct slice rest = slice_from(type, common.n);

	if (type.n < common.n || strncasecmp(type.p, common.p, common.n))
		return false;
	return is_named(rest, SLICE("")) || is_named(rest, SLICE("-web")) || is_named(rest, SLICE("-web-text"));
}

/* What the request says decides; where that is hidden the answer may tell. */
bool grpc_call(const struct call *call)
{
	const struct http1_message *req = (const struct http1_message *)call->req;
	const struct http1_message *resp = (const struct http1_message *)call->resp;
	struct slice type = req->known[H1_CONTENT_TYPE];

	if (type.n || req->major != 2)
		return grpc_content_type(type);
	if (!resp || !http_view_hides(req, http2_message_of(call->req)->unknown, H1_CONTENT_TYPE))
		return false;
	return grpc_content_type(resp->known[H1_CONTENT_TYPE]) || resp->known[H1_GRPC_STATUS].n;
}

struct slice grpc_method(const struct call *call)
{
	struct slice path = ((const struct http1_message *)call->req)->target;
	ptrdiff_t query = slice_find(path, '?'), middle;

	if (!grpc_call(call))
		return SLICE_NONE;
	if (query >= 0)
		path = slice_to(path, (size_t)query);
	if (!path.n || path.p[0] != '/')
		return SLICE_NONE;
	path = slice_from(path, 1);
	middle = slice_find(path, '/');
	return middle > 0 && path.p[path.n - 1] != '/' ? path : SLICE_NONE;
}

/* ---- how they ended ---- */

#define SLACK_NS 5000000ULL /* between a deadline and the reset that it causes */

uint64_t grpc_timeout(struct slice value)
{
	static const char units[] = "HMSmun";
	static const uint64_t ns[] = { 3600000000000, 60000000000, 1000000000, 1000000, 1000, 1 };
	const char *unit;
	uint64_t n, total;

	if (value.n < 2 || value.n > 9 || !slice_u64(slice_to(value, value.n - 1), &n))
		return 0;
	unit = memchr(units, value.p[value.n - 1], sizeof(units) - 1);
	if (!unit)
		return 0;
	return __builtin_mul_overflow(n, ns[unit - units], &total) ? UINT64_MAX : total;
}

/* The header may be rounded up to two digits and more, and is written some time before it is seen. */
static bool deadline_over(const struct http_view *v)
{
	uint64_t timeout = grpc_timeout(v->req->known[H1_GRPC_TIMEOUT]), took = v->call->took;

	return timeout && took && took + took / 50 + SLACK_NS >= timeout;
}

/* "gRPC over HTTP2", Errors. */
static int64_t from_reset(const struct http_view *v)
{
	static const uint8_t by_code[] = { INTERNAL, INTERNAL, INTERNAL, INTERNAL, INTERNAL, UNKNOWN, INTERNAL, UNAVAILABLE,
					   CANCELLED, INTERNAL, INTERNAL, RESOURCE_EXHAUSTED, PERMISSION_DENIED, UNKNOWN };
	uint32_t code = v->end->code;

	if (v->end->reset == RESET_BY_GOAWAY)
		return UNAVAILABLE;
	if (code >= ARRAY_SIZE(by_code))
		return UNKNOWN;
	return by_code[code] == CANCELLED && deadline_over(v) ? DEADLINE_EXCEEDED : by_code[code];
}

/* "HTTP to gRPC Status Code Mapping". */
static int64_t from_http(uint16_t status)
{
	switch (status) {
	case 0:
		return GRPC_UNKNOWN_CODE;
	case 400:
	case 431:
		return INTERNAL;
	case 401:
		return UNAUTHENTICATED;
	case 403:
		return PERMISSION_DENIED;
	case 404:
		return UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return UNAVAILABLE;
	default:
		return UNKNOWN;
	}
}

static bool says_web(const struct http1_message *m)
{
	struct slice web = SLICE("application/grpc-web");

	return slice_eq_nocase(slice_to(m->known[H1_CONTENT_TYPE], web.n), web);
}

static bool is_web(const struct http_view *v)
{
	return v->req->major != 2 || says_web(v->req) || says_web(v->resp);
}

/* Answered, and without a status: is that sure, and what does it mean? */
static int64_t without_status(const struct http_view *v)
{
	if (v->end && v->end->reset)
		return from_reset(v);
	if (v->call->truncated || v->resp->m.truncated || (v->end && !v->end->whole))
		return GRPC_UNKNOWN_CODE;
	if (is_web(v) && v->resp->status == 200) /* it is in the body, which was not followed */
		return GRPC_UNKNOWN_CODE;
	return from_http(v->resp->status);
}

int64_t grpc_status(const struct http_view *v)
{
	bool broken = v->call->end == CALL_CLOSED || v->call->end == CALL_RESET;
	const struct grpc_count *body = http_view_sent(v, MSG_RESPONSE);
	uint64_t code;

	if (body && grpc_count_has_status(body))
		return body->web.status;
	if (v->resp && v->resp->known[H1_GRPC_STATUS].n)
		return slice_u64(v->resp->known[H1_GRPC_STATUS], &code) && code <= UINT32_MAX ? (int64_t)code : UNKNOWN;
	if (broken)
		return v->call->server ? GRPC_UNKNOWN_CODE : UNAVAILABLE;
	if (!v->resp || v->call->end != CALL_ANSWERED || http_view_hides(v->resp, v->resp_hidden, H1_GRPC_STATUS))
		return GRPC_UNKNOWN_CODE;
	return without_status(v);
}
