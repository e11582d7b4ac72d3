/* SPDX-License-Identifier: Apache-2.0 */
/* The --otlp-* options, checked, as the HTTP client wants them. Header values are secrets: they are in no message. */
#ifndef SPANDREL_EXPORT_HTTP_OPTIONS_H
#define SPANDREL_EXPORT_HTTP_OPTIONS_H

#include <stdbool.h>

#include "export/export.h"
#include "export/post.h"

struct http_options {
	const char *version;
	char name[256]; /* of the end point, for messages: without credentials and query */
	char agent[128];
	bool gzip;
	struct curl_slist *headers;
};

/* 0 or -errno, said in one line. Borrows the config's strings. */
int http_options_init(struct http_options *o, const struct export_config *c);
void http_options_fini(struct http_options *o);
struct post_config http_options_post(const struct http_options *o, const struct export_config *c);

#endif
