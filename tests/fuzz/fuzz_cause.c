// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target for cause: the input is a program, eight bytes a step, that begins, ends and abandons exchanges in few
 * processes, contexts and connections, at any time, forwards or backwards. Whatever it does: each exchange is placed
 * once, below a span that was placed before it and does not begin later, never below one that is hidden, and nothing is left.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/scope.h"
#include "base/table.h"
#include "base/stats.h"
#include "trace/cause.h"

#define OPEN_MAX 32
#define SPANS_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct step {
	uint8_t what, pid, ctx, conn, seq, time, other, header;
};

static struct {
	uint8_t id[8];
	uint64_t start;
} spans[SPANS_MAX];
static unsigned n_spans, n_begun, n_gone;
static struct exchange *open_now[OPEN_MAX];
static struct arena_pool pool;
static uint64_t now;

static void need(bool truth)
{
	if (!truth)
		abort();
}

static bool hides; /* one of the two processes gives no spans */

static uint16_t on_hidden(void *arg, const struct exchange *x)
{
	(void)arg;
	return hides && x->req_first.pid == 2 ? STAT_drop_excluded : 0;
}

static void on_placed(void *arg, struct exchange *x, const struct placement *p)
{
	static const uint8_t zero[16];
	bool found = false;

	(void)arg;
	need(memcmp(p->span_id, zero, 8) && memcmp(p->trace_id, zero, 16));
	need(!memcmp(p->parent_id, zero, 8) == !p->link);
	need(!p->parent_remote || p->link == LINK_HEADER || hides);
	need(p->hidden == on_hidden(NULL, x));
	for (unsigned i = 0; i < n_spans && !found && p->link && !p->parent_remote; i++)
		found = !memcmp(spans[i].id, p->parent_id, 8) && spans[i].start <= p->start;
	need(found || !p->link || p->parent_remote);
	need(n_spans < SPANS_MAX);
	memcpy(spans[n_spans].id, p->hidden ? zero : p->span_id, 8);
	spans[n_spans++].start = p->start;
	exchange_free(x);
}

static struct mark mark_of(const struct step *s, uint64_t t, uint8_t ctx)
{
	return (struct mark){ .time = t, .ctx = ctx & 3, .pid = 1 + (s->pid & 1), .tid = ctx & 3 };
}

/* What is expected is settled, with the same words: sums that must be nothing in the end. */
static int64_t n_expected;
static uint64_t expected_sum;

static uint64_t sum_of(const uint8_t id[16], bool root)
{
	uint64_t half[2];

	memcpy(half, id, sizeof(half));
	return table_mix(half[0], half[1] + root);
}

static void on_expect(void *arg, const uint8_t id[16], bool root)
{
	(void)arg;
	n_expected++;
	expected_sum += sum_of(id, root);
}

static void on_settle(void *arg, const uint8_t id[16], bool root)
{
	(void)arg;
	need(n_expected-- > 0);
	expected_sum -= sum_of(id, root);
}

static struct conn_info conn_of(const struct step *s, bool server)
{
	struct conn_info c = { .id = 1 + (s->conn & 7) * 2 + server, .netns = s->conn >> 7 };
	struct endpoint a = { .addr = { [10] = 0xff, 0xff, 127, 0, 0, 1 }, .port = s->conn & 7 }, b = a;

	if (s->conn & 64)
		a.addr[12] = b.addr[12] = 10;
	b.port = 80;
	c.family = s->conn & 8 ? FAM_UNIX : FAM_INET;
	c.mid = (s->conn & 48) == 48;
	c.self_key = 10 * (s->conn & 7) + 1 + server;
	c.peer_key = 10 * (s->conn & 7) + 2 - server;
	c.local = server ? b : a;
	c.remote = server ? a : b;
	return c;
}

static void set_header(struct exchange *x, struct message *m, uint8_t header)
{
	static const struct slice values[] = { SLICE("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
					       SLICE("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-02"), SLICE("bad") };

	if (!(header & 3))
		return;
	m->carrier.fields = arena_zalloc(&x->arena, 2 * sizeof(*m->carrier.fields));
	m->carrier.fields[m->carrier.n++] = (struct carrier_field){ CARRIER_TRACEPARENT, values[(header & 3) - 1] };
	m->carrier.fields[m->carrier.n++] = (struct carrier_field){ CARRIER_TRACESTATE, SLICE("a=1,ot=th:8") };
}

static void do_begin(struct cause *c, const struct step *s, struct exchange **slot)
{
	bool server = s->what & 8;
	struct conn_info conn = conn_of(s, server);
	struct exchange *x = exchange_new(&pool, &conn, NULL);
	struct message *m = x ? arena_zalloc(&x->arena, sizeof(*m)) : NULL;

	need(m);
	x->call.req = m;
	x->call.server = server;
	x->has_seq = !(s->seq & 128);
	x->req_seq = s->seq & 3;
	x->req_off = s->seq & 3;
	x->req_first = mark_of(s, now - (s->seq >> 4 & 7), s->ctx);
	x->req_head = x->req_last = mark_of(s, now, s->ctx >> 2);
	set_header(x, m, s->header);
	if (s->header & 64) /* no memory left for what cause keeps */
		pool.limit = pool.used;
	while (s->header & 64 && arena_alloc(&x->arena, 1))
		;
	cause_begin(c, x);
	pool.limit = 1 << 26;
	*slot = x;
	n_begun++;
}

static void do_end(struct cause *c, const struct step *s, struct exchange **slot)
{
	struct exchange *x = *slot;

	if (s->other & 4)
		x->resp_first = mark_of(s, now - (s->seq & 7), s->ctx);
	x->resp_last = mark_of(s, now, s->ctx);
	if (s->other & 8) { /* seen, not whole */
		return;
	}
	*slot = NULL;
	n_gone += (s->other & 48) == 48;
	if ((s->other & 48) == 48)
		cause_abandon(c, x);
	else
		cause_end(c, x);
}

static void run_step(struct cause *c, const struct step *s)
{
	struct exchange **slot = &open_now[s->other >> 3 & (OPEN_MAX - 1)];

	now = s->time & 128 ? now - (s->time & 15) : now + (s->time & 15) * (s->time & 64 ? 50 * NS_PER_MS : 1);
	switch (s->what & 7) {
	case 5:
		cause_tick(c, now);
		break;
	case 6:
		cause_exit(c, 1 + (s->pid & 1));
		break;
	case 7:
		if (s->header == 77)
			cause_flush(c);
		break;
	default:
		if (*slot)
			do_end(c, s, slot);
		else
			do_begin(c, s, slot);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rng rng;
	struct cause_config config = { .links = 7, .link_timeout = NS_PER_S, .max_waiting = 20, .rng = &rng };
	struct cause_sink sink = { .placed = on_placed, .expect = on_expect, .settle = on_settle, .hidden = on_hidden };
	struct cause *c;

	if (size > SPANS_MAX * sizeof(struct step))
		return 0;
	rng_seed(&rng, 1, 2);
	arena_pool_init(&pool, 1 << 26);
	now = NS_PER_S;
	n_spans = n_begun = n_gone = 0;
	n_expected = 0;
	expected_sum = 0;
	hides = size % sizeof(struct step) % 2; /* what is left of the last step */
	c = cause_new(&config, &sink);
	need(c);
	for (; size >= sizeof(struct step); data += sizeof(struct step), size -= sizeof(struct step)) {
		struct step s;

		memcpy(&s, data, sizeof(s));
		run_step(c, &s);
	}
	for (unsigned i = 0; i < OPEN_MAX; i++) {
		if (open_now[i])
			cause_end(c, open_now[i]);
		open_now[i] = NULL;
	}
	cause_flush(c);
	need(n_spans + n_gone == n_begun);
	need(!n_expected && !expected_sum);
	cause_free(c);
	need(!pool.used);
	arena_pool_fini(&pool);
	return 0;
}
