/* SPDX-License-Identifier: Apache-2.0 */
/* A table of connections fed with made-up traffic, and what came out of it: seen[]. Shared by the tests of conn/. */
#ifndef SPANDREL_TESTS_CONN_KIT_H
#define SPANDREL_TESTS_CONN_KIT_H

#include <stdlib.h>

#include "base/rng.h"
#include "base/scope.h"
#include "base/stats.h"
#include "conn/conn.h"
#include "proto/describe.h"
#include "synth.h"

#define MS 1000000ULL
#define SEEN_MAX 4096

/* What came out of the table, as text and numbers. */
struct seen {
	char name[64];
	int64_t status; /* 0: none */
	struct mark req_first, req_head, req_last, resp_first, resp_last;
	uint64_t ended, req_off;
	uint32_t req_seq;
	uint8_t end;
	bool server, truncated, has_seq, tls;
	struct endpoint remote;
	uint8_t family;
};

struct bench {
	struct synth s;
	struct arena_pool pool;
	struct conn_table *t;
	struct conn_config config;
	struct seen seen[SEEN_MAX];
	unsigned begun, ended, abandoned, sets, asks;
	uint64_t skip_to[2], grant_to[2];
	struct ev_progress progress; /* what the kernel answers when asked; conn 0: nothing */
	uint64_t before[STAT_MAX];
};

static void on_begin(void *arg, struct exchange *x)
{
	struct bench *b = arg;

	CHECK(x->call.req != NULL);
	b->begun++;
}

static void describe(struct seen *s, const struct exchange *x, struct arena_pool *pool)
{
	static const struct describe_config config;
	const struct attr *status;
	struct description d;
	struct arena a;

	arena_init(&a, pool);
	if (!describe_init(&d, &a, &config)) {
		x->call.proto->fill(&d, &x->call);
		snprintf(s->name, sizeof(s->name), "%.*s", SLICE_ARG(d.name));
		status = describe_find(&d, "http.response.status_code");
		s->status = status ? status->i : 0;
		status = describe_find(&d, "url.path");
		if (status)
			snprintf(s->name + strlen(s->name), sizeof(s->name) - strlen(s->name), " %.*s",
				 SLICE_ARG(status->s));
		status = describe_find(&d, "url.full");
		if (status)
			snprintf(s->name + strlen(s->name), sizeof(s->name) - strlen(s->name), " %.*s",
				 SLICE_ARG(status->s));
	}
	arena_fini(&a);
}

static void on_done(void *arg, struct exchange *x)
{
	struct bench *b = arg;
	struct seen *s = &b->seen[b->ended++ % SEEN_MAX];

	describe(s, x, &b->pool);
	s->req_first = x->req_first;
	s->req_head = x->req_head;
	s->req_last = x->req_last;
	s->resp_first = x->resp_first;
	s->resp_last = x->resp_last;
	s->ended = x->ended;
	s->req_off = x->req_off;
	s->req_seq = x->req_seq;
	s->has_seq = x->has_seq;
	s->tls = x->call.conn.tls;
	s->remote = x->call.conn.remote;
	s->family = x->call.conn.family;
	s->end = x->call.end;
	s->server = x->call.server;
	s->truncated = x->call.truncated;
	exchange_free(x);
}

static void on_abandon(void *arg, struct exchange *x)
{
	((struct bench *)arg)->abandoned++;
	exchange_free(x);
}

static void on_verdict(void *arg, uint64_t conn, const uint64_t skip_to[2], const uint64_t grant_to[2])
{
	struct bench *b = arg;

	(void)conn;
	b->sets++;
	memcpy(b->skip_to, skip_to, sizeof(b->skip_to));
	memcpy(b->grant_to, grant_to, sizeof(b->grant_to));
}

static void on_ask(void *arg, uint64_t conn)
{
	struct bench *b = arg;

	b->asks++;
	if (b->progress.conn == conn)
		conn_event(b->t, &b->progress.h);
}

static struct bench *setup(void)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		abort();
	synth_init(&b->s);
	arena_pool_init(&b->pool, 64 << 20);
	b->config = (struct conn_config){ .max_connections = 1000,
					  .memory_limit = 1 << 20,
					  .request_timeout = 300000 * MS,
					  .protocols = protocols,
					  .pool = &b->pool };
	b->t = conn_table_new(&b->config, &(struct exchange_sink){ on_begin, on_done, on_abandon, b },
			      &(struct verdict_sink){ .set = on_verdict, .ask = on_ask, .arg = b });
	memcpy(b->before, stats, sizeof(stats));
	return b;
}

static uint64_t counted(const struct bench *b, enum stat_id s)
{
	return stats[s] - b->before[s];
}

#define COUNT(b, id) counted(b, STAT_##id)

static __attribute__((unused)) uint64_t dropped(const struct bench *b)
{
	uint64_t n = 0;

	for (int i = 0; i < STAT_MAX; i++)
		if (!strcmp(stat_infos[i].name, "requests_dropped"))
			n += counted(b, (enum stat_id)i);
	return n;
}

static void event(void *arg, const struct ev_head *ev)
{
	conn_event(((struct bench *)arg)->t, ev);
}

static void play(struct bench *b)
{
	synth_play(&b->s, event, b);
}

/* The identity that must hold whatever happened; leaks show in the pool and under the sanitizer. */
static void teardown(struct bench *b)
{
	play(b);
	conn_table_close(b->t);
	CHECK_INT(conn_count(b->t), 0);
	CHECK_INT(b->begun, b->ended + b->abandoned);
	CHECK_INT(COUNT(b, requests_seen), b->ended + dropped(b));
	conn_table_free(b->t);
	CHECK_INT(b->pool.used, 0);
	arena_pool_fini(&b->pool);
	synth_fini(&b->s);
	free(b);
}

#endif
