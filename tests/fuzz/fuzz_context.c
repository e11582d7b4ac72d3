// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target for trace context: the input is header lines, `T traceparent`, `S tracestate`, `b b3`, `t i p s f` the five of
 * X-B3-*. What is accepted must say the same when it is read again.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "trace/context.h"
#include "trace/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool truth)
{
	if (!truth)
		abort();
}

static uint8_t carrier_of(char c)
{
	static const char letters[] = "TSbtipsf";
	const char *at = c ? strchr(letters, c) : NULL;

	return at ? (uint8_t)(CARRIER_TRACEPARENT + (at - letters)) : 0;
}

static void read_lines(struct slice rest, struct carrier *c)
{
	struct slice line;

	while (slice_split(&rest, '\n', &line)) {
		uint8_t id = line.n ? carrier_of(line.p[0]) : 0;

		if (!id)
			continue;
		if (c->n == CARRIER_MAX) {
			c->overflow = true;
			return;
		}
		c->fields[c->n++] = (struct carrier_field){ id, slice_from(line, 1) };
	}
}

static void check_state(struct slice state, struct arena *a)
{
	struct slice again = SLICE_NONE, with;
	uint64_t v;

	need(state.n <= 32 * (256 + 1 + 256 + 1));
	need(!tracestate_parse(&state, 1, a, &again) && slice_eq(state, again));
	with = tracestate_with_th(state, SLICE("8"), a);
	need(!with.p || (!tracestate_parse(&with, 1, a, &again) && slice_eq(with, again)));
	need(!with.p || (!tracestate_th(with, &v) && v == 1ULL << 55));
	with = tracestate_with_th(state, SLICE_NONE, a);
	need(tracestate_th(with, &v) == -ENOENT);
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

static void check_context(const struct trace_context *t, struct arena *a)
{
	const struct sample_config half = { .ratio = 0.5 };
	struct sampler *s = NULL;
	struct sample_verdict v;
	char error[64];

	need(t->sampled <= SAMPLED_YES && !(t->flags & ~3));
	need(t->valid == !all_zero(t->trace_id, 16) && t->valid == !all_zero(t->span_id, 8));
	need(t->valid || !t->tracestate.n);
	if (t->tracestate.n)
		check_state(t->tracestate, a);
	need(!sampler_new(&s, &half, error, sizeof(error)));
	v = sample_decide(s, t->trace_id, t);
	sampler_free(s);
	need(t->sampled == SAMPLED_UNKNOWN || v.keep == (t->sampled == SAMPLED_YES));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct carrier_field fields[CARRIER_MAX];
	struct carrier c = { .fields = fields };
	struct arena_pool pool;
	struct trace_context t;
	struct arena a;
	char *text;

	if (size > 1 << 16)
		return 0;
	text = malloc(size + 1); /* the sanitizer guards its end */
	memcpy(text, data, size);
	read_lines(slice_of(text, size), &c);
	arena_pool_init(&pool, size % 7 ? 1 << 20 : 0);
	arena_init(&a, &pool);
	need(context_parse(&c, &a, &t) || !t.valid);
	if (pool.limit)
		check_context(&t, &a);
	arena_fini(&a);
	arena_pool_fini(&pool);
	free(text);
	return 0;
}
