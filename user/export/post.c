// SPDX-License-Identifier: Apache-2.0
#include "export/post.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/scope.h"

#define KEEP_ANSWER (64 * 1024) /* memory kept between answers */

struct post {
	CURLM *multi;
	CURL *easy;
	bool running;
	post_done_fn done;
	void *arg;
	struct buf answer;
	char error[CURL_ERROR_SIZE];
};

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct post *p = arg;

	return buf_append(&p->answer, data, size * n) ? 0 : size * n;
}

static CURLcode set_tls(CURL *easy, const struct post_config *c)
{
	CURLcode r = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);

	if (!r && c->ca)
		r = curl_easy_setopt(easy, CURLOPT_CAINFO, c->ca);
	if (!r && c->cert)
		r = curl_easy_setopt(easy, CURLOPT_SSLCERT, c->cert);
	if (!r && c->key)
		r = curl_easy_setopt(easy, CURLOPT_SSLKEY, c->key);
	return r;
}

static CURLcode set_limits(CURL *easy, const struct post_config *c)
{
	CURLcode r = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");

	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	if (!r && c->timeout) /* less than a millisecond would mean none */
		r = curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)((c->timeout + NS_PER_MS - 1) / NS_PER_MS));
	return r;
}

static CURLcode set_options(struct post *p, const struct post_config *c)
{
	CURL *easy = p->easy;
	CURLcode r = curl_easy_setopt(easy, CURLOPT_URL, c->url);

	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_POST, 1L);
	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, c->headers);
	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_USERAGENT, c->user_agent);
	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_PRIVATE, p);
	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, p->error);
	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_WRITEDATA, p);
	if (!r)
		r = set_limits(easy, c);
	return r ? r : set_tls(easy, c);
}

static void free_post(struct post **p)
{
	post_free(*p);
}

int post_new(struct post **out, CURLM *multi, const struct post_config *c, post_done_fn done, void *arg)
{
	_cleanup_(free_post) struct post *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->multi = multi;
	p->done = done;
	p->arg = arg;
	buf_init(&p->answer, POST_ANSWER_MAX);
	p->easy = curl_easy_init();
	if (!p->easy)
		return -ENOMEM;
	if (set_options(p, c))
		return -EINVAL;
	*out = TAKE_PTR(p);
	return 0;
}

void post_free(struct post *p)
{
	if (!p)
		return;
	if (p->running)
		curl_multi_remove_handle(p->multi, p->easy);
	curl_easy_cleanup(p->easy);
	buf_fini(&p->answer);
	free(p);
}

int post_start(struct post *p, struct slice body)
{
	p->error[0] = 0;
	buf_reset(&p->answer);
	if (curl_easy_setopt(p->easy, CURLOPT_POSTFIELDS, body.p) ||
	    curl_easy_setopt(p->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n) ||
	    curl_multi_add_handle(p->multi, p->easy))
		return -ENOMEM;
	p->running = true;
	return 0;
}

/*
 * A status line decides, even when the rest of the answer did not come or was too long: the server has had the request,
 * and sending it again would give every span twice.
 */
static struct post_answer answer_of(struct post *p, CURLcode result)
{
	struct post_answer a = { .error = p->error[0] ? p->error : curl_easy_strerror(result) };
	curl_off_t wait = 0;

	curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &a.status);
	if (a.status < 200)
		a.status = 0; /* only "100 Continue" */
	curl_easy_getinfo(p->easy, CURLINFO_RETRY_AFTER, &wait); /* a date, too, is made seconds from now */
	if (wait > 0)
		a.retry_after = (uint64_t)MIN(wait, (curl_off_t)86400) * NS_PER_S;
	if (!result)
		a.body = buf_slice(&p->answer);
	return a;
}

static void complete(struct post *p, CURLcode result, uint64_t now)
{
	struct post_answer a = answer_of(p, result);

	p->running = false;
	curl_multi_remove_handle(p->multi, p->easy);
	p->done(p->arg, &a, now);
	if (!p->running && p->answer.cap > KEEP_ANSWER) {
		buf_fini(&p->answer);
		buf_init(&p->answer, POST_ANSWER_MAX);
	}
}

void posts_reap(CURLM *multi, uint64_t now)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(multi, &left))) {
		CURLcode result = m->data.result;
		struct post *p = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&p);
		complete(p, result, now);
	}
}
