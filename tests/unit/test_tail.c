// SPDX-License-Identifier: Apache-2.0
/* Spans of a trace wait for its local root; what is decided about them, and the bounds. */
#include "tap.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/rng.h"
#include "base/scope.h"
#include "base/stats.h"
#include "trace/span.h"
#include "trace/tail.h"

#define MAX_OUT 300000

struct got {
	uint32_t n; /* of the span */
	bool keep, has_th;
	uint64_t threshold;
};

static struct got got[MAX_OUT];
static uint32_t n_got;
static struct sampler *sampler;
static struct tail *tail;
static struct arena_pool pool;

/* The exchange holds the number. */
static struct span *make(uint8_t trace, bool root_of_ours, bool error, uint32_t n)
{
	struct exchange *x = exchange_new(&pool, &(struct conn_info){ .id = n }, NULL);
	struct span *s = arena_zalloc(&x->arena, sizeof(*s));

	list_init(&s->link);
	s->exchange = x;
	s->trace_id[9] = trace;
	s->parent_id[0] = !root_of_ours;
	s->d.status = error ? STATUS_ERROR : STATUS_UNSET;
	return s;
}

static void on_decided(void *arg, struct span *s, const struct sample_verdict *v)
{
	(void)arg;
	if (n_got < MAX_OUT)
		got[n_got++] = (struct got){ (uint32_t)s->exchange->call.conn.id, v->keep, v->has_th, v->threshold };
	sample_count(v);
	span_free(s);
}

static void start(const struct sample_config *c, uint32_t max_spans, uint32_t max_traces)
{
	struct tail_config config = { .timeout = 30 * NS_PER_S, .max_spans = max_spans, .max_traces = max_traces, .seed = 7,
				      .pool = &pool };
	char error[256];

	memset(stats, 0, sizeof(stats));
	n_got = 0;
	arena_pool_init(&pool, 1u << 30);
	if (sampler_new(&sampler, c, error, sizeof(error)))
		abort();
	config.sampler = sampler;
	tail = tail_new(&config, &(struct tail_sink){ .decided = on_decided });
}

static void start_errors(double ratio)
{
	start(&(struct sample_config){ .ratio = ratio, .keep_errors = true }, 100, 100);
}

static void finish(void)
{
	tail_flush(tail);
	tail_free(tail);
	sampler_free(sampler);
	CHECK_INT(pool.used, 0);
	arena_pool_fini(&pool);
}

static const uint8_t *id_of(uint8_t trace)
{
	static uint8_t id[16];

	memset(id, 0, sizeof(id));
	id[9] = trace;
	return id;
}

static void test_tail__a_lone_root_does_not_wait(void)
{
	start_errors(0);
	tail_add(tail, make(1, true, false, 1), 5);
	tail_add(tail, make(2, true, true, 2), 6);
	CHECK_INT(n_got, 2);
	CHECK(!got[0].keep && got[1].keep && got[1].has_th && !got[1].threshold);
	finish();
}

static void test_tail__an_error_keeps_what_came_before(void)
{
	start_errors(0);
	tail_expect(tail, id_of(1), true);
	tail_add(tail, make(1, false, false, 1), 5);
	tail_add(tail, make(1, false, true, 2), 6);
	CHECK_INT(n_got, 0);
	tail_add(tail, make(1, false, false, 3), 7);
	tail_settle(tail, id_of(1), true);
	CHECK_INT(n_got, 3);
	for (int i = 0; i < 3; i++)
		CHECK(got[i].n == (uint32_t)i + 1 && got[i].keep && got[i].has_th && !got[i].threshold);
	finish();
}

static void test_tail__the_last_root_ends_the_wait(void)
{
	start_errors(1);
	tail_expect(tail, id_of(1), true);
	tail_expect(tail, id_of(1), true);
	tail_add(tail, make(1, false, false, 1), 5);
	tail_settle(tail, id_of(1), true);
	CHECK_INT(n_got, 0);
	tail_settle(tail, id_of(1), true);
	CHECK_INT(n_got, 1);
	finish();
}

/* Below a root that has ended something goes on: it is waited for, not for long. */
static void test_tail__stragglers(void)
{
	start_errors(0);
	tail_expect(tail, id_of(1), false);
	tail_add(tail, make(1, true, false, 1), NS_PER_S);
	CHECK_INT(n_got, 0);
	tail_tick(tail, NS_PER_S + TAIL_LINGER - 1);
	CHECK_INT(n_got, 0);
	tail_add(tail, make(1, false, true, 2), NS_PER_S);
	tail_settle(tail, id_of(1), false);
	CHECK_INT(n_got, 2);
	CHECK(got[0].keep && got[1].keep);
	tail_expect(tail, id_of(2), false);
	tail_add(tail, make(2, true, false, 3), 3 * NS_PER_S);
	tail_tick(tail, 3 * NS_PER_S + TAIL_LINGER);
	CHECK(n_got == 3 && !got[2].keep);
	CHECK_INT(stats[STAT_tail_straggler], 1);
	tail_add(tail, make(2, false, false, 4), 5 * NS_PER_S); /* it comes late, and follows */
	CHECK(n_got == 4 && !got[3].keep);
	tail_add(tail, make(2, false, true, 5), 5 * NS_PER_S); /* an outcome still adds */
	CHECK(n_got == 5 && got[4].keep && got[4].has_th && !got[4].threshold);
	tail_add(tail, make(2, false, false, 6), 5 * NS_PER_S);
	CHECK(n_got == 6 && got[5].keep);
	CHECK_INT(stats[STAT_tail_late], 3);
	finish();
}

static void test_tail__bounded_in_time(void)
{
	start_errors(0);
	tail_expect(tail, id_of(1), true);
	tail_tick(tail, 100 * NS_PER_S); /* what has no span yet costs no span's memory */
	tail_add(tail, make(1, false, false, 1), 100 * NS_PER_S);
	tail_tick(tail, 130 * NS_PER_S - 1);
	CHECK_INT(n_got, 0);
	tail_tick(tail, 130 * NS_PER_S);
	CHECK_INT(n_got, 1);
	CHECK_INT(stats[STAT_tail_timeout], 1);
	finish();
}

static void test_tail__bounded_in_spans(void)
{
	start(&(struct sample_config){ .keep_errors = true }, 10, 100);
	for (uint8_t i = 0; i < 11; i++) {
		tail_expect(tail, id_of(i), true);
		tail_add(tail, make(i, false, false, i), i);
	}
	CHECK_INT(n_got, 1);
	CHECK_INT(got[0].n, 0); /* the oldest */
	CHECK_INT(stats[STAT_tail_limit], 1);
	finish();
}

static void test_tail__bounded_in_traces(void)
{
	start(&(struct sample_config){ .keep_errors = true }, 1000, 10);
	for (uint8_t i = 0; i < 50; i++) {
		tail_expect(tail, id_of(i), true);
		tail_add(tail, make(i, false, false, i), i);
	}
	CHECK_INT(n_got, 40);
	for (uint8_t i = 0; i < 50; i++)
		tail_settle(tail, id_of(i), true);
	CHECK_INT(n_got, 50);
	finish();
}

static void test_tail__another_request_of_a_decided_trace(void)
{
	start_errors(0);
	tail_expect(tail, id_of(1), true);
	tail_add(tail, make(1, false, false, 1), 1);
	tail_settle(tail, id_of(1), true);
	CHECK(n_got == 1 && !got[0].keep);
	tail_expect(tail, id_of(1), true);
	tail_add(tail, make(1, false, false, 2), 2); /* waits again */
	tail_add(tail, make(1, false, true, 3), 3);
	CHECK_INT(n_got, 1);
	tail_settle(tail, id_of(1), true);
	CHECK(n_got == 3 && got[1].keep && got[2].keep);
	tail_expect(tail, id_of(1), true);
	tail_add(tail, make(1, false, false, 4), 4);
	tail_settle(tail, id_of(1), true);
	CHECK(n_got == 4 && got[3].keep); /* a kept trace stays kept */
	finish();
}

static void test_tail__rules_see_the_whole_local_trace(void)
{
	const char *rules[] = { "status=error,ratio=0.5" };

	start(&(struct sample_config){ .ratio = 0, .rules = rules, .n_rules = 1 }, 100, 100);
	for (unsigned i = 0; i < 256; i++) {
		tail_expect(tail, id_of((uint8_t)i), true);
		tail_add(tail, make((uint8_t)i, false, false, i), i);
		tail_add(tail, make((uint8_t)i, false, true, i), i);
		tail_settle(tail, id_of((uint8_t)i), true);
	}
	CHECK_INT(n_got, 512);
	for (unsigned i = 0; i < 512; i++)
		CHECK(got[i].keep == (got[i].n >= 128) && (!got[i].keep || (got[i].has_th && got[i].threshold == 1ULL << 55)));
	finish();
}

static void test_tail__bounded_in_memory(void)
{
	start(&(struct sample_config){ .keep_errors = true }, 1000, 1000);
	pool.limit = 100 * ARENA_BLOCK;
	for (unsigned i = 0; i < 200; i++) {
		tail_expect(tail, id_of((uint8_t)i), true);
		tail_add(tail, make((uint8_t)i, false, false, i), i);
	}
	CHECK(n_got >= 110 && got[0].n == 0 && pool.used <= pool.limit / 8 * 7);
	CHECK_INT(stats[STAT_tail_limit], n_got);
	finish();
}

/* Anything in any order: each span comes out once, nothing is held at the end, the bounds hold. */
static void test_tail__random_calls(void)
{
	uint64_t now = 1, seen = 0;
	struct rng r;

	rng_seed(&r, 3, 4);
	start(&(struct sample_config){ .ratio = 0.9, .keep_errors = true, .rate = "2/m" }, 64, 48);
	for (uint32_t i = 0; i < 200000; i++) {
		uint64_t v = rng_next(&r);
		uint8_t trace = (uint8_t)(v >> 8 & 63);

		now += v >> 32 & 0xffffff;
		switch (v & 7) {
		case 0:
			tail_expect(tail, id_of(trace), v >> 16 & 1);
			break;
		case 1:
		case 2:
			tail_settle(tail, id_of(trace), v >> 16 & 1);
			break;
		case 3:
			tail_tick(tail, now);
			break;
		default:
			tail_add(tail, make(trace, v >> 17 & 1, !(v >> 18 & 15), i), now - (v >> 20 & 0xff));
			seen++;
		}
		if (seen - n_got > 64)
			break;
	}
	CHECK(seen - n_got <= 64);
	tail_flush(tail);
	CHECK_INT(n_got, seen);
	CHECK(stats[STAT_tail_limit] && stats[STAT_tail_straggler]);
	CHECK(stats[STAT_tail_late]);
	CHECK(stats[STAT_spans_over_rate]);
	finish();
}

int main(void)
{
	RUN(test_tail__a_lone_root_does_not_wait);
	RUN(test_tail__an_error_keeps_what_came_before);
	RUN(test_tail__the_last_root_ends_the_wait);
	RUN(test_tail__stragglers);
	RUN(test_tail__bounded_in_time);
	RUN(test_tail__bounded_in_spans);
	RUN(test_tail__bounded_in_traces);
	RUN(test_tail__another_request_of_a_decided_trace);
	RUN(test_tail__rules_see_the_whole_local_trace);
	RUN(test_tail__bounded_in_memory);
	RUN(test_tail__random_calls);
	return tap_done();
}
