// SPDX-License-Identifier: Apache-2.0
#include "export/access_log.h"

#include <time.h>

#include "base/clock.h"
#include "base/scope.h"
#include "export/json.h"
#include "host/process.h"

/* Attributes as they are, under a name of the log; of several with one name (older conventions), which
 * stand together, the first that is there. */
static const struct {
	const char *name, *key;
} members[] = {
	{ "method", "http.request.method" },
	{ "method", "http.method" },
	{ "path", "url.path" },
	{ "path", "http.target" },
	{ "query", "url.query" },
	{ "url", "url.full" },
	{ "url", "http.url" },
	{ "rpc", "rpc.method" },
	{ "status", "http.response.status_code" },
	{ "status", "http.status_code" },
	{ "rpc_status", "rpc.response.status_code" },
	{ "rpc_status", "rpc.grpc.status_code" },
	{ "error", "error.type" },
	{ "peer", "network.peer.address" },
	{ "peer", "net.sock.peer.addr" },
	{ "peer_port", "network.peer.port" },
	{ "peer_port", "net.sock.peer.port" },
	{ "client", "client.address" },
	{ "client", "http.client_ip" },
	{ "server", "server.address" },
	{ "server", "net.host.name" },
	{ "server", "net.peer.name" },
	{ "user_agent", "user_agent.original" },
	{ "user_agent", "http.user_agent" },
	{ "request_id", "http.request.header.x-request-id" },
};

static const struct attr *find(const struct attr *attrs, uint32_t n, const char *key)
{
	for (uint32_t i = 0; i < n; i++)
		if (slice_eq(attrs[i].key, slice_str(key)))
			return &attrs[i];
	return NULL;
}

static void put_name(struct writer *j, const char *name)
{
	writer_lit(j, ",\"");
	json_text(j, slice_str(name));
	writer_lit(j, "\":");
}

static void put_text(struct writer *j, const char *name, struct slice s)
{
	put_name(j, name);
	writer_lit(j, "\"");
	json_text(j, s);
	writer_lit(j, "\"");
}

static void put_attr(struct writer *j, const char *name, const struct attr *a)
{
	if (a->type == ATTR_STRING) {
		put_text(j, name, a->s);
	} else if (a->type == ATTR_INT) {
		put_name(j, name);
		json_i64(j, a->i);
	} else if (a->type == ATTR_STRINGS && a->strings.n) {
		put_text(j, name, a->strings.v[0]);
	}
}

static void put_members(struct writer *j, const struct span *s)
{
	const char *had = "";

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const struct attr *a = find(s->d.attrs, s->d.n_attrs, members[i].key);

		if (!a || !strcmp(had, members[i].name))
			continue;
		put_attr(j, members[i].name, a);
		had = members[i].name;
	}
}

/* RFC 3339, UTC. */
static void put_time(struct writer *j, uint64_t ns)
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	struct tm tm = { 0 };
	char text[64];
	int n;

	gmtime_r(&seconds, &tm);
	n = snprintf(text, sizeof(text), "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06uZ\"", (tm.tm_year + 1900) % 10000,
		     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(ns % NS_PER_S / 1000));
	writer_raw(j, text, (size_t)n);
}

static void put_duration(struct writer *j, const struct span *s)
{
	uint64_t us = s->end > s->start ? (s->end - s->start) / 1000 : 0;
	char text[32];

	put_name(j, "duration_ms");
	writer_raw(j, text, (size_t)snprintf(text, sizeof(text), "%llu.%03u", (unsigned long long)(us / 1000),
					   (unsigned)(us % 1000)));
}

static void put_id(struct writer *j, const char *name, const uint8_t *id, size_t n)
{
	put_name(j, name);
	writer_lit(j, "\"");
	json_hex(j, id, n);
	writer_lit(j, "\"");
}

static void put_process(struct writer *j, const struct resource *r)
{
	const struct attr *pid = r ? find(r->attrs, r->n_attrs, "process.pid") : NULL;

	if (r && r->service.n)
		put_text(j, "service", r->service);
	if (pid)
		put_attr(j, "pid", pid);
}

static void put_line(struct writer *j, const struct span *s)
{
	static const char *const kinds[] = { [SPAN_SERVER] = "server", [SPAN_CLIENT] = "client",
					     [SPAN_PRODUCER] = "producer", [SPAN_CONSUMER] = "consumer" };
	static const uint8_t root[8];

	put_time(j, s->start);
	if (s->kind < ARRAY_SIZE(kinds) && kinds[s->kind])
		put_text(j, "kind", slice_str(kinds[s->kind]));
	put_process(j, s->resource);
	put_members(j, s);
	put_duration(j, s);
	put_id(j, "trace_id", s->trace_id, sizeof(s->trace_id));
	put_id(j, "span_id", s->span_id, sizeof(s->span_id));
	if (memcmp(s->parent_id, root, sizeof(root)))
		put_id(j, "parent_id", s->parent_id, sizeof(s->parent_id));
	if (s->unsampled)
		writer_lit(j, ",\"sampled\":false");
	writer_lit(j, "}\n");
}

int access_log_encode(struct span *const *spans, uint32_t n, struct buf *out)
{
	struct writer j;

	writer_begin(&j, out);
	for (uint32_t i = 0; i < n; i++)
		put_line(&j, spans[i]);
	return writer_end(&j);
}
