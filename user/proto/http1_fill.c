// SPDX-License-Identifier: Apache-2.0
/*
 * Semantic conventions for HTTP spans (stable): name, status, attributes. What was not seen is left out. error.type is
 * the status code, or one of: connection_closed, connection_reset.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/scope.h"
#include "proto/call.h"
#include "proto/describe.h"
#include "proto/http1.h"

#define SCHEME_PORT(scheme) (slice_eq((scheme), SLICE("https")) ? 443 : 80)

/* A call's request, taken apart once. */
struct view {
	const struct call *call;
	const struct http1_message *req, *resp;
	struct http1_target target;
	struct slice scheme;
	struct http1_authority server; /* host.n 0: not known */
	struct slice authority;	       /* as it stood, for url.full */
};

static struct slice joined(struct description *d, const struct slice *parts, size_t n)
{
	size_t total = 0, at = 0;
	char *p;

	for (size_t i = 0; i < n; i++)
		total += parts[i].n;
	p = arena_alloc(d->arena, total + 1);
	if (!p)
		return SLICE_NONE;
	for (size_t i = 0; i < n; i++) {
		if (parts[i].n)
			memcpy(p + at, parts[i].p, parts[i].n);
		at += parts[i].n;
	}
	return slice_of(p, total);
}

/* ---- who was asked ---- */

static struct slice first_of_list(struct slice list)
{
	struct slice first;

	return slice_split(&list, ',', &first) ? slice_trim(first) : SLICE_NONE;
}

static struct slice forwarded(const struct http1_message *req, struct slice name, enum http1_known other)
{
	struct slice value = http1_forwarded(req->known[H1_FORWARDED], name);

	return value.n ? value : first_of_list(req->known[other]);
}

static bool server_from(struct view *v, struct slice authority)
{
	if (!authority.n || !http1_authority(authority, &v->server))
		return false;
	v->authority = authority;
	return true;
}

/* An IP client that named no host still asked this address. */
static void server_from_peer(struct view *v, struct description *d)
{
	const struct endpoint *peer = &v->call->conn.remote;
	struct slice parts[3] = { SLICE("["), describe_addr(d, peer->addr), SLICE("]") };
	char text[8];

	if (v->call->conn.family == FAM_UNIX || !parts[1].n)
		return;
	v->server = (struct http1_authority){ .host = parts[1], .port = peer->port,
					      .v6 = slice_find(parts[1], ':') >= 0 };
	v->authority = v->server.v6 ? joined(d, parts, 3) : parts[1];
	if (peer->port != SCHEME_PORT(v->scheme)) {
		snprintf(text, sizeof(text), ":%u", peer->port);
		v->authority = joined(d, (struct slice[]){ v->authority, slice_str(text) }, 2);
	}
}

static void find_server(struct view *v, struct description *d)
{
	const struct http1_message *req = v->req;

	if (v->call->server && server_from(v, forwarded(req, SLICE("host"), H1_XF_HOST)))
		return;
	if (v->target.authority.n) { /* RFC 9112 §3.2.2: Host does not count then */
		server_from(v, v->target.authority);
		return;
	}
	if (!server_from(v, req->known[H1_HOST]) && !v->call->server && !req->known[H1_HOST].n)
		server_from_peer(v, d);
}

static bool scheme_valid(struct slice s)
{
	return slice_eq_nocase(s, SLICE("http")) || slice_eq_nocase(s, SLICE("https"));
}

static void find_scheme(struct view *v)
{
	struct slice said = v->call->server ? forwarded(v->req, SLICE("proto"), H1_XF_PROTO) : v->target.scheme;

	if (!scheme_valid(said))
		said = v->target.scheme;
	v->scheme = scheme_valid(said) && said.n == 5 ? SLICE("https") : SLICE("http");
}

/* Abstract names are written with @. */
static struct slice unix_name(struct description *d, const struct conn_info *conn)
{
	struct slice path = slice_of(conn->path, conn->path_len);

	if (conn->family != FAM_UNIX || !path.n || path.p[0])
		return conn->family == FAM_UNIX ? path : SLICE_NONE;
	return joined(d, (struct slice[]){ SLICE("@"), slice_from(path, 1) }, 2);
}

static void put_server(struct description *d, const struct view *v)
{
	const struct conn_info *conn = &v->call->conn;

	if (v->server.host.n) {
		describe_str(d, "server.address", v->server.host);
		describe_int(d, "server.port", v->server.port ? v->server.port : SCHEME_PORT(v->scheme));
	} else if (!v->call->server && unix_name(d, conn).n) {
		describe_str(d, "server.address", unix_name(d, conn));
	}
}

/* ---- what was asked for ---- */

static void put_full_url(struct description *d, const struct view *v)
{
	const struct http1_target *t = &v->target;
	struct slice scheme = scheme_valid(t->scheme) || !t->scheme.n ? v->scheme : t->scheme;
	struct slice parts[7] = { scheme, SLICE("://") };
	size_t n = 2;

	if (!v->server.host.n || (!t->path.n && !t->authority.n))
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
	parts[0] = joined(d, parts, n);
	if (parts[0].n)
		describe_str(d, "url.full", parts[0]);
}

static void put_url(struct description *d, const struct view *v)
{
	const struct http1_target *t = &v->target;

	if (!v->call->server) {
		put_full_url(d, v);
		return;
	}
	describe_str(d, "url.scheme", v->scheme);
	if (t->path.n)
		describe_str(d, "url.path", t->path);
	if (t->query.n)
		describe_str(d, "url.query", describe_redact_query(d, t->query));
}

/* ---- who asked ---- */

static void put_peer(struct description *d, const struct view *v)
{
	const struct conn_info *conn = &v->call->conn;
	char minor = (char)('0' + v->req->minor);

	if (conn->family == FAM_UNIX) {
		describe_str(d, "network.transport", SLICE("unix"));
		if (!v->call->server && conn->path_len) /* the server's peer has no name as a rule */
			describe_str(d, "network.peer.address", unix_name(d, conn));
	} else {
		describe_str(d, "network.peer.address", describe_addr(d, conn->remote.addr));
		describe_int(d, "network.peer.port", conn->remote.port);
	}
	describe_str(d, "network.protocol.version",
		     minor == '1' ? SLICE("1.1") : joined(d, (struct slice[]){ SLICE("1."), { &minor, 1 } }, 2));
}

/* The first hop that a proxy named; the peer only when none did. A hop without an address leaves it unknown. */
static void put_client(struct description *d, const struct view *v)
{
	const struct http1_message *req = v->req;
	struct slice hop = forwarded(req, SLICE("for"), H1_XF_FOR);

	if (!v->call->server)
		return;
	if (hop.n)
		hop = http1_node_address(hop);
	else if (v->call->conn.family != FAM_UNIX)
		hop = describe_addr(d, v->call->conn.remote.addr);
	if (hop.n)
		describe_str(d, "client.address", hop);
	if (req->known[H1_USER_AGENT].n)
		describe_str(d, "user_agent.original", req->known[H1_USER_AGENT]);
}

/* ---- method, status, captured fields ---- */

static void put_method(struct description *d, const struct view *v)
{
	struct slice method = v->req->method;
	bool known = http1_method_known(method);

	describe_name(d, known ? method : SLICE("HTTP"));
	describe_str(d, "http.request.method", known ? method : SLICE("_OTHER"));
	if (!known)
		describe_str(d, "http.request.method_original", method);
}

static void put_status(struct description *d, const struct view *v)
{
	char code[8];

	if (v->resp)
		describe_int(d, "http.response.status_code", v->resp->status);
	if (v->call->end == CALL_CLOSED) {
		describe_error(d, SLICE("connection_closed"));
	} else if (v->call->end == CALL_RESET) {
		describe_error(d, SLICE("connection_reset"));
	} else if (v->resp && v->resp->status >= (v->call->server ? 500 : 400)) {
		snprintf(code, sizeof(code), "%u", v->resp->status);
		describe_error(d, arena_copy(d->arena, slice_str(code)));
	}
}

static void put_captured(struct description *d, const struct http1_message *m, struct slice prefix)
{
	struct slice values[HTTP1_CAPTURE_MAX];

	for (unsigned i = 0; m && i < m->n_captured; i++) {
		const struct http1_captured *c = &m->captured[i];
		struct slice key;
		size_t n = 0;

		for (unsigned j = 0; j < m->n_captured; j++) {
			if (m->captured[j].index != c->index)
				continue;
			if (j < i)
				break; /* its name's lines are out already */
			values[n++] = m->captured[j].value;
		}
		key = n ? joined(d, (struct slice[]){ prefix, c->name }, 2) : SLICE_NONE;
		if (key.n)
			describe_strs(d, key, values, n);
	}
}

void http1_fill(struct description *d, const struct call *call)
{
	struct view v = { .call = call, .req = (const struct http1_message *)call->req,
			  .resp = (const struct http1_message *)call->resp };

	http1_target(v.req->method, v.req->target, &v.target);
	find_scheme(&v);
	find_server(&v, d);
	put_method(d, &v);
	put_status(d, &v);
	put_server(d, &v);
	put_url(d, &v);
	put_client(d, &v);
	put_peer(d, &v);
	put_captured(d, v.req, SLICE("http.request.header."));
	put_captured(d, v.resp, SLICE("http.response.header."));
}
