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

/* ---- who was asked, and by whom ---- */

static int default_port(const struct http_view *v)
{
	return slice_eq(v->scheme, SLICE("https")) ? 443 : slice_eq(v->scheme, SLICE("http")) ? 80 : 0;
}

void http_put_server(struct description *d, const struct http_view *v)
{
	struct slice name = v->server.host;
	int port = v->server.port ? v->server.port : default_port(v);

	if (!name.n && !v->call->server)
		name = http_view_unix(v, d);
	if (!name.n)
		return;
	describe_str(d, "server.address", name);
	if (v->server.host.n && port)
		describe_int(d, "server.port", port);
}

void http_put_peer(struct description *d, struct http_view *v)
{
	const struct conn_info *conn = &v->call->conn;
	struct slice addr;

	if (!conn->family)
		return;
	if (conn->family != FAM_UNIX) {
		addr = http_view_peer(v, d);
		describe_str(d, "network.peer.address", addr);
		describe_int(d, "network.peer.port", conn->remote.port);
		return;
	}
	describe_str(d, "network.transport", SLICE("unix"));
	if (!v->call->server && conn->path_len) /* the server's peer has no name as a rule */
		describe_str(d, "network.peer.address", http_view_unix(v, d));
}

static void put_version(struct description *d, const struct http_view *v)
{
	static const char texts[] = "1.01.11.21.31.41.51.61.71.81.9";

	if (v->req->major == 2)
		describe_str(d, "network.protocol.version", SLICE("2"));
	else
		describe_str(d, "network.protocol.version", slice_of(texts + 3 * (v->req->minor % 10), 3));
}

static void put_client(struct description *d, struct http_view *v)
{
	struct slice client;

	if (!v->call->server)
		return;
	client = http_view_client(v, d);
	if (client.n)
		describe_str(d, "client.address", client);
	if (v->req->known[H1_USER_AGENT].n)
		describe_str(d, "user_agent.original", v->req->known[H1_USER_AGENT]);
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
		describe_str(d, "url.full", parts[0]);
}

static void put_url(struct description *d, const struct http_view *v)
{
	const struct http1_target *t = &v->target;

	if (!v->call->server) {
		put_full_url(d, v);
		return;
	}
	if (v->scheme.n)
		describe_str(d, "url.scheme", v->scheme);
	if (t->path.n)
		describe_str(d, "url.path", t->path);
	if (t->query.n)
		describe_str(d, "url.query", describe_redact_query(d, t->query));
}

/* ---- method, status, captured fields ---- */

static void put_method(struct description *d, const struct http_view *v)
{
	struct slice method = v->req->method;
	bool known = http1_method_known(method);

	describe_name(d, known ? method : SLICE("HTTP"));
	if (!method.n)
		return;
	describe_str(d, "http.request.method", known ? method : SLICE("_OTHER"));
	if (!known)
		describe_str(d, "http.request.method_original", method);
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
		describe_int(d, "http.response.status_code", v->resp->status);
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

void http_put_captured(struct description *d, const struct http1_message *m, struct slice prefix)
{
	struct slice values[HTTP1_CAPTURE_MAX];

	for (unsigned i = 0; m && i < m->n_captured; i++) {
		const struct http1_captured *c = &m->captured[i];
		struct slice key;
		size_t n = 0;

		for (unsigned j = 0; j < m->n_captured && n < ARRAY_SIZE(values); j++) {
			if (m->captured[j].index != c->index)
				continue;
			if (j < i)
				break; /* its name's lines are out already */
			values[n++] = m->captured[j].value;
		}
		key = n ? describe_join(d, (struct slice[]){ prefix, c->name }, 2) : SLICE_NONE;
		if (key.n)
			describe_strs(d, key, values, n);
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
	http_put_captured(d, v.req, SLICE("http.request.header."));
	http_put_captured(d, v.resp, SLICE("http.response.header."));
}
