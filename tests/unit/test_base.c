// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/hex.h"
#include "base/rng.h"
#include "base/slice.h"
#include "base/stats.h"
#include "base/table.h"

static void test_slice__split_walks_all_parts(void)
{
	struct slice rest = SLICE("a,,b"), part;

	REQUIRE(slice_split(&rest, ',', &part));
	CHECK_SLICE(part, "a");
	REQUIRE(slice_split(&rest, ',', &part));
	CHECK_SLICE(part, "");
	REQUIRE(slice_split(&rest, ',', &part));
	CHECK_SLICE(part, "b");
	CHECK(!slice_split(&rest, ',', &part));
}

static void test_slice__u64_refuses_overflow_and_signs(void)
{
	uint64_t v = 7;

	CHECK(slice_u64(SLICE("18446744073709551615"), &v) && v == UINT64_MAX);
	CHECK(!slice_u64(SLICE("18446744073709551616"), &v));
	CHECK(!slice_u64(SLICE("+1"), &v));
	CHECK(!slice_u64(SLICE(""), &v));
	CHECK(v == UINT64_MAX);
}

static void test_buf__stops_at_its_maximum(void)
{
	struct buf b;

	buf_init(&b, 300);
	CHECK_INT(buf_append(&b, "0123456789", 10), 0);
	for (int i = 0; i < 29; i++)
		CHECK_INT(buf_append(&b, "0123456789", 10), 0);
	CHECK(buf_append(&b, "x", 1) < 0);
	CHECK(b.failed);
	CHECK_INT(b.n, 300);
	buf_shift(&b, 295);
	CHECK_SLICE(buf_slice(&b), "56789");
	buf_fini(&b);
}

static void test_arena__limit_holds_and_blocks_come_back(void)
{
	struct arena_pool pool;
	struct arena a;
	int n = 0;

	arena_pool_init(&pool, 10 * ARENA_BLOCK);
	arena_init(&a, &pool);
	while (arena_alloc(&a, 500))
		n++;
	CHECK(n >= 30);
	CHECK(pool.used <= pool.limit);
	CHECK(!arena_alloc(&a, 100000));
	arena_fini(&a);
	CHECK_INT(pool.used, 0);
	arena_init(&a, &pool);
	CHECK(arena_alloc(&a, 5000) != NULL);
	CHECK_SLICE(arena_copy(&a, SLICE("x")), "x");
	arena_fini(&a);
	CHECK_INT(pool.used, 0);
	arena_pool_fini(&pool);
}

static void test_table__agrees_with_an_array(void)
{
	static char present[4096];
	struct table t;
	struct rng r;
	size_t n = 0, at = 0, walked = 0;

	rng_seed(&r, 1, 2);
	table_init(&t, 4096);
	for (int i = 0; i < 200000; i++) {
		uint64_t k = rng_next(&r) % 4096;

		if (rng_next(&r) & 1) {
			CHECK_INT(table_set(&t, k * 0x10001, &present[k]), 0);
			n += !present[k];
			present[k] = 1;
		} else {
			void *v = table_del(&t, k * 0x10001);

			CHECK((v != NULL) == present[k]);
			n -= (size_t)present[k];
			present[k] = 0;
		}
	}
	CHECK_INT(t.n, n);
	for (uint64_t k = 0; k < 4096; k++)
		CHECK((table_get(&t, k * 0x10001) == &present[k]) == present[k]);
	while (table_next(&t, &at, NULL))
		walked++;
	CHECK_INT(walked, n);
	table_fini(&t);
}

/* Process ids and thread ids: small numbers near each other, of which two processes have their own. */
static void test_table__keys_of_neighbours_differ(void)
{
	struct table t;
	char x;

	table_init(&t, 1 << 16);
	for (uint64_t pid = 31613; pid < 31613 + 64; pid++)
		for (uint64_t tid = 31600; tid < 31600 + 512; tid++) {
			uint64_t key = table_mix(tid, pid);

			CHECK(!table_get(&t, key));
			CHECK_INT(table_set(&t, key, &x), 0);
		}
	table_fini(&t);
}

static void test_table__refuses_beyond_its_limit(void)
{
	struct table t;
	int x;

	table_init(&t, 3);
	for (uint64_t k = 0; k < 3; k++)
		CHECK_INT(table_set(&t, k, &x), 0);
	CHECK(table_set(&t, 9, &x) < 0);
	CHECK_INT(table_set(&t, 2, &x), 0);
	table_fini(&t);
}

static void test_hex__lower_case_only(void)
{
	uint8_t b[2];

	CHECK(hex_get(b, "0aff", 2) && b[0] == 10 && b[1] == 255);
	CHECK(!hex_get(b, "0aFF", 2));
}

static void printed(char *to, size_t size)
{
	FILE *f = fmemopen(to, size, "w");

	memset(to, 0, size);
	stats_print(f);
	fclose(f);
}

static void test_stats__gauges(void)
{
	static char text[1 << 16];
	char name[32];

	memset(stats, 0, sizeof(stats));
	stats_gauge_add("open", "service", SLICE("a"), 1);
	stats_gauge_add("open", "service", SLICE("b\"\n\\"), 2);
	stats_gauge_add("open", "service", SLICE("a"), 3);
	stats_gauge_add("open", "service", SLICE("\xff\xfe"), 0);
	printed(text, sizeof(text));
	CHECK_SLICE(slice_str(text), "open{service=\"a\"} 4\nopen{service=\"b___\"} 2\n");
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		stats_gauge_add("open", "service", slice_str(name), 1);
	}
	stats_gauge_add("open", "service", SLICE("a"), 1); /* has its row */
	printed(text, sizeof(text));
	CHECK(strstr(text, "open{service=\"a\"} 5\n") && strstr(text, "open{service=\"s0\"} 1\n"));
	CHECK(strstr(text, "open{service=\"other\"} 748\n")); /* 255 rows, three taken before */
	stats_gauge_clear("open");
	printed(text, sizeof(text));
	CHECK_SLICE(slice_str(text), "");
}

int main(void)
{
	RUN(test_slice__split_walks_all_parts);
	RUN(test_slice__u64_refuses_overflow_and_signs);
	RUN(test_buf__stops_at_its_maximum);
	RUN(test_arena__limit_holds_and_blocks_come_back);
	RUN(test_table__agrees_with_an_array);
	RUN(test_table__keys_of_neighbours_differ);
	RUN(test_table__refuses_beyond_its_limit);
	RUN(test_hex__lower_case_only);
	RUN(test_stats__gauges);
	return tap_done();
}
