// SPDX-License-Identifier: Apache-2.0
#include "proto/semconv.h"

#include "base/scope.h"
#include "proto/grpc.h"

/* One current attribute in older words: zero or more calls of put(). */
struct old {
	struct description *d;		/* gets the older ones */
	const struct description *now; /* has the current ones */
	bool server;
};

static void put(struct old *o, const char *key, struct attr value)
{
	value.key = slice_str(key);
	describe_attr(o->d, &value);
}

static void put_text(struct old *o, const char *key, struct slice s)
{
	put(o, key, (struct attr){ .type = ATTR_STRING, .s = s });
}

static struct slice text_of(const struct description *d, const char *key)
{
	const struct attr *a = describe_find(d, key);

	return a && a->type == ATTR_STRING ? a->s : SLICE_NONE;
}

static void from_method(struct old *o, const struct attr *a)
{
	struct slice original = text_of(o->now, "http.request.method_original");

	put_text(o, "http.method", original.n ? original : a->s);
}

static void from_path(struct old *o, const struct attr *a)
{
	struct slice query = text_of(o->now, "url.query"), parts[3] = { a->s, SLICE("?"), query };

	put_text(o, "http.target", query.n ? describe_join(o->d, parts, 3) : a->s);
}

static void from_version(struct old *o, const struct attr *a)
{
	put_text(o, "http.flavor", slice_eq(a->s, SLICE("2")) ? SLICE("2.0") : a->s);
}

static void from_rpc_method(struct old *o, const struct attr *a)
{
	struct slice method = text_of(o->now, "rpc.method_original");
	size_t at;

	method = method.n ? method : a->s;
	for (at = method.n; at && method.p[at - 1] != '/';)
		at--;
	if (!at)
		return;
	put_text(o, "rpc.service", slice_to(method, at - 1));
	put_text(o, "rpc.method", slice_from(method, at));
}

static void from_rpc_status(struct old *o, const struct attr *a)
{
	struct attr code = { .type = ATTR_INT };
	uint64_t number;

	while (code.i < GRPC_CODES && !slice_eq(grpc_status_name(code.i), a->s))
		code.i++;
	if (code.i == GRPC_CODES)
		code.i = slice_u64(a->s, &number) ? (int64_t)number : 2; /* UNKNOWN */
	put(o, "rpc.grpc.status_code", code);
}

static const struct row {
	const char *now;
	const char *server, *client; /* older names by kind; NULL: none, it goes */
	void (*from)(struct old *o, const struct attr *a);
} rows[] = {
	{ "http.request.method", NULL, NULL, from_method },
	{ "http.request.method_original", NULL, NULL, NULL },
	{ "http.response.status_code", "http.status_code", "http.status_code", NULL },
	{ "url.full", "http.url", "http.url", NULL },
	{ "url.scheme", "http.scheme", "http.scheme", NULL },
	{ "url.path", NULL, NULL, from_path },
	{ "url.query", NULL, NULL, NULL },
	{ "user_agent.original", "http.user_agent", "http.user_agent", NULL },
	{ "client.address", "http.client_ip", "http.client_ip", NULL },
	{ "server.address", "net.host.name", "net.peer.name", NULL },
	{ "server.port", "net.host.port", "net.peer.port", NULL },
	{ "network.peer.address", "net.sock.peer.addr", "net.sock.peer.addr", NULL },
	{ "network.peer.port", "net.sock.peer.port", "net.sock.peer.port", NULL },
	{ "service.peer.name", "peer.service", "peer.service", NULL },
	{ "service.peer.namespace", NULL, NULL, NULL },
	{ "network.transport", "net.transport", "net.transport", NULL },
	{ "network.protocol.version", NULL, NULL, from_version },
	{ "rpc.system.name", "rpc.system", "rpc.system", NULL },
	{ "rpc.method", NULL, NULL, from_rpc_method },
	{ "rpc.method_original", NULL, NULL, NULL },
	{ "rpc.response.status_code", NULL, NULL, from_rpc_status },
};

/* Captured fields: HTTP's had `_` for `-`. */
static const struct {
	const char *now, *before;
	bool underscores;
} prefixes[] = {
	{ "http.request.header.", "http.request.header.", true },
	{ "http.response.header.", "http.response.header.", true },
	{ "rpc.request.metadata.", "rpc.grpc.request.metadata.", false },
	{ "rpc.response.metadata.", "rpc.grpc.response.metadata.", false },
};

static bool captured(struct old *o, const struct attr *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		struct slice now = slice_str(prefixes[i].now), before = slice_str(prefixes[i].before);
		struct attr copy = *a;

		if (!slice_starts(a->key, now))
			continue;
		copy.key = describe_join(o->d, (struct slice[]){ before, slice_from(a->key, now.n) }, 2);
		for (size_t at = before.n; prefixes[i].underscores && at < copy.key.n; at++)
			if (copy.key.p[at] == '-')
				((char *)copy.key.p)[at] = '_';
		if (copy.key.n)
			describe_attr(o->d, &copy);
		return true;
	}
	return false;
}

static const struct row *row_of(struct slice key)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (slice_eq(key, slice_str(rows[i].now)))
			return &rows[i];
	return NULL;
}

/* False: it has always had its name. */
static bool in_old_words(struct old *o, const struct attr *a)
{
	const struct row *row = row_of(a->key);
	const char *name;

	if (!row)
		return captured(o, a);
	name = o->server ? row->server : row->client;
	if (name)
		put(o, name, *a);
	if (row->from)
		row->from(o, a);
	return true;
}

void semconv_apply(struct description *d, bool server)
{
	struct description now = *d;
	struct old o = { d, &now, server };

	if (!(d->config->semconv & SEMCONV_LEGACY) || describe_restart(d))
		return;
	for (unsigned i = 0; d->config->semconv & SEMCONV_STABLE && i < now.n_attrs; i++)
		describe_attr(d, &now.attrs[i]);
	for (unsigned i = 0; i < now.n_attrs; i++)
		if (!in_old_words(&o, &now.attrs[i]))
			describe_attr(d, &now.attrs[i]);
}
