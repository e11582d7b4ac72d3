/* SPDX-License-Identifier: Apache-2.0 */
/* What is needed to reach one end point, checked, as the HTTP client wants it. Header values are secrets: they are in no message. */
#ifndef SPANDREL_EXPORT_HTTP_OPTIONS_H
#define SPANDREL_EXPORT_HTTP_OPTIONS_H

#include <stdbool.h>

#include "export/http_format.h"

struct http_options {
	const struct export_http *http;
	const struct http_format_ops *format;
	const char *socket; /* path, NULL for TCP */
	char url[2048];
	char name[256]; /* of the end point, for messages: without credentials and query */
	char agent[128];
	struct curl_slist *headers;
};

/* 0 or -errno, said in one line with the option's name. Borrows `http`. */
int http_options_init(struct http_options *o, const char *option, const struct export_http *http, uint32_t index,
		      const char *version);
void http_options_fini(struct http_options *o);
/* Does the text hold the value of one of the headers that the user gave? */
bool http_options_secret_in(const struct http_options *o, const char *text);
struct post_config http_options_post(const struct http_options *o);

/*
 * Does anybody answer there? Sends an empty message with all that an exporter would send it with, waits a few
 * seconds, prints a line for each end point.
 */
void http_check(const char *option, const struct export_http *http, const char *version, FILE *out);

#endif
