/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges made by hand, and what became of them: results[] by exchange.key. */
#ifndef SPANDREL_TESTS_CAUSE_KIT_H
#define SPANDREL_TESTS_CAUSE_KIT_H

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/scope.h"
#include "base/stats.h"
#include "trace/cause.h"

#define ALL_LINKS (LINK_HEADER | LINK_THREAD | LINK_CONNECTION)
#define RESULTS 70000

struct result {
	bool placed;
	unsigned order;
	struct placement p;
	struct trace_context origin; /* a copy, tracestate in `state` */
	char state[32];
};

static struct result results[RESULTS];
static unsigned n_placed;
static struct arena_pool kit_pool;
static struct rng kit_rng;
static struct cause *cause;
static uint64_t next_key = 1;
static uint32_t kit_hidden; /* exchanges of this process give no span; 0: all do */

/* Memory that was given back is not to be read any more. */
static inline void spoil_free_block(void)
{
	struct arena a;
	void *p;

	arena_init(&a, &kit_pool);
	p = arena_alloc(&a, ARENA_BLOCK / 2);
	if (p)
		memset(p, 0x5a, ARENA_BLOCK / 2);
	p = arena_alloc(&a, ARENA_BLOCK / 2 - 64);
	if (p)
		memset(p, 0x5a, ARENA_BLOCK / 2 - 64);
	arena_fini(&a);
}

static inline void on_placed(void *arg, struct exchange *x, const struct placement *p)
{
	struct result *r = &results[x->key];

	(void)arg;
	*r = (struct result){ .placed = true, .order = ++n_placed, .p = *p };
	if (p->origin) {
		r->origin = *p->origin;
		if (p->origin->tracestate.n)
			memcpy(r->state, p->origin->tracestate.p, MIN(p->origin->tracestate.n, sizeof(r->state) - 1));
	}
	exchange_free(x);
	spoil_free_block();
}

static inline uint16_t on_hidden(void *arg, const struct exchange *x)
{
	(void)arg;
	return kit_hidden && x->req_first.pid == kit_hidden ? STAT_drop_self_traced : 0;
}

static inline void kit_start_with(uint32_t links, uint64_t link_timeout, uint32_t max_waiting)
{
	struct cause_config config = { .links = links, .link_timeout = link_timeout, .max_waiting = max_waiting, .rng = &kit_rng };
	struct cause_sink sink = { .placed = on_placed, .hidden = on_hidden };

	memset(results, 0, sizeof(results));
	memset(stats, 0, sizeof(stats));
	n_placed = 0;
	kit_hidden = 0;
	next_key = 1;
	arena_pool_init(&kit_pool, 1u << 30);
	rng_seed(&kit_rng, 11, 12);
	cause = cause_new(&config, &sink);
}

static inline void kit_start(void)
{
	kit_start_with(ALL_LINKS, 30 * NS_PER_S, 65536);
}

/* Everything is placed or abandoned, and nothing is left behind. */
static inline void kit_stop(void)
{
	cause_flush(cause);
	cause_free(cause);
	CHECK_INT(kit_pool.used, 0);
	arena_pool_fini(&kit_pool);
}

static inline struct endpoint endpoint4(uint32_t addr, uint16_t port)
{
	return (struct endpoint){ .addr = { [10] = 0xff, 0xff, (uint8_t)(addr >> 24), (uint8_t)(addr >> 16),
					    (uint8_t)(addr >> 8), (uint8_t)addr },
				  .port = port };
}

/* A TCP connection of this process (server end) with a host elsewhere. */
static inline struct conn_info conn_remote(uint64_t id)
{
	return (struct conn_info){ .id = id, .netns = 1, .family = FAM_INET, .local = endpoint4(0x0a000001, 80),
				   .remote = endpoint4(0xc0000201, (uint16_t)(1000 + id)) };
}

/* One end of a connection on loopback. */
static inline struct conn_info conn_local(uint64_t id, uint16_t port, bool server)
{
	struct endpoint a = endpoint4(0x7f000001, port), b = endpoint4(0x7f000001, 80);

	return (struct conn_info){ .id = id, .netns = 1, .family = FAM_INET, .local = server ? b : a, .remote = server ? a : b };
}

static inline struct conn_info conn_unix(uint64_t id, uint64_t key, bool server)
{
	return (struct conn_info){ .id = id, .netns = 1, .family = FAM_UNIX, .self_key = key + server, .peer_key = key + !server };
}

static inline struct exchange *make(bool server, uint32_t pid, uint32_t tid, struct conn_info conn, uint64_t t)
{
	struct exchange *x = exchange_new(&kit_pool, &conn, NULL);
	struct message *m = arena_zalloc(&x->arena, sizeof(*m));

	m->type = MSG_REQUEST;
	x->call.req = m;
	x->call.server = server;
	x->key = next_key++;
	x->req_first = x->req_head = x->req_last = (struct mark){ .time = t, .ctx = tid, .pid = pid, .tid = tid };
	return x;
}

static inline struct exchange *with_field(struct exchange *x, enum carrier_id id, const char *value)
{
	struct message *m = (struct message *)x->call.req;

	if (!m->carrier.fields)
		m->carrier.fields = arena_zalloc(&x->arena, 8 * sizeof(*m->carrier.fields));
	m->carrier.fields[m->carrier.n++] = (struct carrier_field){ (uint8_t)id, slice_str(value) };
	return x;
}

static inline struct exchange *with_parent(struct exchange *x, const char *traceparent)
{
	return with_field(x, CARRIER_TRACEPARENT, traceparent);
}

static inline struct exchange *begin(struct exchange *x)
{
	cause_begin(cause, x);
	return x;
}

static inline struct exchange *inbound(uint32_t pid, uint32_t tid, uint64_t conn, uint64_t t)
{
	return begin(make(true, pid, tid, conn_remote(conn), t));
}

/* To a host elsewhere; its connection is never that of an inbound one. */
static inline struct exchange *outgoing(uint32_t pid, uint32_t tid, uint64_t t)
{
	struct conn_info c = conn_remote(100000 + next_key);

	return begin(make(false, pid, tid, c, t));
}

static inline struct mark mark_like(const struct mark *m, uint64_t t)
{
	return (struct mark){ .time = t, .ctx = m->ctx, .pid = m->pid, .tid = m->tid };
}

static inline uint64_t end_by(struct exchange *x, uint32_t pid, uint32_t tid, uint64_t t)
{
	uint64_t key = x->key;

	x->call.end = CALL_ANSWERED;
	x->resp_first = x->resp_last = (struct mark){ .time = t, .ctx = tid, .pid = pid, .tid = tid };
	cause_end(cause, x);
	return key;
}

/* Answered in its own context. */
static inline uint64_t end(struct exchange *x, uint64_t t)
{
	return end_by(x, x->req_head.pid, x->req_head.tid, t);
}

static inline bool is_zero(const uint8_t *p, size_t n)
{
	while (n--)
		if (p[n])
			return false;
	return true;
}

static inline bool is_root(uint64_t key)
{
	const struct result *r = &results[key];

	return r->placed && is_zero(r->p.parent_id, 8) && !r->p.link && !r->p.parent_remote && !is_zero(r->p.trace_id, 16);
}

static inline bool is_child(uint64_t child, uint64_t parent, enum link_kind link)
{
	const struct result *c = &results[child], *p = &results[parent];

	return c->placed && p->placed && c->p.link == link && !c->p.parent_remote &&
	       !memcmp(c->p.parent_id, p->p.span_id, 8) && !memcmp(c->p.trace_id, p->p.trace_id, 16) &&
	       memcmp(c->p.span_id, p->p.span_id, 8) && c->p.start >= p->p.start && c->order > p->order;
}

static inline bool is_remote_child(uint64_t key, const char *traceparent)
{
	const struct result *r = &results[key];
	struct trace_context t;

	return !traceparent_parse(slice_str(traceparent), &t) && r->placed && r->p.link == LINK_HEADER && r->p.parent_remote &&
	       !memcmp(r->p.trace_id, t.trace_id, 16) && !memcmp(r->p.parent_id, t.span_id, 8);
}

#endif
