// SPDX-License-Identifier: Apache-2.0
#include "host/kube_get.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/scope.h"
#include "base/stats.h"
#include "base/transfer.h"

#define CONNECT_SECONDS 10L
#define STALL_SECONDS	30L /* of a steady answer */
#define STALL_BYTES	64L /* a second */
#define PORTION		16384
#define WAITING_MAX	(1024 * 1024)
#define GZIP_WINDOW	(16 + MAX_WBITS)
#define RETRY_AFTER_MAX 3600

struct inflate {
	bool used;
	bool ended; /* what follows is not the body's */
	bool more;  /* there is output without more input */
	z_stream z;
};

struct kube_get {
	struct transfer transfer;
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	struct kube_get_sink sink;
	struct inflate inflate;
	struct buf waiting; /* what came and was not handed on yet */
	bool running, paused, answered;
	bool finished; /* the transfer is over with `result`; what waits is handed on before `done` */
	int result;    /* CURLcode */
	enum kube_fate stopped; /* why we ended it; KUBE_DONE: we did not */
	uint32_t allowance;	/* bytes this turn may still hand on */
	size_t fields;
	uint64_t now, started;
	char error[CURL_ERROR_SIZE];
};

/* Body */

static void inflate_reset(struct inflate *i)
{
	if (i->used)
		inflateEnd(&i->z);
	*i = (struct inflate){ 0 };
}

long kube_get_status(const struct kube_get *g)
{
	long status = 0;

	if (g->answered)
		curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static int hand_on(struct kube_get *g, struct slice data)
{
	g->allowance -= (uint32_t)MIN((size_t)g->allowance, data.n);
	if (!g->sink.data(g->sink.arg, kube_get_status(g), data, g->now))
		return 0;
	g->stopped = KUBE_STOPPED;
	return -ECANCELED;
}

/* One portion out of what waits. */
static int hand_on_inflated(struct kube_get *g)
{
	unsigned char out[PORTION];
	struct inflate *i = &g->inflate;
	int r;

	i->z.next_in = (unsigned char *)g->waiting.p;
	i->z.avail_in = (unsigned)g->waiting.n;
	i->z.next_out = out;
	i->z.avail_out = sizeof(out);
	r = i->ended ? Z_DATA_ERROR : inflate(&i->z, Z_NO_FLUSH);
	if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR) {
		g->stopped = KUBE_GZIP;
		return -EPROTO;
	}
	i->ended = r == Z_STREAM_END;
	i->more = !i->ended && !i->z.avail_out;
	buf_shift(&g->waiting, g->waiting.n - i->z.avail_in);
	return hand_on(g, slice_of((char *)out, sizeof(out) - i->z.avail_out));
}

static int hand_on_plain(struct kube_get *g)
{
	size_t n = MIN(g->waiting.n, (size_t)PORTION);
	int r = hand_on(g, slice_of(g->waiting.p, n));

	buf_shift(&g->waiting, n);
	return r;
}

static bool waits(const struct kube_get *g)
{
	return g->waiting.n || g->inflate.more;
}

/* As far as this turn goes. */
static int work(struct kube_get *g)
{
	int r = 0;

	while (waits(g) && g->allowance && !r)
		r = g->inflate.used ? hand_on_inflated(g) : hand_on_plain(g);
	return r;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct kube_get *g = arg;

	if (waits(g)) {
		g->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	stat_add(kube_bytes, size * n);
	if (buf_append(&g->waiting, data, size * n)) {
		g->stopped = KUBE_MEMORY;
		return 0;
	}
	return work(g) ? 0 : size * n;
}

static bool is_gzip(struct slice line)
{
	const struct slice name = SLICE("content-encoding:");
	struct slice value;

	if (line.n < name.n || !slice_eq_nocase(slice_to(line, name.n), name))
		return false;
	value = slice_trim(slice_from(line, name.n));
	return slice_eq_nocase(slice_to(value, 4), SLICE("gzip"));
}

static size_t on_field(char *data, size_t size, size_t n, void *arg)
{
	struct kube_get *g = arg;
	struct slice line = slice_of(data, size * n);

	g->answered = true;
	g->fields += line.n;
	if (g->fields > KUBE_FIELDS_MAX) {
		g->stopped = KUBE_LONG;
		return 0;
	}
	if (is_gzip(line) && !g->inflate.used) {
		if (inflateInit2(&g->inflate.z, GZIP_WINDOW) != Z_OK) {
			g->stopped = KUBE_MEMORY;
			return 0;
		}
		g->inflate.used = true;
	}
	return line.n;
}

/* Setting up */

static CURLcode set_fixed(struct kube_get *g, const char *user_agent)
{
	CURL *e = g->easy;
	CURLcode r = curl_easy_setopt(e, CURLOPT_PRIVATE, &g->transfer);

	if (!r)
		r = curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	if (!r) /* a stream of HTTP/2 that waits is buffered up to its window; a connection that waits is not */
		r = curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	if (!r)
		r = curl_easy_setopt(e, CURLOPT_USERAGENT, user_agent);
	if (!r)
		r = curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	if (!r)
		r = curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	if (!r)
		r = curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	if (!r)
		r = curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	if (!r)
		r = curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, 30L);
	if (!r)
		r = curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, 10L);
	return r ? r : curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

static CURLcode set_callbacks(struct kube_get *g)
{
	CURL *e = g->easy;
	CURLcode r = curl_easy_setopt(e, CURLOPT_ERRORBUFFER, g->error);

	if (!r)
		r = curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	if (!r)
		r = curl_easy_setopt(e, CURLOPT_WRITEDATA, g);
	if (!r)
		r = curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_field);
	return r ? r : curl_easy_setopt(e, CURLOPT_HEADERDATA, g);
}

static CURLcode set_request(struct kube_get *g, const struct kube_request *q)
{
	CURL *e = g->easy;
	CURLcode r = curl_easy_setopt(e, CURLOPT_URL, q->url);

	curl_slist_free_all(g->headers);
	g->headers = curl_slist_append(NULL, "Accept: application/json");
	if (g->headers && q->gzip) {
		struct curl_slist *more = curl_slist_append(g->headers, "Accept-Encoding: gzip");

		r = more ? r : CURLE_OUT_OF_MEMORY;
	}
	if (!r)
		r = g->headers ? curl_easy_setopt(e, CURLOPT_HTTPHEADER, g->headers) : CURLE_OUT_OF_MEMORY;
	if (!r)
		r = curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, q->steady ? STALL_BYTES : 0L);
	if (!r)
		r = curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, q->steady ? STALL_SECONDS : 0L);
	return r ? r : curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(q->timeout / NS_PER_MS));
}

/* The end */

static enum kube_fate fate_of(const struct kube_get *g)
{
	if (g->stopped != KUBE_DONE)
		return g->stopped;
	switch (g->result) {
	case CURLE_OK:
		return g->inflate.used && !g->inflate.ended ? KUBE_BROKEN : KUBE_DONE;
	case CURLE_OPERATION_TIMEDOUT:
		return KUBE_TIMEOUT;
	case CURLE_OUT_OF_MEMORY:
		return KUBE_MEMORY;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CIPHER:
		return KUBE_TLS;
	}
	return g->answered ? KUBE_BROKEN : KUBE_CONNECT;
}

/* What libcurl cannot know: it was told to stop, or saw nothing wrong. */
static const char *reason_of(const struct kube_get *g, enum kube_fate fate)
{
	static const char *const reasons[] = {
		[KUBE_GZIP] = "an answer that is not gzip, as it says",
		[KUBE_LONG] = "an answer whose head is too long",
		[KUBE_MEMORY] = "out of memory",
	};

	if ((size_t)fate < ARRAY_SIZE(reasons) && reasons[fate])
		return reasons[fate];
	if (fate == KUBE_BROKEN && g->result == CURLE_OK)
		return "an answer that ended early";
	return *g->error ? g->error : curl_easy_strerror((CURLcode)g->result);
}

static void forget_body(struct kube_get *g)
{
	g->finished = false;
	buf_fini(&g->waiting);
	buf_init(&g->waiting, WAITING_MAX);
	inflate_reset(&g->inflate);
}

static void finish(struct kube_get *g, uint64_t now)
{
	enum kube_fate fate = fate_of(g);
	struct kube_result r = { .fate = fate, .error = reason_of(g, fate) };
	curl_off_t wait = 0;

	curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &r.status);
	curl_easy_getinfo(g->easy, CURLINFO_RETRY_AFTER, &wait);
	if (wait > 0)
		r.retry_after = (uint64_t)MIN(wait, (curl_off_t)RETRY_AFTER_MAX) * NS_PER_S;
	forget_body(g);
	g->sink.done(g->sink.arg, &r, now);
}

static void leave(struct kube_get *g, int result)
{
	curl_multi_remove_handle(g->multi, g->easy);
	g->running = g->paused = false;
	g->finished = true;
	g->result = result;
}

static void on_done(struct transfer *t, int result, uint64_t now)
{
	struct kube_get *g = container_of(t, struct kube_get, transfer);

	leave(g, result);
	if (!waits(g) || g->stopped != KUBE_DONE)
		finish(g, now);
}

int kube_get_new(struct kube_get **out, CURLM *multi, const char *user_agent, const struct kube_get_sink *sink)
{
	struct kube_get *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->transfer.done = on_done;
	g->multi = multi;
	g->sink = *sink;
	buf_init(&g->waiting, WAITING_MAX);
	g->easy = curl_easy_init();
	if (!g->easy || set_fixed(g, user_agent) || set_callbacks(g)) {
		kube_get_free(g);
		return -ENOMEM;
	}
	*out = g;
	return 0;
}

void kube_get_free(struct kube_get *g)
{
	if (!g)
		return;
	if (g->running)
		curl_multi_remove_handle(g->multi, g->easy);
	curl_easy_cleanup(g->easy);
	curl_slist_free_all(g->headers);
	inflate_reset(&g->inflate);
	buf_fini(&g->waiting);
	free(g);
}

CURL *kube_get_easy(struct kube_get *g)
{
	return g->easy;
}

int kube_get_start(struct kube_get *g, const struct kube_request *q, uint64_t now)
{
	g->error[0] = '\0';
	g->stopped = KUBE_DONE;
	g->fields = 0;
	g->answered = g->paused = g->finished = false;
	g->started = g->now = now;
	g->allowance = KUBE_TURN_BYTES;
	buf_reset(&g->waiting);
	if (set_request(g, q) || curl_multi_add_handle(g->multi, g->easy))
		return -ENOMEM;
	stat_inc(kube_requests);
	g->running = true;
	return 0;
}

void kube_get_stop(struct kube_get *g)
{
	if (g->running)
		leave(g, CURLE_OK);
	forget_body(g);
}

static void give_up(struct kube_get *g, enum kube_fate fate, const char *error, uint64_t now)
{
	g->stopped = fate;
	snprintf(g->error, sizeof(g->error), "%s", error);
	leave(g, CURLE_OK);
	finish(g, now);
}

void kube_get_turn(struct kube_get *g, uint64_t now)
{
	g->now = now;
	g->allowance = KUBE_TURN_BYTES;
	if (g->running && !g->answered && now > g->started + KUBE_HEAD_WAIT) {
		give_up(g, KUBE_TIMEOUT, "no answer", now);
	} else if (g->finished) {
		if (work(g) || !waits(g))
			finish(g, now);
	} else if (g->running && waits(g) && work(g)) {
		give_up(g, g->stopped, "", now);
	} else if (g->paused && !waits(g)) {
		g->paused = false;
		curl_easy_pause(g->easy, CURLPAUSE_CONT); /* calls on_body, and does not end what that stops */
		if (g->stopped != KUBE_DONE)
			give_up(g, g->stopped, "", now);
	}
}

bool kube_get_busy(const struct kube_get *g)
{
	return g->finished || g->paused || waits(g);
}
