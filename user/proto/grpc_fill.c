// SPDX-License-Identifier: Apache-2.0
/* Semantic conventions for RPC spans. What they have no name for is spandrel.grpc.*. */
#include <inttypes.h>
#include <stdio.h>

#include "base/scope.h"
#include "proto/grpc.h"

#define UNIMPLEMENTED 12
#define NS_IN_MS 1000000

/*
 * Did the server know the method? A handler may say UNIMPLEMENTED too, but in its own words; these are what the libraries say
 * (C++ and Python, Java, Go, Node, .NET), and tonic says nothing.
 */
static bool method_unknown(const struct http_view *v, int64_t code)
{
	static const char *const words[] = { "Method not found", "unknown service", "unknown method", "malformed method name",
					     "The server does not implement the method", "Service is unimplemented",
					     "Method is unimplemented" };
	struct slice message;

	if (!v->call->server || code != UNIMPLEMENTED)
		return false;
	message = v->resp->known[H1_GRPC_MESSAGE];
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (slice_starts(message, slice_str(words[i])))
			return true;
	return !message.n;
}

static void put_method(struct description *d, const struct http_view *v, int64_t code)
{
	struct slice method = grpc_method(v->call);

	describe_str(d, "rpc.system.name", SLICE("grpc"));
	if (!method.n || method_unknown(v, code)) {
		describe_name(d, SLICE("grpc"));
		if (!v->req->target.n)
			return;
		describe_str(d, "rpc.method", SLICE("_OTHER"));
		describe_str(d, "rpc.method_original", method.n ? method : v->req->target);
	} else {
		describe_name(d, method);
		describe_str(d, "rpc.method", method);
	}
}

static void put_status(struct description *d, const struct http_view *v, int64_t code)
{
	struct slice name = grpc_status_name(code);
	char text[24];

	if (code == GRPC_UNKNOWN_CODE) {
		if (v->call->end == CALL_CLOSED || v->call->end == CALL_RESET)
			describe_error(d, v->call->end == CALL_RESET ? SLICE("connection_reset") : SLICE("connection_closed"));
		return;
	}
	if (!name.n) {
		snprintf(text, sizeof(text), "%" PRId64, code);
		name = arena_copy(d->arena, slice_str(text));
	}
	describe_str(d, "rpc.response.status_code", name);
	if (grpc_status_is_error(code, v->call->server))
		describe_error(d, name);
}

static void put_timeout(struct description *d, const struct http_view *v)
{
	uint64_t ns = grpc_timeout(v->req->known[H1_GRPC_TIMEOUT]);

	if (ns)
		describe_int(d, "spandrel.grpc.timeout_ms", (int64_t)(ns / NS_IN_MS + !!(ns % NS_IN_MS)));
}

/* ---- messages ---- */

static const char *const count_keys[2][3] = {
	{ "spandrel.grpc.request.messages", "spandrel.grpc.request.bytes", "spandrel.grpc.request.compressed" },
	{ "spandrel.grpc.response.messages", "spandrel.grpc.response.bytes", "spandrel.grpc.response.compressed" },
};

static void put_count(struct description *d, const struct grpc_count *c, const char *const keys[3])
{
	describe_int(d, keys[0], (int64_t)c->messages);
	describe_int(d, keys[1], (int64_t)c->bytes);
	if (c->compressed)
		describe_int(d, keys[2], (int64_t)c->compressed);
}

/* What the messages prove: a stream of one message looks like none. */
static void put_streaming(struct description *d, bool client, bool server)
{
	if (client || server)
		describe_str(d, "spandrel.grpc.streaming",
			     client && server ? SLICE("bidi") : client ? SLICE("client") : SLICE("server"));
}

static void put_counts(struct description *d, const struct http_view *v)
{
	const struct grpc_count *sent[2];

	for (uint8_t side = MSG_REQUEST; side <= MSG_RESPONSE; side++) {
		const struct grpc_count *c = http_view_sent(v, side);

		sent[side - 1] = c && !c->lost ? c : NULL;
		if (sent[side - 1])
			put_count(d, c, count_keys[side - 1]);
	}
	if (sent[0] && sent[1])
		put_streaming(d, sent[0]->messages > 1, sent[1]->messages > 1);
}

void grpc_fill(struct description *d, struct http_view *v)
{
	int64_t code = grpc_status(v);

	put_method(d, v, code);
	put_status(d, v, code);
	http_put_server(d, v);
	http_put_peer(d, v);
	put_timeout(d, v);
	put_counts(d, v);
	http_put_captured(d, v->req, SLICE("rpc.request.metadata."));
	http_put_captured(d, v->resp, SLICE("rpc.response.metadata."));
}
