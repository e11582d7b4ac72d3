// SPDX-License-Identifier: Apache-2.0
/* Whether an end point answers, asked in the way that the exporter would. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/scope.h"
#include "export/http_options.h"

#define CHECK_NS (3 * NS_PER_S)

struct check {
	const struct http_options *opt;
	FILE *out;
	bool done;
};

static void on_answer(void *arg, const struct post_answer *a, uint64_t now)
{
	struct check *c = arg;
	struct http_verdict v;

	(void)now;
	c->done = true;
	c->opt->format->judge(a, &v);
	if (!a->status)
		fprintf(c->out, "exporter: %s does not answer: %s\n", c->opt->name, a->error);
	else if (v.grpc >= 0)
		fprintf(c->out, "exporter: %s answers with gRPC status %d\n", c->opt->name, v.grpc);
	else
		fprintf(c->out, "exporter: %s answers with status %ld\n", c->opt->name, a->status);
}

static void wait_for(struct check *c, CURLM *multi)
{
	uint64_t end = clock_boot() + 2 * CHECK_NS; /* the request has its own limit */
	int running;

	while (!c->done && clock_boot() < end) {
		curl_multi_perform(multi, &running);
		posts_reap(multi, clock_boot());
		if (!c->done)
			curl_multi_poll(multi, NULL, 0, 100, NULL);
	}
}

/* A message without spans is legal in each format. */
static int ask(struct check *c, CURLM *multi)
{
	_cleanup_(buf_fini) struct buf body, plain;
	struct post_config pc = http_options_post(c->opt);
	struct export_batch empty = { 0 };
	struct post *post;
	int r;

	buf_init(&body, OTLP_REQUEST_MAX);
	buf_init(&plain, OTLP_REQUEST_MAX);
	pc.timeout = CHECK_NS;
	r = post_new(&post, multi, &pc, on_answer, c);
	if (r)
		return r;
	r = http_format_encode(c->opt->format, c->opt->http->gzip, &empty, "", &plain, &body);
	if (!r)
		r = post_start(post, buf_slice(&body));
	if (!r)
		wait_for(c, multi);
	post_free(post);
	return r;
}

void http_check(const char *option, const struct export_http *http, const char *version, FILE *out)
{
	CURLM *multi = http->n_urls ? curl_multi_init() : NULL;

	for (uint32_t i = 0; multi && i < http->n_urls; i++) {
		struct http_options opt;
		struct check c = { .opt = &opt, .out = out };
		int r = http_options_init(&opt, option, http, i, version);

		if (!r)
			r = ask(&c, multi);
		if (r && *opt.name)
			fprintf(out, "exporter: %s cannot be asked: %s\n", opt.name, strerror(-r));
		http_options_fini(&opt);
	}
	if (multi)
		curl_multi_cleanup(multi);
}
