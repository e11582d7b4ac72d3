// SPDX-License-Identifier: Apache-2.0
#include "host/kube_watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "host/kube_answer.h"
#include "host/kube_auth.h"
#include "host/kube_get.h"

#define URL_MAX	     4096
#define LIST_TIME    (300 * NS_PER_S) /* for all of a list */
#define WATCH_GRACE  (30 * NS_PER_S)  /* beyond the time the server was asked to end a watch after */
#define WATCH_SHORT  (5 * NS_PER_S)   /* one that ends so soon is not begun again at once */
#define SAY_EVERY    (60 * NS_PER_S)
#define REFUSAL_MAX  (64 * 1024)      /* bytes of a refusal that are looked at */

/* Where a list may come from. */
enum freshness {
	FROM_CACHE,  /* resourceVersion=0: what the server has at hand */
	NOT_OLDER,   /* at least as fresh as what was seen last */
	FROM_STORE,  /* a quorum read: dear, when the others failed */
};

struct kube_watch {
	struct kube_place *place;
	const struct kube_kind *kind;
	void *arg;
	struct kube_get *get;
	struct kube_answer *answer;
	bool running, listed, synced, refused;
	int parse_error;
	uint8_t freshness; /* of the next list */
	uint8_t failures;
	char version[KUBE_VERSION_MAX];
	uint64_t started, next_at, failed_at;
	uint32_t refusal_bytes;
	uint64_t quiet_until; /* nothing is said before */
	bool said;	      /* that it fails */
	char error[320];
};

void kube_place_seed(struct kube_place *p)
{
	rng_seed(&p->rng, clock_boot(), (uint64_t)getpid() << 16 ^ (uint64_t)clock_ns(CLOCK_REALTIME));
}

/* Requests */

struct url {
	char text[URL_MAX];
	size_t n;
};

static void add(struct url *u, const char *text)
{
	size_t n = strlen(text);

	if (u->n + n >= sizeof(u->text))
		n = 0;
	memcpy(u->text + u->n, text, n);
	u->n += n;
	u->text[u->n] = '\0';
}

/* What a server has said, or an operator: percent-encoded. */
static void add_escaped(struct url *u, struct kube_watch *w, const char *text)
{
	char *escaped = curl_easy_escape(kube_get_easy(w->get), text, 0);

	if (escaped)
		add(u, escaped);
	curl_free(escaped);
}

static void add_version(struct url *u, struct kube_watch *w)
{
	if (!w->listed && w->freshness == FROM_STORE)
		return;
	add(u, "resourceVersion=");
	add_escaped(u, w, w->listed || w->freshness == NOT_OLDER ? w->version : "0");
	add(u, "&");
}

static uint32_t make_url(struct kube_watch *w, struct url *u)
{
	uint32_t seconds = KUBE_WATCH_MIN + (uint32_t)(rng_next(&w->place->rng) % (KUBE_WATCH_MAX - KUBE_WATCH_MIN + 1));
	char text[64];

	u->n = 0;
	add(u, kube_auth_base(w->place->auth));
	add(u, w->kind->path);
	add(u, "?");
	if (w->kind->by_node) {
		add(u, "fieldSelector=spec.nodeName%3D");
		add_escaped(u, w, w->place->node);
		add(u, "&");
	}
	add_version(u, w);
	if (w->listed) {
		snprintf(text, sizeof(text), "watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&", seconds);
		add(u, text);
	}
	u->text[--u->n] = '\0'; /* the last separator */
	return seconds;
}

static void refresh(struct kube_watch *w)
{
	char error[256];

	bool failed = kube_auth_refresh(w->place->auth, error, sizeof(error));

	if (failed)
		stat_inc(kube_err_files);
	if (failed && !w->place->unread)
		log_warn("%s: what was read before stays in force", error);
	w->place->unread = failed;
}

static int start(struct kube_watch *w, uint64_t now)
{
	struct url u;
	uint32_t seconds;
	int r;

	refresh(w);
	seconds = make_url(w, &u);
	w->answer = kube_answer_new(w->listed ? KUBE_WATCH : KUBE_LIST, w->kind, w->arg);
	w->parse_error = 0;
	w->refused = false;
	w->refusal_bytes = 0;
	if (!w->answer || kube_auth_apply(w->place->auth, kube_get_easy(w->get)))
		return -ENOMEM;
	r = kube_get_start(w->get,
			   &(struct kube_request){ .url = u.text,
						   .gzip = !w->listed,
						   .steady = !w->listed,
						   .timeout = w->listed ? seconds * NS_PER_S + WATCH_GRACE : LIST_TIME },
			   now);
	w->running = !r;
	w->started = now;
	return r;
}

/* What comes of them */

static uint64_t pause_for(struct kube_watch *w, uint64_t told, uint64_t now)
{
	uint64_t pause;

	if (now - w->failed_at > KUBE_PAUSE_RESET)
		w->failures = 0;
	w->failed_at = now;
	pause = MIN(KUBE_PAUSE_FIRST << w->failures, KUBE_PAUSE_MAX);
	w->failures += w->failures < 10;
	pause += rng_next(&w->place->rng) % pause;
	told = MIN(told, KUBE_PAUSE_TOLD);
	return MAX(pause, told);
}

/* level: that it is worth at the first time. */
static void fail(struct kube_watch *w, enum log_level level, const char *text, uint64_t told, uint64_t now)
{
	bool say = !*w->error && now >= w->quiet_until;

	snprintf(w->error, sizeof(w->error), "%s", *text ? text : "no answer");
	w->next_at = now + pause_for(w, told, now);
	log_line(say ? level : LOG_DEBUG, "%s: %s: %s; asked again", kube_auth_server(w->place->auth), w->kind->name,
		 w->error);
	if (!say || level != LOG_WARN)
		return;
	w->said = true;
	w->quiet_until = now + SAY_EVERY;
}

static void all_is_well(struct kube_watch *w)
{
	if (w->said)
		log_info("%s: %s: answered again", kube_auth_server(w->place->auth), w->kind->name);
	w->said = false;
	w->error[0] = '\0';
}

/*
 * The version is of no use any more, or what was built on it is not sure. What the server's cache has may be older than what was
 * seen, so it is asked for what is not; when that fails, for the truth.
 */
static void list_again(struct kube_watch *w)
{
	if (w->listed) {
		w->listed = false;
		w->freshness = NOT_OLDER;
		stat_inc(kube_relists);
	} else {
		w->freshness = FROM_STORE;
	}
}

static enum stat_id stat_of_fate(enum kube_fate f)
{
	static const enum stat_id ids[] = {
		[KUBE_CONNECT] = STAT_kube_err_connect, [KUBE_TLS] = STAT_kube_err_tls,
		[KUBE_TIMEOUT] = STAT_kube_err_timeout, [KUBE_BROKEN] = STAT_kube_err_broken,
		[KUBE_GZIP] = STAT_kube_err_syntax,	[KUBE_STOPPED] = STAT_kube_err_syntax,
		[KUBE_LONG] = STAT_kube_err_long,
		[KUBE_MEMORY] = STAT_kube_err_memory,
	};

	return ids[f];
}

static enum stat_id stat_of_code(long code)
{
	switch (code) {
	case 401:
		return STAT_kube_err_auth;
	case 403:
		return STAT_kube_err_forbidden;
	case 410:
		return STAT_kube_err_expired;
	case 429:
		return STAT_kube_err_busy;
	}
	return STAT_kube_err_status;
}

/* An answer that is not 200, or an ERROR event. */
static void on_refusal(struct kube_watch *w, long code, uint64_t told, bool in_watch, uint64_t now)
{
	const struct kube_status *s = w->answer ? kube_answer_status(w->answer) : NULL;
	char text[320];

	stats[stat_of_code(code)]++;
	if (s && s->retry_after)
		told = MAX(told, s->retry_after * NS_PER_S);
	snprintf(text, sizeof(text), "%ld%s%s%s%s", code, s && *s->reason ? " " : "", s ? s->reason : "",
		 s && *s->message ? ": " : "", s ? s->message : "");
	/* 401, 403, 429 and what is the server's own trouble pass; all else lies in what was asked for */
	if (in_watch || (s && s->too_large) || code == 504 ||
	    (code >= 400 && code < 500 && code != 401 && code != 403 && code != 408 && code != 429))
		list_again(w);
	if (s && s->too_large)
		w->freshness = FROM_STORE;
	fail(w, code == 410 ? LOG_DEBUG : LOG_WARN, text, told, now); /* versions expire, that is what lists are for */
}

/* JSON that is none, or an event without end: what follows the last version may be damaged, so all is listed again. */
static void on_damage(struct kube_watch *w, int error, uint64_t now)
{
	if (error == -E2BIG)
		stat_inc(kube_err_long);
	else if (error == -ENOMEM)
		stat_inc(kube_err_memory);
	else
		stat_inc(kube_err_syntax);
	list_again(w);
	fail(w, LOG_WARN, error == -E2BIG ? "an answer without end" : "an answer that is not what it should be", 0, now);
}

static void on_list(struct kube_watch *w, uint64_t now)
{
	int r = kube_answer_end(w->answer, now);

	if (r) {
		on_damage(w, r, now);
		return;
	}
	memcpy(w->version, kube_answer_version(w->answer), sizeof(w->version));
	w->listed = w->synced = true;
	w->freshness = FROM_CACHE;
	w->next_at = now;
	all_is_well(w);
}

static void on_watch_end(struct kube_watch *w, uint64_t now)
{
	int r = kube_answer_end(w->answer, now);

	if (r) {
		on_damage(w, r, now);
		return;
	}
	all_is_well(w);
	w->next_at = now - w->started < WATCH_SHORT ? now + pause_for(w, 0, now) : now;
}

static void on_failure(struct kube_watch *w, const struct kube_result *r, uint64_t now)
{
	stats[stat_of_fate(r->fate)]++;
	if (r->fate == KUBE_GZIP || r->fate == KUBE_LONG)
		list_again(w);
	fail(w, LOG_WARN, r->error, r->retry_after, now);
}

static void judge(struct kube_watch *w, const struct kube_result *r, uint64_t now)
{
	const struct kube_status *s = w->answer ? kube_answer_status(w->answer) : NULL;

	if (w->parse_error == -ECANCELED && s)
		on_refusal(w, s->code ? s->code : 500, r->retry_after, true, now);
	else if (r->status && r->status != 200)
		on_refusal(w, r->status, r->retry_after, false, now);
	else if (w->parse_error)
		on_damage(w, w->parse_error, now);
	else if (r->fate != KUBE_DONE)
		on_failure(w, r, now);
	else if (w->listed)
		on_watch_end(w, now);
	else
		on_list(w, now);
}

/* Events before the end count, whatever the end was. */
static void remember_version(struct kube_watch *w)
{
	if (w->listed && !w->refused && w->answer && *kube_answer_version(w->answer))
		memcpy(w->version, kube_answer_version(w->answer), sizeof(w->version));
}

static void on_done(void *arg, const struct kube_result *r, uint64_t now)
{
	struct kube_watch *w = arg;

	w->running = false;
	remember_version(w);
	judge(w, r, now);
	kube_answer_free(TAKE_PTR(w->answer));
}

/* The body of a refusal is a Status, not what was asked for. Nothing depends on it. */
static int on_refusal_data(struct kube_watch *w, struct slice data, uint64_t now)
{
	if (!w->refused) {
		kube_answer_free(w->answer);
		w->answer = kube_answer_new(KUBE_REFUSAL, NULL, NULL);
		w->refused = true;
	}
	w->refusal_bytes += (uint32_t)data.n;
	if (w->answer)
		kube_answer_feed(w->answer, data, now);
	return w->refusal_bytes > REFUSAL_MAX;
}

static int on_data(void *arg, long status, struct slice data, uint64_t now)
{
	struct kube_watch *w = arg;

	if (status != 200)
		return on_refusal_data(w, data, now);
	w->parse_error = kube_answer_feed(w->answer, data, now);
	return w->parse_error;
}

int kube_watch_new(struct kube_watch **out, struct kube_place *place, const struct kube_kind *kind, void *arg)
{
	struct kube_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->place = place;
	w->kind = kind;
	w->arg = arg;
	r = kube_get_new(&w->get, place->multi, place->agent,
			 &(struct kube_get_sink){ .data = on_data, .done = on_done, .arg = w });
	if (r)
		kube_watch_free(w);
	else
		*out = w;
	return r;
}

void kube_watch_free(struct kube_watch *w)
{
	if (!w)
		return;
	kube_get_free(w->get);
	kube_answer_free(w->answer);
	free(w);
}

void kube_watch_turn(struct kube_watch *w, uint64_t now)
{
	if (w->running) {
		kube_get_turn(w->get, now);
		if (*w->error && w->listed && w->running && kube_get_status(w->get) == 200)
			all_is_well(w); /* a watch says no more while nothing changes */
		return;
	}
	if (now < w->next_at || !start(w, now))
		return;
	kube_answer_free(TAKE_PTR(w->answer));
	stat_inc(kube_err_memory);
	fail(w, LOG_WARN, "out of memory", 0, now);
}

void kube_watch_list_again(struct kube_watch *w, uint64_t now)
{
	kube_get_stop(w->get);
	kube_answer_free(TAKE_PTR(w->answer));
	w->running = w->listed = false;
	w->freshness = *w->version ? NOT_OLDER : FROM_CACHE;
	w->next_at = now;
}

bool kube_watch_busy(const struct kube_watch *w)
{
	return w->running && kube_get_busy(w->get);
}

bool kube_watch_synced(const struct kube_watch *w)
{
	return w->synced;
}

const char *kube_watch_error(const struct kube_watch *w)
{
	return w->error;
}
