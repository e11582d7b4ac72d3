// SPDX-License-Identifier: Apache-2.0
#include "export/http_options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"

#define HEADER_MAX (64 * 1024)

static void free_url(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void free_curl(char **p)
{
	curl_free(*p);
}

/* A socket's URL has no path of its own for the request; gRPC has one path everywhere. */
static int make_url(struct http_options *o, const char *option, const char *url)
{
	struct slice base = slice_str(url);
	int n;

	if (slice_starts(base, SLICE("unix://"))) {
		o->socket = url + strlen("unix://");
		n = snprintf(o->url, sizeof(o->url), "http://localhost%s", o->format->path);
	} else if (o->format->grpc) {
		const char *host = strstr(url, "://");

		base = slice_to(base, host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#") : 0);
		n = snprintf(o->url, sizeof(o->url), "%.*s%s", SLICE_ARG(base), o->format->path);
	} else {
		n = snprintf(o->url, sizeof(o->url), "%s", url);
	}
	return (size_t)n < sizeof(o->url) ? 0 : log_ret(-ENAMETOOLONG, "%s: longer than a URL may be", option);
}

/* The URL itself is not in the message: what cannot be taken apart may hold a password. */
static int parse_url(struct http_options *o, const char *option)
{
	_cleanup_(free_url) CURLU *u = curl_url();
	_cleanup_(free_curl) char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL;

	if (!u)
		return -ENOMEM;
	if (curl_url_set(u, CURLUPART_URL, o->url, 0) || curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) || curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ||
	    curl_url_get(u, CURLUPART_PATH, &path, 0) || (strcmp(scheme, "http") && strcmp(scheme, "https")))
		return log_ret(-EINVAL, "%s: not an http, https or unix URL", option);
	if (o->socket)
		snprintf(o->name, sizeof(o->name), "unix://%s", o->socket);
	else
		snprintf(o->name, sizeof(o->name), "%s://%s:%s%s", scheme, host, port, o->format->grpc ? "" : path);
	return 0;
}

/* By the rights in use, as open() judges: access() would leave capabilities of a user who is not root out. */
static int check_readable(const char *option, const char *path)
{
	int r = path && faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) ? -errno : 0;

	return r ? log_ret(r, "%s: cannot read %s: %s", option, path, strerror(-r)) : 0;
}

static int add_header(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (!longer)
		return -ENOMEM;
	*list = longer;
	return 0;
}

/* A name, a colon, and nothing that would end the line early. */
static bool header_sound(struct slice line)
{
	if (line.n > HEADER_MAX || slice_find(line, ':') < 1)
		return false;
	for (size_t i = 0; i < line.n; i++)
		if (((unsigned char)line.p[i] < 0x20 && line.p[i] != '\t') || line.p[i] == 0x7f)
			return false;
	return true;
}

static int add_user_header(struct curl_slist **list, struct slice line)
{
	size_t colon = (size_t)slice_find(line, ':');
	_free_ char *text = strndup(line.p, line.n);

	if (!text)
		return -ENOMEM;
	if (!slice_trim(slice_from(line, colon + 1)).n)
		memcpy(text + colon, ";", 2); /* libcurl's way to say an empty value; "name:" would remove it */
	return add_header(list, text);
}

static int add_formatted(struct curl_slist **list, const char *name, const char *value)
{
	char line[128];

	snprintf(line, sizeof(line), "%s: %s", name, value);
	return add_header(list, line);
}

static int add_grpc_headers(struct http_options *o)
{
	char text[24];
	int r = add_header(&o->headers, "TE: trailers");

	if (!r && o->http->gzip)
		r = add_header(&o->headers, "grpc-encoding: gzip");
	if (!r && o->http->timeout) {
		snprintf(text, sizeof(text), "%um", (unsigned)MIN(o->http->timeout / NS_PER_MS + 1, (uint64_t)99999999));
		r = add_formatted(&o->headers, "grpc-timeout", text);
	}
	return r;
}

static int build_headers(struct http_options *o, const char *option)
{
	const struct export_http *h = o->http;
	int r = add_formatted(&o->headers, "Content-Type", o->format->content_type);

	if (!r && o->format->grpc)
		r = add_grpc_headers(o);
	else if (!r && h->gzip)
		r = add_header(&o->headers, "Content-Encoding: gzip");
	if (!r && h->format == FORMAT_ZIPKIN) /* what reports spans is not traced itself */
		r = add_header(&o->headers, "b3: 0");
	if (!r) /* no pause of a second before a large body */
		r = add_header(&o->headers, "Expect:");
	for (size_t i = 0; !r && i < h->n_headers; i++) {
		if (!header_sound(h->headers[i]))
			return log_ret(-EINVAL, "%s: header %zu is not a valid name and value", option, i + 1);
		r = add_user_header(&o->headers, h->headers[i]);
	}
	return r;
}

int http_options_init(struct http_options *o, const char *option, const struct export_http *http, uint32_t index,
		      const char *version)
{
	int r;

	*o = (struct http_options){ .http = http, .format = http_format(http->format) };
	snprintf(o->agent, sizeof(o->agent), "spandrel/%s OTel-OTLP-Exporter-C/%s", version, version);
	r = make_url(o, option, http->urls[index]);
	if (!r)
		r = parse_url(o, option);
	if (!r)
		r = check_readable("--otlp-ca", http->ca);
	if (!r)
		r = check_readable("--otlp-cert", http->cert);
	if (!r)
		r = check_readable("--otlp-key", http->key);
	return r ? r : build_headers(o, "--otlp-header");
}

void http_options_fini(struct http_options *o)
{
	curl_slist_free_all(o->headers);
	o->headers = NULL;
}

struct post_config http_options_post(const struct http_options *o)
{
	return (struct post_config){
		.url = o->url,
		.socket = o->socket,
		.http2 = o->format->grpc,
		.headers = o->headers,
		.user_agent = o->agent,
		.ca = o->http->ca,
		.cert = o->http->cert,
		.key = o->http->key,
		.timeout = o->http->timeout,
	};
}

#define SECRET_MIN 4 /* shorter values are found everywhere */

bool http_options_secret_in(const struct http_options *o, const char *text)
{
	for (size_t i = 0; i < o->http->n_headers; i++) {
		struct slice line = o->http->headers[i];
		struct slice value = slice_trim(slice_from(line, (size_t)slice_find(line, ':') + 1));
		ptrdiff_t space = slice_find(value, ' '); /* "Bearer x": x is the secret */

		if (space >= 0)
			value = slice_trim(slice_from(value, (size_t)space));
		if (value.n >= SECRET_MIN && memmem(text, strlen(text), value.p, value.n))
			return true;
	}
	return false;
}
