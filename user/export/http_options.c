// SPDX-License-Identifier: Apache-2.0
#include "export/http_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* The URL itself is not in the message: what cannot be taken apart may hold a password. */
static int parse_url(struct http_options *o, const char *url)
{
	_cleanup_(free_url) CURLU *u = curl_url();
	_cleanup_(free_curl) char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL;

	if (!u)
		return -ENOMEM;
	if (curl_url_set(u, CURLUPART_URL, url, 0) || curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) || curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ||
	    curl_url_get(u, CURLUPART_PATH, &path, 0) || (strcmp(scheme, "http") && strcmp(scheme, "https")))
		return log_ret(-EINVAL, "--otlp-endpoint: not an http or https URL");
	snprintf(o->name, sizeof(o->name), "%s://%s:%s%s", scheme, host, port, path);
	return 0;
}

static int check_readable(const char *option, const char *path)
{
	int r = path && access(path, R_OK) ? -errno : 0;

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

static int build_headers(struct http_options *o, const struct export_config *c)
{
	int r = add_header(&o->headers, "Content-Type: application/x-protobuf");

	if (!r && c->otlp_gzip)
		r = add_header(&o->headers, "Content-Encoding: gzip");
	if (!r) /* no pause of a second before a large body */
		r = add_header(&o->headers, "Expect:");
	for (size_t i = 0; !r && i < c->n_otlp_headers; i++) {
		if (!header_sound(c->otlp_headers[i]))
			return log_ret(-EINVAL, "--otlp-header: header %zu is not a valid name and value", i + 1);
		r = add_user_header(&o->headers, c->otlp_headers[i]);
	}
	return r;
}

int http_options_init(struct http_options *o, const struct export_config *c)
{
	int r;

	o->version = c->version;
	o->gzip = c->otlp_gzip;
	snprintf(o->agent, sizeof(o->agent), "spandrel/%s OTel-OTLP-Exporter-C/%s", c->version, c->version);
	r = parse_url(o, c->otlp_url);
	if (!r)
		r = check_readable("--otlp-ca", c->otlp_ca);
	if (!r)
		r = check_readable("--otlp-cert", c->otlp_cert);
	if (!r)
		r = check_readable("--otlp-key", c->otlp_key);
	return r ? r : build_headers(o, c);
}

void http_options_fini(struct http_options *o)
{
	curl_slist_free_all(o->headers);
	o->headers = NULL;
}

struct post_config http_options_post(const struct http_options *o, const struct export_config *c)
{
	return (struct post_config){
		.url = c->otlp_url,
		.headers = o->headers,
		.user_agent = o->agent,
		.ca = c->otlp_ca,
		.cert = c->otlp_cert,
		.key = c->otlp_key,
		.timeout = c->otlp_timeout,
	};
}
