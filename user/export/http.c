// SPDX-License-Identifier: Apache-2.0
/*
 * Batches by HTTP, whatever the format: OTLP by HTTP or gRPC, Zipkin. Batches wait in order; at most SLOTS are under way. One that
 * can be sent again goes to the end of the line with a back-off of its own, so that a batch the server
 * cannot take does not stop the others; and while the end point is down, one request at a time asks whether it is back.
 * One that is too large for the server is halved, down to single spans.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "export/export.h"
#include "export/http_health.h"
#include "export/http_options.h"
#include "export/post.h"
#include "export/ring.h"

#define SLOTS 4
#define GIVE_UP (300 * NS_PER_S) /* age of a batch; also the longest wait that a server may ask for */
#define SAY_EVERY (60 * NS_PER_S)

/* One request under way. */
struct slot {
	struct exporter *x;
	struct post *post;
	struct export_batch *batch; /* NULL: free */
	struct buf body;
	uint32_t epoch; /* of health, at the start */
};

struct exporter {
	struct outlet *o;
	struct http_options opt;
	const char *version;
	struct ring *ring; /* NULL: every span is ours */
	uint32_t index;	   /* of this end point */
	struct slot slots[SLOTS];
	struct list waiting; /* struct export_batch */
	struct http_health health;
	struct buf plain; /* what gzip reads */
	uint64_t say_refused, say_partial; /* quiet until then */
};

static bool may_say(uint64_t *quiet_until, uint64_t now)
{
	if (now < *quiet_until)
		return false;
	*quiet_until = now + SAY_EVERY;
	return true;
}

static int encode(struct exporter *x, const struct export_batch *b, struct buf *body)
{
	return http_format_encode(x->opt.format, x->opt.http->gzip, b, x->version, &x->plain, body);
}

/* Encodes, halving the batch until it fits; the rest waits at the front. */
static int prepare(struct exporter *x, struct export_batch *b, struct buf *body)
{
	struct export_batch *rest;
	int r;

	while ((r = encode(x, b, body)) && b->n > 1) {
		rest = export_batch_split(b);
		if (!rest)
			break;
		list_push(x->waiting.next, &rest->link); /* before the first */
	}
	return r;
}

static void put_off(struct exporter *x, struct export_batch *b, uint64_t now, uint64_t told)
{
	b->attempts++;
	b->retry_at = now + (told ? told : http_health_backoff(&x->health, b->attempts));
	list_push(&x->waiting, &b->link);
}

static void slot_start(struct slot *s, struct export_batch *b, uint64_t now)
{
	struct exporter *x = s->x;

	if (prepare(x, b, &s->body)) {
		export_batch_done(x->o, b, STAT_drop_encode);
		return;
	}
	if (post_start(s->post, buf_slice(&s->body))) {
		put_off(x, b, now, 0);
		return;
	}
	if (b->attempts)
		stat_inc(batches_retried);
	s->batch = b;
	s->epoch = x->health.epoch;
}

static struct export_batch *next_due(struct exporter *x, uint64_t now)
{
	list_for_each(i, &x->waiting) {
		struct export_batch *b = list_entry(i, struct export_batch, link);

		if (b->retry_at <= now) {
			list_del(&b->link);
			return b;
		}
	}
	return NULL;
}

static bool any_running(const struct exporter *x)
{
	for (int i = 0; i < SLOTS; i++)
		if (x->slots[i].batch)
			return true;
	return false;
}

static void pump(struct exporter *x, uint64_t now)
{
	struct export_batch *b;

	if (now < x->health.gate || (x->health.down && any_running(x)))
		return;
	for (int i = 0; i < SLOTS; i++) {
		struct slot *s = &x->slots[i];

		while (!s->batch && (b = next_due(x, now)))
			slot_start(s, b, now);
		if (x->health.down)
			return;
	}
}

/* "HTTP 503", "gRPC status 8" */
static void say_code(char text[32], const struct post_answer *a, const struct http_verdict *v)
{
	if (v->grpc >= 0)
		snprintf(text, 32, "gRPC status %d", v->grpc);
	else
		snprintf(text, 32, "HTTP %ld", a->status);
}

static void say_down(const struct exporter *x, const struct post_answer *a, const struct http_verdict *v)
{
	char code[32];

	say_code(code, a, v);
	if (a->status)
		log_warn("%s does not take spans (%s); they are kept and sent again", x->opt.name, code);
	else
		log_warn("%s cannot be reached (%s); spans are kept and sent again", x->opt.name, a->error);
}

static void on_later(struct slot *s, struct export_batch *b, const struct post_answer *a, const struct http_verdict *v,
		     uint64_t now)
{
	struct exporter *x = s->x;
	uint64_t told = MIN(v->wait, GIVE_UP);

	if (!x->health.down)
		say_down(x, a, v);
	put_off(x, b, now, told);
	http_health_failed(&x->health, s->epoch, told, now);
}

static void came_up(struct exporter *x)
{
	if (x->health.down)
		log_info("%s takes spans again", x->opt.name);
	http_health_answered(&x->health);
}

/* What the server said may repeat what it was sent. */
static const char *text_of(const struct exporter *x, const struct http_verdict *v)
{
	return http_options_secret_in(&x->opt, v->text) ? "(its text repeats a header's value)" : v->text;
}

static void on_refused(struct exporter *x, struct export_batch *b, const struct post_answer *a,
		       const struct http_verdict *v, uint64_t now)
{
	char code[32];

	say_code(code, a, v);
	if (may_say(&x->say_refused, now))
		log_warn("%s refused a batch of %u spans: %s%s%s", x->opt.name, b->n, code, *v->text ? ": " : "",
			 text_of(x, v));
	export_batch_done(x->o, b, STAT_drop_refused);
}

/* Both halves go before what waits, and at once. */
static bool halve(struct exporter *x, struct export_batch *b)
{
	struct export_batch *rest = b->n > 1 ? export_batch_split(b) : NULL;

	if (!rest)
		return false;
	stat_inc(batches_halved);
	b->retry_at = rest->retry_at = 0;
	list_push(x->waiting.next, &rest->link);
	list_push(x->waiting.next, &b->link);
	return true;
}

/* The answer does not say which spans were rejected: the count is right, the choice is not known. */
static void on_taken(struct exporter *x, struct export_batch *b, const struct http_verdict *v, uint64_t now)
{
	uint32_t rejected = (uint32_t)MIN(v->rejected, (uint64_t)b->n);

	if ((rejected || *v->text) && may_say(&x->say_partial, now))
		log_warn("%s took %u of %u spans%s%s", x->opt.name, b->n - rejected, b->n, *v->text ? ": " : "",
			 text_of(x, v));
	stat_inc(batches_sent);
	stat_add(export_rejected, rejected);
	export_done(x->o, b->spans, rejected, STAT_drop_refused);
	export_done(x->o, b->spans + rejected, b->n - rejected, -1);
	free(b);
}

static void on_answer(void *arg, const struct post_answer *a, uint64_t now)
{
	struct slot *s = arg;
	struct exporter *x = s->x;
	struct export_batch *b = TAKE_PTR(s->batch);
	struct http_verdict v;

	x->opt.format->judge(a, &v);
	if (v.fate == FATE_LATER) {
		on_later(s, b, a, &v, now);
		return;
	}
	came_up(x);
	if (v.fate == FATE_TAKEN)
		on_taken(x, b, &v, now);
	else if (v.fate == FATE_REFUSED || !halve(x, b))
		on_refused(x, b, a, &v, now);
}

static void http_send(struct exporter *x, struct export_batch *b, uint64_t now)
{
	list_push(&x->waiting, &b->link);
	pump(x, now);
}

static void http_tick(struct exporter *x, uint64_t now)
{
	list_for_each_safe(i, &x->waiting) {
		struct export_batch *b = list_entry(i, struct export_batch, link);

		if (now > b->since && now - b->since > GIVE_UP) {
			list_del(&b->link);
			export_batch_done(x->o, b, STAT_drop_unsent);
		}
	}
	pump(x, now);
}

/* One more try at once, unless the server itself asked for time. */
static void http_flush(struct exporter *x, uint64_t now)
{
	if (!x->health.told) {
		x->health.gate = 0;
		list_for_each(i, &x->waiting)
			list_entry(i, struct export_batch, link)->retry_at = 0;
	}
	pump(x, now);
}

static void http_close(struct exporter *x)
{
	struct list *i;

	for (int s = 0; s < SLOTS; s++) {
		post_free(x->slots[s].post);
		if (x->slots[s].batch)
			export_batch_done(x->o, x->slots[s].batch, STAT_drop_unsent);
		buf_fini(&x->slots[s].body);
	}
	while ((i = list_pop(&x->waiting)))
		export_batch_done(x->o, list_entry(i, struct export_batch, link), STAT_drop_unsent);
	buf_fini(&x->plain);
	http_options_fini(&x->opt);
	ring_free(x->ring);
	free(x);
}

static void close_exporter(struct exporter **x)
{
	if (*x)
		http_close(*x);
}

static int open_slots(struct exporter *x, CURLM *multi)
{
	struct post_config post = http_options_post(&x->opt);
	int r = 0;

	for (int i = 0; i < SLOTS && !r; i++) {
		x->slots[i].x = x;
		buf_init(&x->slots[i].body, OTLP_REQUEST_MAX + HTTP_BODY_SLACK);
		r = post_new(&x->slots[i].post, multi, &post, on_answer, &x->slots[i]);
	}
	return r ? log_ret(r, "cannot export to %s: %s", x->opt.name, strerror(-r)) : 0;
}

static int http_open(struct exporter **out, struct outlet *o, const char *option, const struct export_http *http,
		     const char *version, const struct export_place *at)
{
	_cleanup_(close_exporter) struct exporter *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	x->o = o;
	x->version = version;
	x->index = at->index;
	list_init(&x->waiting);
	buf_init(&x->plain, OTLP_REQUEST_MAX);
	http_health_init(&x->health, at->index);
	r = http_options_init(&x->opt, option, http, at->index, version);
	if (!r && http->balance)
		r = ring_new(&x->ring, http->urls, http->n_urls);
	if (!r)
		r = open_slots(x, at->multi);
	if (!r)
		*out = TAKE_PTR(x);
	return r;
}

static bool http_down(const struct exporter *x)
{
	return x->health.down;
}

static const char *http_target(const struct exporter *x)
{
	return x->opt.name;
}

static bool http_takes(const struct exporter *x, const struct span *s)
{
	return !x->ring || ring_owner(x->ring, s->trace_id) == x->index;
}

static uint32_t otlp_count(const struct export_config *c)
{
	return c->otlp.n_urls;
}

static int otlp_open(struct exporter **out, struct outlet *o, const struct export_config *c, const struct export_place *at)
{
	return http_open(out, o, "--otlp-endpoint", &c->otlp, c->version, at);
}

static uint32_t zipkin_count(const struct export_config *c)
{
	return c->zipkin.n_urls;
}

static int zipkin_open(struct exporter **out, struct outlet *o, const struct export_config *c, const struct export_place *at)
{
	return http_open(out, o, "--zipkin-endpoint", &c->zipkin, c->version, at);
}

const struct exporter_ops exporter_otlp = {
	.name = "otlp",
	.undelivered = STAT_undelivered_otlp,
	.count = otlp_count,
	.open = otlp_open,
	.takes = http_takes,
	.send = http_send,
	.tick = http_tick,
	.flush = http_flush,
	.close = http_close,
	.target = http_target,
	.down = http_down,
};

const struct exporter_ops exporter_zipkin = {
	.name = "zipkin",
	.undelivered = STAT_undelivered_zipkin,
	.count = zipkin_count,
	.open = zipkin_open,
	.send = http_send,
	.tick = http_tick,
	.flush = http_flush,
	.close = http_close,
	.target = http_target,
	.down = http_down,
};
