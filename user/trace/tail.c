// SPDX-License-Identifier: Apache-2.0
#include "trace/tail.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/scope.h"
#include "base/stats.h"
#include "base/table.h"
#include "trace/span.h"

/* Which list of the stage a trace is in; each is in order of time. */
enum state {
	FREE,
	EXPECTED,  /* no span yet */
	WAITING,   /* spans, and a root that goes on */
	LINGERING, /* spans; what goes on is below roots that have ended */
	DECIDED,   /* kept for those who come late, until room is needed */
	STATES
};

struct trace {
	struct list link;
	struct list spans;
	uint8_t id[16];
	uint64_t deadline; /* of WAITING and LINGERING */
	uint32_t roots, rest; /* expected */
	uint8_t state;
	bool judged; /* `verdict` was given to spans before those held now */
	struct sample_verdict verdict;
};

struct tail {
	struct tail_config config;
	struct tail_sink out;
	uint64_t now;
	uint32_t held;	 /* spans */
	uint32_t n_used; /* of traces[]; those behind were never touched */
	struct table by_id;
	struct list in[STATES];
	struct trace *traces;
};

struct tail *tail_new(const struct tail_config *c, const struct tail_sink *out)
{
	struct tail *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->config = *c;
	t->out = *out;
	table_init(&t->by_id, c->max_traces);
	for (int i = 0; i < STATES; i++)
		list_init(&t->in[i]);
	t->traces = calloc(c->max_traces, sizeof(*t->traces)); /* most of it untouched until rules want it */
	if (!t->traces) {
		free(t);
		return NULL;
	}
	return t;
}

void tail_free(struct tail *t)
{
	struct list *at;

	if (!t)
		return;
	for (int i = 0; i < STATES; i++)
		list_for_each(trace, &t->in[i])
			while ((at = list_pop(&list_entry(trace, struct trace, link)->spans)))
				span_free(list_entry(at, struct span, link));
	table_fini(&t->by_id);
	free(t->traces);
	free(t);
}

/* ---- traces ---- */

static uint64_t key_of(const struct tail *t, const uint8_t id[16])
{
	uint64_t half[2];

	memcpy(half, id, sizeof(half));
	return table_mix(table_mix(t->config.seed, half[0]), half[1]);
}

static struct trace *find(const struct tail *t, const uint8_t id[16])
{
	struct trace *tr = table_get(&t->by_id, key_of(t, id));

	return tr && !memcmp(tr->id, id, sizeof(tr->id)) ? tr : NULL;
}

static void set_state(struct tail *t, struct trace *tr, enum state state)
{
	list_del(&tr->link);
	list_push(&t->in[state], &tr->link);
	tr->state = (uint8_t)state;
}

static void forget(struct tail *t, struct trace *tr)
{
	table_del(&t->by_id, key_of(t, tr->id));
	set_state(t, tr, FREE);
}

static void hand_out(struct tail *t, struct span *s, const struct sample_verdict *v)
{
	struct sample_verdict own = sample_for_span(v, s);

	t->out.decided(t->out.arg, s, &own);
}

static void decide(struct tail *t, struct trace *tr)
{
	struct evidence e = { 0 };
	struct list *at;

	list_for_each(s, &tr->spans)
		evidence_span(&e, t->config.sampler, list_entry(s, struct span, link));
	tr->verdict = sample_judge(t->config.sampler, &e, tr->judged ? &tr->verdict : NULL, t->now);
	tr->judged = true;
	set_state(t, tr, DECIDED);
	while ((at = list_pop(&tr->spans))) {
		t->held--;
		hand_out(t, list_entry(at, struct span, link), &tr->verdict);
	}
}

static struct trace *oldest(const struct tail *t, enum state state)
{
	return list_empty(&t->in[state]) ? NULL : list_entry(t->in[state].next, struct trace, link);
}

/* Those that linger will not show much more. */
static bool decide_oldest(struct tail *t)
{
	struct trace *tr = oldest(t, LINGERING);

	if (!tr)
		tr = oldest(t, WAITING);
	if (!tr)
		return false;
	stat_inc(tail_limit);
	decide(t, tr);
	return true;
}

static struct trace *take_slot(struct tail *t)
{
	struct trace *tr = oldest(t, FREE);

	if (tr)
		return tr;
	if (t->n_used < t->config.max_traces) {
		tr = &t->traces[t->n_used++];
		list_init(&tr->link);
		return tr;
	}
	if (list_empty(&t->in[DECIDED]) && list_empty(&t->in[EXPECTED]))
		decide_oldest(t);
	tr = oldest(t, DECIDED);
	if (!tr)
		tr = oldest(t, EXPECTED);
	if (tr)
		forget(t, tr);
	return tr;
}

/* NULL without memory, or when the place is another's. */
static struct trace *create(struct tail *t, const uint8_t id[16])
{
	uint64_t key = key_of(t, id);
	struct trace *tr = table_get(&t->by_id, key) ? NULL : take_slot(t);
	struct list link;

	if (!tr)
		return NULL;
	link = tr->link;
	*tr = (struct trace){ .link = link };
	list_init(&tr->spans);
	memcpy(tr->id, id, sizeof(tr->id));
	if (table_set(&t->by_id, key, tr)) {
		set_state(t, tr, FREE);
		return NULL;
	}
	set_state(t, tr, EXPECTED);
	return tr;
}

/* ---- what is known to come ---- */

/* Another request enters with a trace that was decided: what is below it is judged anew, unless the trace is kept anyway. */
static void reopen(struct tail *t, struct trace *tr)
{
	tr->judged = tr->verdict.keep;
	set_state(t, tr, EXPECTED);
}

void tail_expect(struct tail *t, const uint8_t trace_id[16], bool root)
{
	struct trace *tr;

	if (!sampler_is_local(t->config.sampler))
		return;
	tr = find(t, trace_id);
	if (!tr)
		tr = create(t, trace_id);
	if (!tr)
		return;
	if (root && tr->state == DECIDED && !tr->roots)
		reopen(t, tr);
	tr->roots += root;
	tr->rest += !root;
}

static void progress(struct tail *t, struct trace *tr)
{
	bool holds = !list_empty(&tr->spans);

	if (tr->state == DECIDED || tr->roots)
		return;
	if (!tr->rest && holds) {
		decide(t, tr);
	} else if (!tr->rest) {
		if (tr->judged)
			set_state(t, tr, DECIDED);
		else
			forget(t, tr);
	} else if (tr->state == WAITING) {
		tr->deadline = t->now + TAIL_LINGER;
		set_state(t, tr, LINGERING);
	}
}

void tail_settle(struct tail *t, const uint8_t trace_id[16], bool root)
{
	struct trace *tr = t->by_id.n ? find(t, trace_id) : NULL;
	uint32_t *n;

	if (!tr)
		return;
	n = root ? &tr->roots : &tr->rest;
	*n -= *n > 0;
	progress(t, tr);
}

/* ---- spans ---- */

static void judge_alone(struct tail *t, struct span *s, struct trace *follows)
{
	struct evidence e = { 0 };
	struct sample_verdict v;

	evidence_span(&e, t->config.sampler, s);
	v = sample_judge(t->config.sampler, &e, follows ? &follows->verdict : NULL, t->now);
	if (follows) {
		stat_inc(tail_late);
		follows->verdict = v.keep ? v : follows->verdict;
	}
	hand_out(t, s, &v);
}

static void hold(struct tail *t, struct trace *tr, struct span *s)
{
	list_push(&tr->spans, &s->link);
	t->held++;
	if (tr->state != EXPECTED)
		return;
	tr->deadline = t->now + (tr->roots ? t->config.timeout : TAIL_LINGER);
	set_state(t, tr, tr->roots ? WAITING : LINGERING);
}

static bool is_root_of_ours(const struct span *s)
{
	static const uint8_t none[sizeof(s->parent_id)];

	return !memcmp(s->parent_id, none, sizeof(none));
}

/* New requests need what is left of the pool: better a trace decided early than a request dropped. */
static bool is_crowded(const struct tail *t)
{
	const struct arena_pool *pool = t->config.pool;

	return t->held > t->config.max_spans || pool->used > pool->limit / 8 * 7;
}

void tail_add(struct tail *t, struct span *s, uint64_t now)
{
	struct trace *tr = find(t, s->trace_id);

	t->now = MAX(t->now, now);
	if (!tr && !is_root_of_ours(s))
		tr = create(t, s->trace_id);
	if (!tr || tr->state == DECIDED) { /* nobody else can know the id of a root that has nothing below it */
		judge_alone(t, s, tr);
		return;
	}
	hold(t, tr, s);
	progress(t, tr);
	if (is_crowded(t))
		decide_oldest(t);
}

/* ---- time ---- */

static void expire(struct tail *t, enum state state, enum stat_id reason)
{
	struct trace *tr;

	while ((tr = oldest(t, state)) && tr->deadline <= t->now) {
		stats[reason]++;
		decide(t, tr);
	}
}

void tail_tick(struct tail *t, uint64_t now)
{
	t->now = MAX(t->now, now);
	expire(t, WAITING, STAT_tail_timeout);
	expire(t, LINGERING, STAT_tail_straggler);
}

void tail_flush(struct tail *t)
{
	struct trace *tr;

	while ((tr = oldest(t, LINGERING)) || (tr = oldest(t, WAITING)))
		decide(t, tr);
}
