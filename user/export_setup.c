// SPDX-License-Identifier: Apache-2.0
#include "export_setup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/scope.h"

#define URL_MAX 2000

static int add_url(char **to, const char *option, const char *url, int (*complete)(const char *, char *, size_t))
{
	char text[URL_MAX];

	if (complete(url, text, sizeof(text)))
		return log_ret(-EINVAL, "--%s: expected a URL of less than %d bytes", option, URL_MAX);
	*to = strdup(text);
	return *to ? 0 : -ENOMEM;
}

static int make_urls(struct export_setup *s, const struct config_export *c)
{
	int r = 0;

	s->urls = calloc(c->otlp_endpoint.n + 1, sizeof(*s->urls));
	if (!s->urls)
		return -ENOMEM;
	for (; s->n_urls < c->otlp_endpoint.n && !r; s->n_urls += !r)
		r = add_url(&s->urls[s->n_urls], "otlp-endpoint", c->otlp_endpoint.v[s->n_urls], config_otlp_url);
	if (!r && c->zipkin_endpoint)
		r = add_url(&s->zipkin, "zipkin-endpoint", c->zipkin_endpoint, config_zipkin_url);
	return r;
}

/* --otlp-header K=V as lines "K: V". */
static int make_headers(struct export_setup *s, const struct strlist *l)
{
	s->headers = calloc(l->n + 1, sizeof(*s->headers));
	if (!s->headers)
		return -ENOMEM;
	for (; s->n_headers < l->n; s->n_headers++) {
		const char *pair = l->v[s->n_headers];
		size_t key = strcspn(pair, "="), size = strlen(pair) + sizeof(": ");
		char *line = malloc(size);

		if (!line)
			return -ENOMEM;
		snprintf(line, size, "%.*s: %s", (int)key, pair, pair[key] ? pair + key + 1 : "");
		s->headers[s->n_headers] = slice_str(line);
	}
	return 0;
}

static uint8_t format_of(const char *protocol)
{
	if (!strcmp(protocol, "grpc"))
		return FORMAT_GRPC;
	return !strcmp(protocol, "http/json") ? FORMAT_OTLP_JSON : FORMAT_OTLP;
}

static struct export_http http_of(const struct config_export *c, uint8_t format)
{
	return (struct export_http){
		.format = format,
		.gzip = !strcmp(c->otlp_compression, "gzip"),
		.timeout = c->otlp_timeout,
		.ca = c->otlp_ca,
		.cert = c->otlp_cert,
		.key = c->otlp_key,
	};
}

static void fill(struct export_setup *s, const struct config *config)
{
	const struct config_export *c = &config->export;
	struct export_config *e = &s->c;

	e->queue_size = (uint32_t)config->limits.queue_size;
	e->batch_size = (uint32_t)MIN(c->batch_size, config->limits.queue_size);
	e->spool_dir = config->limits.spool_dir;
	e->spool_size = config->limits.spool_size;
	e->batch_age = c->batch_age;
	e->console = c->console || (!c->file && !c->access_log && !s->n_urls && !s->zipkin);
	e->file = c->file;
	e->access_log = c->access_log;
	e->file_size = c->file_size;
	e->version = VERSION;
	e->otlp = http_of(c, format_of(c->otlp_protocol));
	e->otlp.urls = (const char *const *)s->urls;
	e->otlp.n_urls = (uint32_t)s->n_urls;
	e->otlp.balance = !strcmp(c->otlp_balance, "trace-id");
	e->otlp.headers = s->headers;
	e->otlp.n_headers = s->n_headers;
	e->zipkin = http_of(c, FORMAT_ZIPKIN);
	e->zipkin.urls = (const char *const *)&s->zipkin;
	e->zipkin.n_urls = s->zipkin != NULL;
}

int export_setup_init(struct export_setup *s, const struct config *c)
{
	int r;

	*s = (struct export_setup){ 0 };
	r = make_urls(s, &c->export);
	if (!r)
		r = make_headers(s, &c->export.otlp_header);
	if (!r)
		fill(s, c);
	return r;
}

void export_setup_fini(struct export_setup *s)
{
	for (size_t i = 0; i < s->n_urls; i++)
		free(s->urls[i]);
	for (size_t i = 0; i < s->n_headers; i++)
		free((char *)s->headers[i].p);
	free(s->urls);
	free(s->headers);
	free(s->zipkin);
	*s = (struct export_setup){ 0 };
}
