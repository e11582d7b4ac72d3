// SPDX-License-Identifier: Apache-2.0
/* Zipkin v2 JSON (zipkin-api), by OpenTelemetry's "Transformation to Zipkin". */
#include <arpa/inet.h>
#include <errno.h>

#include "base/buf.h"
#include "base/scope.h"
#include "export/http_format.h"
#include "export/json.h"
#include "host/process.h"

struct zipkin_endpoint {
	struct slice service, ip;
	bool v6;
	int64_t port;
};

static struct slice text_attr(const struct span *s, const char *key)
{
	const struct attr *a = describe_find(&s->d, key);

	return a && a->type == ATTR_STRING ? a->s : SLICE_NONE;
}

static int64_t int_attr(const struct span *s, const char *key)
{
	const struct attr *a = describe_find(&s->d, key);

	return a && a->type == ATTR_INT && a->i > 0 && a->i < 65536 ? a->i : 0;
}

/* ASCII letters only: names of services and spans are meant for comparison. */
static void put_lower(struct writer *j, struct slice s)
{
	char part[64];

	while (s.n) {
		size_t n = MIN(s.n, sizeof(part));

		while (n < s.n && n > sizeof(part) - 4 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
			n--; /* not inside a character */
		for (size_t i = 0; i < n; i++)
			part[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
		json_text(j, slice_of(part, n));
		s = slice_from(s, n);
	}
}

static void put_endpoint(struct writer *j, const char *name, const struct zipkin_endpoint *e)
{
	const char *comma = "";

	if (!e->service.n && !e->ip.n)
		return;
	writer_lit(j, ",\"");
	writer_raw(j, name, strlen(name));
	writer_lit(j, "\":{");
	if (e->service.n) {
		writer_lit(j, "\"serviceName\":\"");
		put_lower(j, e->service);
		writer_lit(j, "\"");
		comma = ",";
	}
	if (e->ip.n) {
		writer_raw(j, comma, strlen(comma));
		writer_raw(j, e->v6 ? "\"ipv6\":\"" : "\"ipv4\":\"", 8);
		json_text(j, e->ip);
		writer_lit(j, "\"");
	}
	if (e->port) {
		writer_lit(j, ",\"port\":");
		json_i64(j, e->port);
	}
	writer_lit(j, "}");
}

/* What the network says, when it is an address and not the name of a socket. */
static void find_address(struct zipkin_endpoint *e, const struct span *s)
{
	struct slice ip = text_attr(s, "network.peer.address");
	char text[INET6_ADDRSTRLEN] = "";
	uint8_t bytes[16];

	if (!ip.n || ip.n >= sizeof(text))
		return;
	memcpy(text, ip.p, ip.n);
	e->v6 = slice_find(ip, ':') >= 0;
	if (inet_pton(e->v6 ? AF_INET6 : AF_INET, text, bytes) != 1)
		return;
	e->ip = ip;
	e->port = int_attr(s, "network.peer.port");
}

static struct zipkin_endpoint remote_of(const struct span *s)
{
	static const char *const ranks[] = { "service.peer.name", "peer.service", "server.address" };
	struct zipkin_endpoint e = { 0 };

	find_address(&e, s);
	if (s->kind != SPAN_CLIENT && s->kind != SPAN_PRODUCER)
		return e; /* the name of who asked is not known */
	for (size_t i = 0; i < ARRAY_SIZE(ranks) && !e.service.n; i++)
		e.service = text_attr(s, ranks[i]);
	if (!e.port)
		e.port = int_attr(s, "server.port");
	if (!e.service.n)
		e.service = e.ip.n ? e.ip : text_attr(s, "db.namespace");
	return e;
}

#define ARRAY_TEXT_MAX (1024 * 1024)

/* An array's JSON is itself the text of a string: escaped twice. */
static void put_strings(struct writer *j, const struct attr *a)
{
	_cleanup_(buf_fini) struct buf text;
	struct writer array;

	buf_init(&text, ARRAY_TEXT_MAX);
	writer_begin(&array, &text);
	for (size_t i = 0; i < a->strings.n; i++) {
		writer_raw(&array, i ? ",\"" : "[\"", 2);
		json_text(&array, a->strings.v[i]);
		writer_lit(&array, "\"");
	}
	writer_raw(&array, a->strings.n ? "]" : "[]", a->strings.n ? 1 : 2);
	if (!writer_end(&array))
		json_text(j, buf_slice(&text));
}

static void put_value(struct writer *j, const struct attr *a)
{
	char text[32];

	switch (a->type) {
	case ATTR_STRING:
		json_text(j, a->s);
		break;
	case ATTR_INT:
		json_i64(j, a->i);
		break;
	case ATTR_BOOL:
		writer_raw(j, a->b ? "true" : "false", a->b ? 4 : 5);
		break;
	case ATTR_STRINGS:
		put_strings(j, a);
		break;
	case ATTR_DOUBLE:
		writer_raw(j, text, (size_t)snprintf(text, sizeof(text), "%.17g", a->d));
		break;
	}
}

static void put_tag(struct writer *j, struct slice key, bool *first)
{
	writer_raw(j, *first ? "\"" : "\",\"", *first ? 1 : 3);
	*first = false;
	json_text(j, key);
	writer_lit(j, "\":\"");
}

static bool has_key(const struct span *s, struct slice key)
{
	for (unsigned i = 0; i < s->d.n_attrs; i++)
		if (slice_eq(s->d.attrs[i].key, key))
			return true;
	return false;
}

/* An attribute named error would mark a failure, whatever its value. Keys are unique: the span's beats the resource's. */
static void put_attrs(struct writer *j, const struct attr *attrs, size_t n, const struct span *unless_in, bool *first)
{
	for (size_t i = 0; i < n; i++) {
		struct slice key = attrs[i].key;

		if (slice_eq(key, SLICE("error")) || (unless_in && has_key(unless_in, key)))
			continue;
		put_tag(j, key, first);
		put_value(j, &attrs[i]);
	}
}

static void put_tags(struct writer *j, const struct span *s, const char *version)
{
	bool first = true;

	writer_lit(j, ",\"tags\":{");
	put_attrs(j, s->d.attrs, s->d.n_attrs, NULL, &first);
	if (s->resource)
		put_attrs(j, s->resource->attrs, s->resource->n_attrs, s, &first);
	put_tag(j, SLICE("otel.scope.name"), &first);
	writer_lit(j, OTLP_SCOPE);
	put_tag(j, SLICE("otel.scope.version"), &first);
	json_text(j, slice_str(version));
	if (s->d.dropped_attrs) {
		put_tag(j, SLICE("otel.dropped_attributes_count"), &first);
		json_u64(j, s->d.dropped_attrs);
	}
	if (s->d.status != STATUS_UNSET) {
		put_tag(j, SLICE("otel.status_code"), &first);
		writer_raw(j, s->d.status == STATUS_OK ? "OK" : "ERROR", s->d.status == STATUS_OK ? 2 : 5);
	}
	if (s->d.status == STATUS_ERROR)
		put_tag(j, SLICE("error"), &first);
	writer_lit(j, "\"}");
}

static void put_kind(struct writer *j, uint8_t kind)
{
	static const char *const names[] = { [SPAN_SERVER] = "SERVER", [SPAN_CLIENT] = "CLIENT",
					     [SPAN_PRODUCER] = "PRODUCER", [SPAN_CONSUMER] = "CONSUMER" };

	if (kind >= ARRAY_SIZE(names) || !names[kind])
		return;
	writer_lit(j, ",\"kind\":\"");
	writer_raw(j, names[kind], strlen(names[kind]));
	writer_lit(j, "\"");
}

static void put_ids(struct writer *j, const struct span *s)
{
	static const uint8_t root[8];

	writer_lit(j, "{\"traceId\":\"");
	json_hex(j, s->trace_id, 16);
	writer_lit(j, "\",\"id\":\"");
	json_hex(j, s->span_id, 8);
	if (memcmp(s->parent_id, root, 8)) {
		writer_lit(j, "\",\"parentId\":\"");
		json_hex(j, s->parent_id, 8);
	}
	writer_lit(j, "\"");
}

static void put_span(struct writer *j, const struct span *s, const char *version)
{
	struct zipkin_endpoint local = { .service = s->resource ? s->resource->service : SLICE_NONE }, remote = remote_of(s);
	uint64_t us = s->end > s->start ? (s->end - s->start) / 1000 : 0;

	put_ids(j, s);
	if (s->d.name.n) {
		writer_lit(j, ",\"name\":\"");
		put_lower(j, s->d.name);
		writer_lit(j, "\"");
	}
	put_kind(j, s->kind);
	writer_lit(j, ",\"timestamp\":");
	json_u64(j, s->start / 1000);
	writer_lit(j, ",\"duration\":");
	json_u64(j, us ? us : 1);
	put_endpoint(j, "localEndpoint", &local);
	put_endpoint(j, "remoteEndpoint", &remote);
	put_tags(j, s, version);
	writer_lit(j, "}");
}

static int zipkin_encode(struct span *const *spans, uint32_t n, const char *version, struct buf *out)
{
	struct writer j;

	writer_begin(&j, out);
	for (uint32_t i = 0; i < n; i++) {
		writer_raw(&j, i ? "," : "[", 1);
		put_span(&j, spans[i], version);
	}
	writer_raw(&j, n ? "]" : "[]", n ? 1 : 2);
	return writer_end(&j);
}

static void zipkin_judge(const struct post_answer *a, struct http_verdict *v)
{
	judge_status(a, v);
	if (v->fate != FATE_TAKEN)
		verdict_say(v, a->body);
}

const struct http_format_ops http_zipkin = {
	.content_type = "application/json",
	.path = "/api/v2/spans",
	.encode = zipkin_encode,
	.judge = zipkin_judge,
};
