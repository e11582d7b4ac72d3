// SPDX-License-Identifier: Apache-2.0
/* Exchanges that wait for their pod: who waits, in which order they go on, and the bounds. */
#include "tap.h"

#include "base/stats.h"
#include "conn/exchange.h"
#include "host/process.h"
#include "trace/await.h"

static struct arena_pool pool;
static struct resource awaited, known, missing;
static uint64_t went[16];
static size_t n_went;
static int expected, crowds;
static struct placement last;
static struct trace_context last_origin;

static void on_known(void *arg, struct exchange *x, const struct placement *p)
{
	(void)arg;
	went[n_went++] = x->key;
	last = *p;
	if (p->origin)
		last_origin = *p->origin;
	exchange_free(x);
}

static void on_crowded(void *arg)
{
	(void)arg;
	crowds++;
	awaited.pod = RESOURCE_POD_MISSING;
}

static void on_expect(void *arg, const uint8_t trace_id[16], bool root)
{
	(void)arg;
	expected += root && trace_id[0];
}

static void on_settle(void *arg, const uint8_t trace_id[16], bool root)
{
	(void)arg;
	expected -= root && trace_id[0];
}

static struct await *start(uint32_t max)
{
	struct await_sink sink = { .known = on_known, .crowded = on_crowded, .expect = on_expect, .settle = on_settle };

	arena_pool_init(&pool, 1 << 20);
	memset(stats, 0, sizeof(stats));
	awaited = (struct resource){ .pod = RESOURCE_POD_AWAITED };
	known = (struct resource){ .pod = RESOURCE_POD_NONE };
	missing = (struct resource){ .pod = RESOURCE_POD_MISSING };
	n_went = 0;
	expected = crowds = 0;
	return await_new(&(struct await_config){ .max = max, .pool = &pool }, &sink);
}

static void stop(struct await *a)
{
	await_free(a);
	CHECK_INT(pool.used, 0);
	arena_pool_fini(&pool);
}

static void add(struct await *a, uint64_t key, struct resource *r)
{
	struct conn_info conn = { .id = key };
	struct exchange *x = exchange_new(&pool, &conn, NULL);
	struct trace_context lent = { .valid = true, .flags = (uint8_t)key };
	struct placement p = { .trace_id = { 1 }, .start = key, .origin = &lent };

	x->key = key;
	x->resource = r;
	await_add(a, x, &p);
	lent = (struct trace_context){ 0 }; /* only lent */
}

static void test_await__those_that_need_not_wait(void)
{
	struct await *a = start(8);

	add(a, 1, &known);
	add(a, 2, NULL);
	CHECK_INT(stats[STAT_kube_missing], 0);
	add(a, 3, &missing);
	CHECK_INT(n_went, 3);
	CHECK_INT(stats[STAT_kube_missing], 1);
	CHECK_INT(expected, 0);
	stop(a);
}

static void test_await__in_the_order_they_came(void)
{
	struct await *a = start(8);
	struct resource other = { .pod = RESOURCE_POD_AWAITED };

	add(a, 1, &awaited);
	add(a, 2, &other);
	add(a, 3, &awaited);
	add(a, 4, &known);
	CHECK_INT(n_went, 1);
	CHECK_INT(expected, 3); /* their traces are not complete */
	await_turn(a);
	CHECK_INT(n_went, 1);
	awaited.pod = RESOURCE_POD_NONE;
	await_turn(a);
	REQUIRE(n_went == 3);
	CHECK(went[0] == 4 && went[1] == 1 && went[2] == 3);
	CHECK(last.start == 3 && last_origin.valid && last_origin.flags == 3);
	CHECK_INT(expected, 1);
	other.pod = RESOURCE_POD_MISSING;
	await_turn(a);
	CHECK_INT(n_went, 4);
	CHECK_INT(stats[STAT_kube_missing], 1);
	CHECK_INT(expected, 0);
	stop(a);
}

static void test_await__at_the_bound_nobody_waits(void)
{
	struct await *a = start(3);

	for (uint64_t k = 1; k <= 5; k++)
		add(a, k, &awaited);
	CHECK_INT(crowds, 1);
	CHECK_INT(stats[STAT_kube_unwaited], 1);
	REQUIRE(n_went == 5);
	for (uint64_t k = 0; k < 5; k++)
		CHECK_INT(went[k], k + 1);
	CHECK_INT(expected, 0);
	stop(a);
}

static void test_await__little_memory_is_a_bound(void)
{
	struct await *a = start(1000);
	struct arena other;

	arena_init(&other, &pool);
	CHECK(arena_alloc(&other, (1 << 20) / 8 * 7) != NULL);
	add(a, 1, &awaited);
	CHECK_INT(n_went, 1);
	CHECK_INT(crowds, 1);
	arena_fini(&other);
	stop(a);
}

static void test_await__the_end(void)
{
	struct await *a = start(8);

	add(a, 1, &awaited);
	add(a, 2, &awaited);
	await_flush(a);
	CHECK_INT(n_went, 2);
	CHECK_INT(expected, 0);
	add(a, 3, &awaited);
	stop(a); /* frees what waits */
	CHECK_INT(n_went, 2);
}

int main(void)
{
	RUN(test_await__those_that_need_not_wait);
	RUN(test_await__in_the_order_they_came);
	RUN(test_await__at_the_bound_nobody_waits);
	RUN(test_await__little_memory_is_a_bound);
	RUN(test_await__the_end);
	return tap_done();
}
