// SPDX-License-Identifier: Apache-2.0
/*
 * Semantic conventions for HTTP spans: name, status, attributes. What was not seen is left out. error.type is the status
 * code, or one of: connection_closed, connection_reset, the name of an HTTP/2 error code (RFC 9113 §7), stream_reset for
 * a code without a name. A client that cancels its request on purpose makes no error.
 */
#include "proto/http_fill.h"

#include <stdio.h>

#include "base/scope.h"
#include "proto/grpc.h"

#define H2_NO_ERROR 0
#define H2_CANCEL 8

__attribute__((weak)) struct slice http2_error_name(uint32_t code) /* until HTTP/2's own */
{
	(void)code;
	return SLICE_NONE;
}

/* ---- who was asked, and by whom ---- */

static int default_port(const struct http_view *v)
{
	return slice_eq(v->scheme, SLICE("https")) ? 443 : slice_eq(v->scheme, SLICE("http")) ? 80 : 0;
}

void http_put_server(struct description *d, const struct http_view *v)
{
	bool server = v->call->server;
	struct slice name = v->server.host;
	int port = v->server.port ? v->server.port : default_port(v);

	if (!name.n && !server)
		name = http_view_unix(v, d);
	if (!name.n)
		return;
	describe_str_as(d, "server.address", server ? "net.host.name" : "net.peer.name", name);
	if (v->server.host.n && port)
		describe_int_as(d, "server.port", server ? "net.host.port" : "net.peer.port", port);
}

void http_put_peer(struct description *d, const struct http_view *v)
{
	const struct conn_info *conn = &v->call->conn;
	struct slice addr;

	if (conn->family != FAM_UNIX) {
		addr = describe_addr(d, conn->remote.addr);
		describe_str_as(d, "network.peer.address", "net.sock.peer.addr", addr);
		describe_int_as(d, "network.peer.port", "net.sock.peer.port", conn->remote.port);
		return;
	}
	describe_str_as(d, "network.transport", "net.transport", SLICE("unix"));
	if (!v->call->server && conn->path_len) /* the server's peer has no name as a rule */
		describe_str_as(d, "network.peer.address", "net.sock.peer.addr", http_view_unix(v, d));
}

static void put_version(struct description *d, const struct http_view *v)
{
	char text[4] = { '1', '.', (char)('0' + v->req->minor), 0 };

	if (v->req->major == 2) {
		describe_str_as(d, "network.protocol.version", NULL, SLICE("2"));
		describe_str_as(d, NULL, "http.flavor", SLICE("2.0"));
	} else {
		describe_str_as(d, "network.protocol.version", "http.flavor", arena_copy(d->arena, slice_str(text)));
	}
}

static void put_client(struct description *d, const struct http_view *v)
{
	struct slice client;

	if (!v->call->server)
		return;
	client = http_view_client(v, d);
	if (client.n)
		describe_str_as(d, "client.address", "http.client_ip", client);
	if (v->req->known[H1_USER_AGENT].n)
		describe_str_as(d, "user_agent.original", "http.user_agent", v->req->known[H1_USER_AGENT]);
}

/* ---- what was asked for ---- */

static void put_full_url(struct description *d, const struct http_view *v)
{
	const struct http1_target *t = &v->target;
	bool other = t->scheme.n && !slice_eq_nocase(t->scheme, SLICE("http")) && !slice_eq_nocase(t->scheme, SLICE("https"));
	struct slice parts[7] = { other ? t->scheme : v->scheme, SLICE("://") };
	size_t n = 2;

	if (!v->server.host.n || !parts[0].n || (!t->path.n && !t->authority.n))
		return;
	if (t->userinfo.p)
		parts[n++] = slice_find(t->userinfo, ':') >= 0 ? SLICE("REDACTED:REDACTED@") : SLICE("REDACTED@");
	parts[n++] = v->authority;
	if (!slice_eq(t->path, SLICE("*")))
		parts[n++] = t->path;
	if (t->query.p) {
		parts[n++] = SLICE("?");
		parts[n++] = describe_redact_query(d, t->query);
	}
	parts[0] = describe_join(d, parts, n);
	if (parts[0].n)
		describe_str_as(d, "url.full", "http.url", parts[0]);
}

static void put_url(struct description *d, const struct http_view *v)
{
	const struct http1_target *t = &v->target;
	struct slice parts[3] = { t->path, SLICE("?") };

	if (!v->call->server) {
		put_full_url(d, v);
		return;
	}
	if (v->scheme.n)
		describe_str_as(d, "url.scheme", "http.scheme", v->scheme);
	if (t->query.n)
		parts[2] = describe_redact_query(d, t->query);
	if (t->path.n)
		describe_str_as(d, "url.path", parts[2].n ? NULL : "http.target", t->path);
	if (!parts[2].n)
		return;
	describe_str_as(d, "url.query", NULL, parts[2]);
	if (t->path.n && describe_wants(d, SEMCONV_LEGACY))
		describe_str_as(d, NULL, "http.target", describe_join(d, parts, 3));
}

/* ---- method, status, captured fields ---- */

static void put_method(struct description *d, const struct http_view *v)
{
	struct slice method = v->req->method;
	bool known = http1_method_known(method);

	describe_name(d, known ? method : SLICE("HTTP"));
	if (!method.n)
		return;
	describe_str_as(d, "http.request.method", NULL, known ? method : SLICE("_OTHER"));
	describe_str_as(d, NULL, "http.method", method);
	if (!known)
		describe_str_as(d, "http.request.method_original", NULL, method);
}

static bool cancelled(const struct http2_end *end)
{
	return end->reset == RESET_BY_CLIENT && (end->code == H2_CANCEL || end->code == H2_NO_ERROR);
}

static void put_status(struct description *d, const struct http_view *v)
{
	struct slice reset;
	char code[8];

	if (v->resp && v->resp->status)
		describe_int_as(d, "http.response.status_code", "http.status_code", v->resp->status);
	if (v->call->end == CALL_CLOSED) {
		describe_error(d, SLICE("connection_closed"));
	} else if (v->call->end == CALL_RESET) {
		describe_error(d, SLICE("connection_reset"));
	} else if (v->end && v->end->reset && !cancelled(v->end)) {
		reset = http2_error_name(v->end->code);
		describe_error(d, reset.n ? reset : SLICE("stream_reset"));
	} else if (v->resp && v->resp->status >= (v->call->server ? 500 : 400)) {
		snprintf(code, sizeof(code), "%u", v->resp->status);
		describe_error(d, arena_copy(d->arena, slice_str(code)));
	}
}

/* Where old and new names have the same prefix, the old ones have `_` for `-` (HTTP before 1.21). */
static struct slice captured_key(struct description *d, const char *prefix, struct slice name, bool underscores)
{
	struct slice key = describe_join(d, (struct slice[]){ slice_str(prefix), name }, 2);

	for (size_t i = strlen(prefix); underscores && i < key.n; i++)
		if (key.p[i] == '-')
			((char *)key.p)[i] = '_';
	return key;
}

static void put_lines(struct description *d, struct slice name, const struct slice *values, size_t n, const char *stable,
		      const char *legacy)
{
	const struct {
		uint8_t semconv;
		const char *prefix;
		bool underscores;
	} ways[] = { { SEMCONV_STABLE, stable, false }, { SEMCONV_LEGACY, legacy, !strcmp(stable, legacy) } };

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct slice key = SLICE_NONE;

		if (describe_wants(d, ways[i].semconv))
			key = captured_key(d, ways[i].prefix, name, ways[i].underscores);
		if (key.n)
			describe_strs(d, key, values, n);
	}
}

void http_put_captured(struct description *d, const struct http1_message *m, const char *stable, const char *legacy)
{
	struct slice values[HTTP1_CAPTURE_MAX];

	for (unsigned i = 0; m && i < m->n_captured; i++) {
		const struct http1_captured *c = &m->captured[i];
		size_t n = 0;

		for (unsigned j = 0; j < m->n_captured && n < ARRAY_SIZE(values); j++) {
			if (m->captured[j].index != c->index)
				continue;
			if (j < i)
				break; /* its name's lines are out already */
			values[n++] = m->captured[j].value;
		}
		if (n)
			put_lines(d, c->name, values, n, stable, legacy);
	}
}

void http_fill(struct description *d, const struct call *call)
{
	struct http_view v;

	http_view_init(&v, d, call);
	if (grpc_call(call)) {
		grpc_fill(d, &v);
		return;
	}
	put_method(d, &v);
	put_status(d, &v);
	http_put_server(d, &v);
	put_url(d, &v);
	put_client(d, &v);
	http_put_peer(d, &v);
	put_version(d, &v);
	http_put_captured(d, v.req, "http.request.header.", "http.request.header.");
	http_put_captured(d, v.resp, "http.response.header.", "http.response.header.");
}
