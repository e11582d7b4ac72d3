// SPDX-License-Identifier: Apache-2.0
#include "export/post.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/scope.h"

#define KEEP_ANSWER (16 * 1024) /* memory kept between answers */
#define FIELDS_MAX (16 * 1024)	/* of the fields that are kept */
#define H2C_REUSE 0x080000	/* older libcurls fail at the second request of a connection with prior knowledge */

struct post {
	struct transfer transfer;
	CURLM *multi;
	CURL *easy;
	bool running;
	post_done_fn done;
	void *arg;
	size_t fields_seen; /* bytes of all fields of this answer */
	struct buf fields, answer;
	char error[CURL_ERROR_SIZE];
};

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct post *p = arg;

	return buf_append(&p->answer, data, size * n) ? 0 : size * n;
}

/* Lines "name: value" with their ends. Trailers come here, too; an interim answer's fields are forgotten. */
static size_t on_field(char *data, size_t size, size_t n, void *arg)
{
	struct post *p = arg;
	struct slice line = slice_of(data, size * n);

	if (slice_starts(line, SLICE("HTTP/")))
		buf_reset(&p->fields);
	p->fields_seen += line.n;
	if (p->fields_seen > POST_FIELDS_MAX)
		return 0;
	if (line.n > 5 && slice_eq_nocase(slice_to(line, 5), SLICE("grpc-")) && buf_str(&p->fields, line))
		return 0;
	return line.n;
}

struct slice post_field(struct slice fields, struct slice name)
{
	struct slice line, found = SLICE_NONE;

	while (slice_split(&fields, '\n', &line)) {
		ptrdiff_t colon = slice_find(line, ':');

		if (colon < 0 || !slice_eq_nocase(slice_to(line, (size_t)colon), name))
			continue;
		found = slice_trim(slice_from(line, (size_t)colon + 1));
		if (found.n && found.p[found.n - 1] == '\r')
			found = slice_trim(slice_to(found, found.n - 1));
	}
	return found;
}

static CURLcode set_tls(CURL *easy, const struct post_config *c)
{
	CURLcode r = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);

	if (!r && c->ca)
		r = curl_easy_setopt(easy, CURLOPT_CAINFO, c->ca);
	if (!r && c->ca) /* nor whom the host trusts */
		r = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
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
	if (!r) /* a name server that does not answer must not hold up the exit */
		r = curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	if (!r && c->timeout) /* less than a millisecond would mean none */
		r = curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)((c->timeout + NS_PER_MS - 1) / NS_PER_MS));
	return r;
}

static bool plain(const struct post_config *c)
{
	return !strncmp(c->url, "http:", 5);
}

static CURLcode set_transport(CURL *easy, const struct post_config *c)
{
	bool reuse = curl_version_info(CURLVERSION_NOW)->version_num >= H2C_REUSE;
	CURLcode r = curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, c->socket);

	if (r || !c->http2)
		return r;
	r = curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			     (long)(plain(c) ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE : CURL_HTTP_VERSION_2TLS));
	if (!r && plain(c) && !reuse)
		r = curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	if (!r && plain(c) && !reuse)
		r = curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	return r;
}

static CURLcode set_answer(struct post *p)
{
	CURL *easy = p->easy;
	CURLcode r = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, p->error);

	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_WRITEDATA, p);
	if (!r)
		r = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_field);
	return r ? r : curl_easy_setopt(easy, CURLOPT_HEADERDATA, p);
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
		r = curl_easy_setopt(easy, CURLOPT_PRIVATE, &p->transfer);
	if (!r)
		r = set_answer(p);
	if (!r)
		r = set_limits(easy, c);
	if (!r)
		r = set_transport(easy, c);
	return r ? r : set_tls(easy, c);
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
	a.broken = result && result != CURLE_WRITE_ERROR; /* that one is ours: too long */
	a.fields = buf_slice(&p->fields);
	if (!result)
		a.body = buf_slice(&p->answer);
	return a;
}

static void complete(struct transfer *t, int result, uint64_t now)
{
	struct post *p = container_of(t, struct post, transfer);
	struct post_answer a = answer_of(p, (CURLcode)result);

	p->running = false;
	curl_multi_remove_handle(p->multi, p->easy);
	p->done(p->arg, &a, now);
	if (!p->running && p->answer.cap > KEEP_ANSWER) {
		buf_fini(&p->answer);
		buf_init(&p->answer, POST_ANSWER_MAX);
	}
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
	p->transfer.done = complete;
	p->multi = multi;
	p->done = done;
	p->arg = arg;
	buf_init(&p->answer, POST_ANSWER_MAX);
	buf_init(&p->fields, FIELDS_MAX);
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
	buf_fini(&p->fields);
	free(p);
}

int post_start(struct post *p, struct slice body)
{
	p->error[0] = 0;
	p->fields_seen = 0;
	buf_reset(&p->fields);
	buf_reset(&p->answer);
	if (curl_easy_setopt(p->easy, CURLOPT_POSTFIELDS, body.p) ||
	    curl_easy_setopt(p->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n) ||
	    curl_multi_add_handle(p->multi, p->easy))
		return -ENOMEM;
	p->running = true;
	return 0;
}

void posts_reap(CURLM *multi, uint64_t now)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(multi, &left))) {
		CURLcode result = m->data.result;
		struct transfer *t = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		t->done(t, (int)result, now);
	}
}
