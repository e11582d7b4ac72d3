// SPDX-License-Identifier: Apache-2.0
/*
 * OTLP/HTTP with protobuf (OTLP specification, "OTLP/HTTP"). Batches wait in order; at most SLOTS are under way. One that can be sent again
 * (429, 502, 503, 504, no answer) goes to the end of the line with a back-off of its own, so that a batch the server
 * cannot take does not stop the others; and while the end point is down, one request at a time asks whether it is back.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/scope.h"
#include "base/stats.h"
#include "export/export.h"
#include "export/gzip.h"
#include "export/http_options.h"
#include "export/post.h"
#include "otlp.pb-c.h"

#define SLOTS 4
#define RETRY_FIRST (1 * NS_PER_S)
#define RETRY_CAP (10 * NS_PER_S)
#define GIVE_UP (300 * NS_PER_S) /* age of a batch; also the longest Retry-After that is worth waiting for */
#define GZIP_SLACK (64 * 1024) /* what deflate may add to bytes that do not shrink */
#define TREE_MAX (32 * 1024 * 1024)
#define SAY_EVERY (60 * NS_PER_S)
#define MESSAGE_MAX 200

/* One request under way. */
struct slot {
	struct exporter *x;
	struct post *post;
	struct export_batch *batch; /* NULL: free */
	struct buf body;
	uint32_t epoch; /* of health, at the start */
};

struct health {
	bool down;
	bool told;	   /* the server named the gate */
	uint32_t failures; /* in a row; those under way together count once */
	uint32_t epoch;
	uint64_t gate; /* nothing is sent before */
};

struct exporter {
	struct outlet *o;
	struct http_options opt;
	struct slot slots[SLOTS];
	struct list waiting; /* struct export_batch */
	struct health health;
	struct arena_pool pool;
	struct buf plain; /* what gzip reads */
	struct rng rng;
	uint64_t say_refused, say_partial; /* quiet until then */
};

static uint64_t backoff(struct exporter *x, uint32_t failures)
{
	uint64_t whole = RETRY_FIRST << MIN(failures - 1, 10u);

	whole = MIN(whole, RETRY_CAP);
	return whole / 2 + rng_next(&x->rng) % (whole / 2 + 1);
}

static bool may_say(uint64_t *quiet_until, uint64_t now)
{
	if (now < *quiet_until)
		return false;
	*quiet_until = now + SAY_EVERY;
	return true;
}

static int encode(struct exporter *x, const struct export_batch *b, struct buf *body)
{
	struct buf *to = x->opt.gzip ? &x->plain : body;
	int r;

	buf_reset(&x->plain);
	buf_reset(body);
	r = otlp_encode(b->spans, b->n, x->opt.version, &x->pool, to);
	if (!r && x->opt.gzip)
		r = gzip_encode(buf_slice(&x->plain), body);
	return r;
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
	b->retry_at = now + (told ? told : backoff(x, b->attempts));
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

static void went_down(struct exporter *x, const struct post_answer *a)
{
	if (x->health.down)
		return;
	x->health.down = true;
	if (a->status)
		log_warn("%s does not take spans (HTTP %ld); they are kept and sent again", x->opt.name, a->status);
	else
		log_warn("%s cannot be reached (%s); spans are kept and sent again", x->opt.name, a->error);
}

static void came_up(struct exporter *x)
{
	struct health *h = &x->health;

	if (h->down)
		log_info("%s takes spans again", x->opt.name);
	*h = (struct health){ .epoch = h->epoch };
}

static void on_retryable(struct slot *s, struct export_batch *b, const struct post_answer *a, uint64_t now)
{
	struct exporter *x = s->x;
	struct health *h = &x->health;
	uint64_t told = MIN(a->retry_after, GIVE_UP);

	went_down(x, a);
	put_off(x, b, now, told);
	if (s->epoch == h->epoch) {
		h->epoch++;
		h->failures++;
		h->gate = now + (told ? told : backoff(x, h->failures));
		h->told = told != 0;
	} else if (told && now + told > h->gate) {
		h->gate = now + told;
		h->told = true;
	}
}

static void on_refused(struct exporter *x, struct export_batch *b, const struct post_answer *a, uint64_t now)
{
	const uint8_t *body = (const uint8_t *)a->body.p;
	Otlp__RpcStatus *m = NULL;
	struct slice text = SLICE("");

	if (may_say(&x->say_refused, now)) {
		m = a->body.n ? otlp__rpc_status__unpack(NULL, a->body.n, body) : NULL;
		if (m && m->has_message)
			text = slice_to(slice_of((char *)m->message.data, m->message.len), MESSAGE_MAX);
		log_warn("%s refused a batch of %u spans: HTTP %ld%s%.*s", x->opt.name, b->n, a->status,
			 text.n ? ": " : "", SLICE_ARG(text));
	}
	if (m)
		otlp__rpc_status__free_unpacked(m, NULL);
	export_batch_done(x->o, b, STAT_drop_refused);
}

static uint32_t on_partial(struct exporter *x, uint32_t n, const Otlp__ExportTracePartialSuccess *p, uint64_t now)
{
	int64_t rejected = p->has_rejected_spans ? p->rejected_spans : 0;
	struct slice text = SLICE("");

	rejected = MAX(rejected, (int64_t)0);
	rejected = MIN(rejected, (int64_t)n);
	if (p->has_error_message)
		text = slice_to(slice_of((char *)p->error_message.data, p->error_message.len), MESSAGE_MAX);
	if ((rejected || text.n) && may_say(&x->say_partial, now))
		log_warn("%s took %" PRId64 " of %u spans%s%.*s", x->opt.name, n - rejected, n, text.n ? ": " : "",
			 SLICE_ARG(text));
	return (uint32_t)rejected;
}

/* The answer does not say which spans were rejected: the count is right, the choice is not known. */
static void on_accepted(struct exporter *x, struct export_batch *b, const struct post_answer *a, uint64_t now)
{
	const uint8_t *body = (const uint8_t *)a->body.p;
	Otlp__ExportTraceServiceResponse *m = NULL;
	uint32_t rejected = 0;

	if (a->body.n)
		m = otlp__export_trace_service_response__unpack(NULL, a->body.n, body);
	if (m && m->partial_success)
		rejected = on_partial(x, b->n, m->partial_success, now);
	if (m)
		otlp__export_trace_service_response__free_unpacked(m, NULL);
	stat_inc(batches_sent);
	stat_add(export_rejected, rejected);
	export_done(x->o, b->spans, rejected, STAT_drop_refused);
	export_done(x->o, b->spans + rejected, b->n - rejected, -1);
	free(b);
}

static bool retryable(long status)
{
	return !status || status == 429 || status == 502 || status == 503 || status == 504;
}

static void on_answer(void *arg, const struct post_answer *a, uint64_t now)
{
	struct slot *s = arg;
	struct export_batch *b = TAKE_PTR(s->batch);

	if (retryable(a->status)) {
		on_retryable(s, b, a, now);
		return;
	}
	came_up(s->x);
	if (a->status >= 200 && a->status < 300)
		on_accepted(s->x, b, a, now);
	else
		on_refused(s->x, b, a, now);
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
	arena_pool_fini(&x->pool);
	http_options_fini(&x->opt);
	free(x);
}

static void close_exporter(struct exporter **x)
{
	if (*x)
		http_close(*x);
}

static int http_open(struct exporter **out, struct outlet *o, const struct export_config *c, CURLM *multi)
{
	_cleanup_(close_exporter) struct exporter *x = calloc(1, sizeof(*x));
	struct post_config post;
	int r;

	if (!x)
		return -ENOMEM;
	x->o = o;
	list_init(&x->waiting);
	arena_pool_init(&x->pool, TREE_MAX);
	buf_init(&x->plain, OTLP_REQUEST_MAX);
	rng_seed(&x->rng, clock_boot(), (uint64_t)getpid());
	r = http_options_init(&x->opt, c);
	if (r)
		return r;
	post = http_options_post(&x->opt, c);
	for (int i = 0; i < SLOTS; i++) {
		x->slots[i].x = x;
		buf_init(&x->slots[i].body, OTLP_REQUEST_MAX + (x->opt.gzip ? GZIP_SLACK : 0));
		r = post_new(&x->slots[i].post, multi, &post, on_answer, &x->slots[i]);
		if (r)
			return log_ret(r, "cannot export to %s: %s", x->opt.name, strerror(-r));
	}
	*out = TAKE_PTR(x);
	return 0;
}

static bool http_wanted(const struct export_config *c)
{
	return c->otlp_url != NULL;
}

const struct exporter_ops exporter_http = {
	.name = "otlp",
	.undelivered = STAT_undelivered_otlp,
	.wanted = http_wanted,
	.open = http_open,
	.send = http_send,
	.tick = http_tick,
	.flush = http_flush,
	.close = http_close,
};
