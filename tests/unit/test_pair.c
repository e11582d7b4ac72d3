// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include "base/stats.h"
#include "conn/pair.h"

static struct arena_pool pool;
static struct pair p;
static const struct conn_info info = { .id = 7, .family = FAM_INET };

static struct { /* what the sink saw; the last exchange is kept until the next test */
	unsigned begun, ended, abandoned;
	uint64_t keys[8]; /* of what ended */
	uint8_t ends[8];
	bool truncated[8];
	struct mark resp_last[8], req_last[8];
} saw;

static void on_begin(void *arg, struct exchange *x)
{
	(void)arg;
	CHECK(x->call.conn.id == 7);
	saw.begun++;
}

static void on_end(void *arg, struct exchange *x)
{
	unsigned i = saw.ended++ % 8;

	(void)arg;
	saw.keys[i] = x->key;
	saw.ends[i] = x->call.end;
	saw.truncated[i] = x->call.truncated;
	saw.resp_last[i] = x->resp_last;
	saw.req_last[i] = x->req_last;
	exchange_free(x);
}

static void on_abandon(void *arg, struct exchange *x)
{
	(void)arg;
	saw.abandoned++;
	exchange_free(x);
}

static const struct exchange_sink sink = { on_begin, on_end, on_abandon, NULL };

static struct message *keep(const struct message *m, struct arena *a)
{
	struct message *copy = arena_alloc(a, sizeof(*copy));

	if (copy)
		*copy = *m;
	return copy;
}

static const struct proto_ops proto = { .name = "test", .keep = keep };

static void setup(void)
{
	memset(&saw, 0, sizeof(saw));
	memset(stats, 0, sizeof(stats));
	arena_pool_init(&pool, 16 << 20);
	pair_init(&p, &pool, &sink, &info);
}

static void teardown(void)
{
	pair_fini(&p);
	CHECK_INT(p.n, 0);
	CHECK_INT(pool.used, 0);
	CHECK_INT(saw.begun, saw.ended + saw.abandoned);
	arena_pool_fini(&pool);
}

static struct mark at(uint64_t time)
{
	return (struct mark){ .time = time, .ctx = time };
}

static bool request(uint64_t key, uint64_t time)
{
	struct message m = { .type = MSG_REQUEST, .key = key };
	struct pair_head h = { .first = at(time), .head = at(time + 1) };

	return pair_request(&p, &proto, &m, &h);
}

static bool response(uint64_t key, uint64_t time)
{
	struct message m = { .type = MSG_RESPONSE, .key = key };
	struct pair_head h = { .first = at(time), .head = at(time + 1) };

	return pair_response(&p, &m, &h);
}

static void test_pair__keys_find_their_requests(void)
{
	setup();
	CHECK(request(1, 10) && request(2, 20) && request(3, 30));
	pair_end(&p, MSG_REQUEST, 3, at(35));
	CHECK(!response(9, 40));
	CHECK(!response(0, 40));
	CHECK(response(2, 40));
	pair_end(&p, MSG_RESPONSE, 2, at(45));
	CHECK_INT(saw.ended, 1);
	CHECK_INT(saw.keys[0], 2);
	CHECK_INT(saw.ends[0], CALL_ANSWERED);
	CHECK_INT(saw.resp_last[0].time, 45);
	CHECK(!response(2, 50)); /* only once */
	CHECK(response(3, 50));
	CHECK(!response(3, 51));
	pair_touch(&p, MSG_RESPONSE, 3, at(60));
	pair_end(&p, MSG_RESPONSE, 3, at(70));
	CHECK_INT(saw.req_last[1].time, 35);
	CHECK_INT(pair_oldest(&p)->key, 1);
	pair_end(&p, MSG_RESPONSE, 1, at(80)); /* no head was seen: no answer */
	CHECK_INT(saw.ended, 2);
	teardown();
	CHECK_INT(stats[STAT_drop_shutdown], 1);
}

static void test_pair__every_end_is_told(void)
{
	setup();
	CHECK(request(1, 10) && request(2, 20) && response(1, 30));
	pair_close(&p, CALL_CUT, 99, STAT_drop_gap);
	CHECK_INT(saw.ended, 1); /* with a status, but not whole */
	CHECK(saw.ends[0] == CALL_CUT && saw.truncated[0]);
	CHECK_INT(saw.abandoned, 1);
	CHECK_INT(stats[STAT_drop_gap], 1);
	CHECK(request(3, 10) && request(4, 10));
	pair_close(&p, CALL_CLOSED, 99, 0);
	CHECK(saw.keys[1] == 3 && saw.keys[2] == 4);
	CHECK(saw.ends[1] == CALL_CLOSED && !saw.truncated[1]);
	CHECK(request(5, 10));
	pair_close(&p, CALL_TIMEOUT, 99, 0);
	CHECK(saw.ends[3] == CALL_TIMEOUT && saw.truncated[3]);
	CHECK(request(6, 10) && request(7, 11));
	pair_close_one(&p, pair_oldest(&p), CALL_RESET, 99, 0);
	CHECK(saw.keys[4] == 6 && p.n == 1);
	pair_abandon(&p, STAT_drop_evicted);
	CHECK_INT(stats[STAT_drop_evicted], 1);
	CHECK_INT(stats[STAT_requests_seen], 7);
	teardown();
}

static void test_pair__limits_are_counted(void)
{
	setup();
	for (uint64_t k = 1; k <= PAIR_OPEN_MAX; k++)
		CHECK(request(k, k));
	CHECK(!request(PAIR_OPEN_MAX + 1, 1));
	CHECK_INT(stats[STAT_drop_pipeline], 1);
	for (uint64_t k = PAIR_OPEN_MAX; k; k--) { /* in the worst order */
		CHECK(response(k, 1));
		pair_end(&p, MSG_RESPONSE, k, at(2));
	}
	CHECK_INT(saw.ended, PAIR_OPEN_MAX);
	pool.limit = 0;
	CHECK(!request(2000, 1));
	CHECK_INT(stats[STAT_drop_memory], 1);
	CHECK_INT(stats[STAT_requests_seen], PAIR_OPEN_MAX + 2);
	teardown();
}

/* A pool that ends inside any allocation: each request still ends in exactly one way. */
static void test_pair__memory_running_out_anywhere(void)
{
	for (size_t limit = 0; limit < 3 * ARENA_BLOCK; limit += 64) {
		setup();
		pool.limit = limit;
		for (uint64_t k = 1; k <= 4; k++) {
			request(k, k);
			response(k, k + 1);
			pair_end(&p, MSG_RESPONSE, k, at(k + 2));
		}
		CHECK_INT(saw.ended + stats[STAT_drop_memory], 4);
		teardown();
	}
}

int main(void)
{
	RUN(test_pair__keys_find_their_requests);
	RUN(test_pair__every_end_is_told);
	RUN(test_pair__limits_are_counted);
	RUN(test_pair__memory_running_out_anywhere);
	return tap_done();
}
