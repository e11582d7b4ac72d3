// SPDX-License-Identifier: Apache-2.0
/*
 * Who was asked, by whom, and for what, as the fields of a request say it. Where a field that would change the answer may
 * have been sent unseen, nothing is said.
 */
#include <stdio.h>

#include "base/scope.h"
#include "proto/http_fill.h"

#define SCHEME_PORT(scheme) (slice_eq((scheme), SLICE("https")) ? 443 : 80)

static bool hidden(const struct http_view *v, enum http1_known known)
{
	return http_view_hides(v->req, v->req_hidden, known);
}

static struct slice first_of_list(struct slice list)
{
	struct slice first;

	return slice_split(&list, ',', &first) ? slice_trim(first) : SLICE_NONE;
}

/* What a proxy says of the request that it was sent. *unsure: one may have said it unseen. */
static struct slice forwarded(const struct http_view *v, struct slice name, enum http1_known other, bool *unsure)
{
	struct slice value = http1_forwarded(v->req->known[H1_FORWARDED], name);

	*unsure = hidden(v, H1_FORWARDED) || (!value.n && hidden(v, other));
	if (*unsure)
		return SLICE_NONE;
	return value.n ? value : first_of_list(v->req->known[other]);
}

static bool server_from(struct http_view *v, struct slice authority)
{
	if (!authority.n || !http1_authority(authority, &v->server))
		return false;
	v->authority = authority;
	return true;
}

struct slice http_view_peer(struct http_view *v, struct description *d)
{
	if (!v->peer.n)
		v->peer = describe_addr(d, v->call->conn.remote.addr);
	return v->peer;
}

/* An IP client that named no host still asked this address. */
static void server_from_peer(struct http_view *v, struct description *d)
{
	const struct endpoint *peer = &v->call->conn.remote;
	struct slice parts[3] = { SLICE("["), http_view_peer(v, d), SLICE("]") };
	char text[8];

	if (!call_has_address(v->call) || !parts[1].n)
		return;
	v->server = (struct http1_authority){ .host = parts[1], .port = peer->port,
					      .v6 = slice_find(parts[1], ':') >= 0 };
	v->authority = v->server.v6 ? describe_join(d, parts, 3) : parts[1];
	if (peer->port != SCHEME_PORT(v->scheme)) {
		snprintf(text, sizeof(text), ":%u", peer->port);
		v->authority = describe_join(d, (struct slice[]){ v->authority, slice_str(text) }, 2);
	}
}

/* :authority and an absolute target come before Host (RFC 9112 §3.2.2, RFC 9113 §8.3.1). */
static void find_server(struct http_view *v, struct description *d)
{
	const struct http1_message *req = v->req;
	struct slice named = v->target.authority.n ? v->target.authority : req->known[H1_AUTHORITY];
	bool unsure = false;

	if (v->call->server && server_from(v, forwarded(v, SLICE("host"), H1_XF_HOST, &unsure)))
		return;
	if (unsure)
		return;
	if (named.n) {
		server_from(v, named);
		return;
	}
	if (hidden(v, H1_AUTHORITY) || hidden(v, H1_HOST))
		return;
	if (!server_from(v, req->known[H1_HOST]) && !v->call->server && !req->known[H1_HOST].n)
		server_from_peer(v, d);
}

static bool scheme_valid(struct slice s)
{
	return slice_eq_nocase(s, SLICE("http")) || slice_eq_nocase(s, SLICE("https"));
}

/* HTTP/1 does not say; HTTP/2 does, except for CONNECT. */
static void find_scheme(struct http_view *v)
{
	struct slice own = v->target.scheme.n ? v->target.scheme : v->req->known[H1_SCHEME], said = own;
	bool unsure = false;

	if (v->call->server)
		said = forwarded(v, SLICE("proto"), H1_XF_PROTO, &unsure);
	if (unsure)
		return;
	if (!scheme_valid(said))
		said = own;
	if (scheme_valid(said))
		v->scheme = said.n == 5 ? SLICE("https") : SLICE("http");
	else if (!hidden(v, H1_SCHEME))
		v->scheme = v->call->conn.tls ? SLICE("https") : SLICE("http");
}

static void find_target(struct http_view *v)
{
	const struct http1_message *req = v->req;

	if (req->major != 2) {
		http1_target(req->method, req->target, &v->target);
		return;
	}
	http1_target(SLICE_NONE, req->target, &v->target); /* an extended CONNECT has a path */
	if (!req->target.n && slice_eq(req->method, SLICE("CONNECT")))
		v->target.authority = req->known[H1_AUTHORITY];
}

static bool same_text(struct slice a, struct slice b)
{
	return !a.n || !b.n || slice_eq(a, b);
}

bool http_same(const struct call *a, const struct call *b)
{
	const struct http1_message *x = (const struct http1_message *)a->req, *y = (const struct http1_message *)b->req;

	return x->m.truncated || y->m.truncated || (same_text(x->method, y->method) && same_text(x->target, y->target));
}

void http_view_init(struct http_view *v, struct description *d, const struct call *call)
{
	*v = (struct http_view){ .call = call, .req = (const struct http1_message *)call->req,
				 .resp = (const struct http1_message *)call->resp };
	if (v->req->major == 2)
		v->req_hidden = http2_message_of(call->req)->unknown;
	if (v->resp && v->resp->major == 2) {
		v->resp_hidden = http2_message_of(call->resp)->unknown;
		v->end = &http2_message_of(call->resp)->end;
	}
	find_target(v);
	find_scheme(v);
	find_server(v, d);
}

/* The first hop that a proxy named; the peer only when none did. A hop without an address leaves it unknown. */
struct slice http_view_client(struct http_view *v, struct description *d)
{
	bool unsure;
	struct slice hop = forwarded(v, SLICE("for"), H1_XF_FOR, &unsure);

	if (unsure)
		return SLICE_NONE;
	if (hop.n)
		return http1_node_address(hop);
	return call_has_address(v->call) ? http_view_peer(v, d) : SLICE_NONE;
}

/* Abstract names are written with @. */
struct slice http_view_unix(const struct http_view *v, struct description *d)
{
	const struct conn_info *conn = &v->call->conn;
	struct slice path = slice_of(conn->path, conn->path_len);

	if (conn->family != FAM_UNIX)
		return SLICE_NONE;
	if (!path.n || path.p[0])
		return path;
	return describe_join(d, (struct slice[]){ SLICE("@"), slice_from(path, 1) }, 2);
}
