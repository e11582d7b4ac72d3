// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target for whatever comes out of a ring or a recording: bytes as records, those that event_valid() lets pass go
 * through conn/ with the real protocols. The input is a recording, or its records alone; its checksums are not looked at.
 * What must hold: every request seen is an exchange or one drop, every byte of memory comes back.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "conn/conn.h"
#include "probe/probe.h"
#include "probe/record.h"
#include "proto/describe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct tally {
	uint64_t begun, ended, abandoned;
	struct conn_table *t;
	const struct ev_head *progress;
};

static void on_begin(void *arg, struct exchange *x)
{
	(void)x;
	((struct tally *)arg)->begun++;
}

static void on_end(void *arg, struct exchange *x)
{
	static const struct describe_config config = { .max_value = 64 };
	struct description d;

	((struct tally *)arg)->ended++;
	if (!describe_init(&d, &x->arena, &config))
		x->call.proto->fill(&d, &x->call);
	exchange_free(x);
}

static void on_abandon(void *arg, struct exchange *x)
{
	((struct tally *)arg)->abandoned++;
	exchange_free(x);
}

static void on_ask(void *arg, uint64_t conn)
{
	struct tally *a = arg;

	if (a->progress && ((const struct ev_progress *)a->progress)->conn == conn)
		conn_event(a->t, a->progress);
}

static uint64_t dropped(void)
{
	uint64_t n = 0;

	for (int i = 0; i < STAT_MAX; i++)
		if (!strcmp(stat_infos[i].name, "requests_dropped"))
			n += stats[i];
	return n;
}

/* A copy of exactly its length, so that a sanitizer sees a read behind it. */
static void give(struct tally *a, const uint8_t *p, size_t n)
{
	struct ev_head *ev = malloc(n);

	if (!ev)
		abort();
	memcpy(ev, p, n);
	if (!event_valid(ev, n)) {
		free(ev);
		return;
	}
	conn_event(a->t, ev);
	if (ev->type == EV_PROGRESS) { /* also the answer to the next questions */
		free((void *)a->progress);
		a->progress = ev;
		return;
	}
	free(ev);
}

static void play(struct tally *a, const uint8_t *data, size_t size)
{
	size_t at = size >= sizeof(struct record_header) && !memcmp(data, RECORD_MAGIC, 8) ? sizeof(struct record_header) : 0;
	struct ev_head h;

	for (; size - at >= sizeof(h); at += ((size_t)h.len + 7) & ~(size_t)7) {
		memcpy(&h, data + at, sizeof(h));
		if (h.len < sizeof(h) || h.len > size - at)
			return;
		if (h.type != RECORD_CHECK)
			give(a, data + at, h.len);
		if (size - at < (((size_t)h.len + 7) & ~(size_t)7))
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tally a = { 0 };
	struct arena_pool pool;
	struct conn_config config = { .max_connections = 8, .memory_limit = 1 << 20, .request_timeout = 1000000000ULL,
				      .protocols = protocols, .pool = &pool };

	if (size > 1 << 18)
		return 0;
	arena_pool_init(&pool, 4 << 20);
	memset(stats, 0, sizeof(stats));
	a.t = conn_table_new(&config, &(struct exchange_sink){ on_begin, on_end, on_abandon, &a },
			     &(struct verdict_sink){ .ask = on_ask, .arg = &a });
	if (!a.t)
		abort();
	play(&a, data, size);
	conn_table_close(a.t);
	if (conn_count(a.t) || a.begun != a.ended + a.abandoned)
		abort();
	if (stats[STAT_requests_seen] != a.ended + dropped() || pool.used)
		abort();
	conn_table_free(a.t);
	arena_pool_fini(&pool);
	free((void *)a.progress);
	return 0;
}
