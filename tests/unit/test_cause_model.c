// SPDX-License-Identifier: Apache-2.0
/*
 * A host in small, with the truth known: services of several kinds call each other over TCP and UNIX connections; threads
 * are scheduled at random, also between the moment a send is done and the moment it is seen. No parent may be wrong,
 * and where a thread serves one request at a time none may be missing.
 */
#include "tap.h"

#include "cause_kit.h"

enum kind {
	POOL,	/* a thread serves a request from its first to its last byte */
	LOOP,	/* one thread serves all, a step of one after a step of another */
	HANDED, /* one thread reads, others work and answer */
};

#define SERVICES 8
#define THREADS 6
#define CONNS 4000
#define STEP (20 * 1000ULL)

enum step { READ, CALL, CALLED, WAIT, ANSWER, ANSWERED, DONE };

struct link { /* a connection between two services, or from outside */
	uint64_t id;
	uint32_t seq;
	int from, to;
	bool is_unix;
	int busy; /* ends that are inside a request: nobody else uses it before both have returned */
};

struct task {
	int service;
	enum step step;
	struct link *via, *call_via;
	uint32_t seq;
	uint64_t off;
	struct exchange *in, *out;
	uint64_t in_key, out_key;
	uint64_t caller; /* key of the client's exchange; 0: outside */
	struct task *waiter; /* who made the call, NULL: outside */
	int calls_left;
	bool answered; /* the current call */
	bool taken;
	struct task *next;
};

struct thread {
	uint32_t tid;
	struct task *task; /* POOL, HANDED: what it works on; LOOP: inside an operation */
};

struct service {
	enum kind kind;
	uint32_t pid;
	struct thread threads[THREADS];
	struct task *tasks; /* all that were delivered and are not done */
};

static struct service services[SERVICES];
static struct link links[CONNS];
static struct rng chance;
static uint64_t now, truth[RESULTS]; /* the parent's key; 0: none */
static uint8_t must[RESULTS];	     /* that parent has to be found */
static unsigned n_links, n_open, n_started;

static unsigned dice(unsigned n)
{
	return (unsigned)(rng_next(&chance) % n);
}

static struct link *find_link(int from, int to)
{
	struct link *l;
	unsigned start = dice(8) ? 0 : n_links; /* mostly keep-alive */

	for (unsigned i = start; i < n_links; i++)
		if (!links[i].busy && links[i].from == from && links[i].to == to) {
			links[i].busy = from < 0 ? 1 : 2;
			return &links[i];
		}
	if (n_links == CONNS)
		return NULL;
	l = &links[n_links++];
	*l = (struct link){ .id = n_links, .seq = (uint32_t)rng_next(&chance), .from = from, .to = to, .busy = from < 0 ? 1 : 2,
			    .is_unix = from >= 0 && to % 3 == 2 };
	return l;
}

static struct exchange *make_end(const struct task *callee, bool server, uint32_t pid, uint32_t tid)
{
	const struct link *l = callee->via;
	struct conn_info c;
	struct exchange *x;

	if (l->from < 0)
		c = conn_remote(2 * l->id + server);
	else if (l->is_unix)
		c = conn_unix(2 * l->id + server, 100 * l->id, server);
	else
		c = conn_local(2 * l->id + server, (uint16_t)(1000 + l->id), server);
	x = make(server, pid, tid, c, now);
	x->req_seq = callee->seq;
	x->has_seq = !l->is_unix;
	x->req_off = callee->off;
	return x;
}

/* The request is in the callee's socket: it may be read from now on. */
static struct task *deliver(int from, int to, struct task *waiter)
{
	struct link *l = find_link(from, to);
	struct task *t = l ? calloc(1, sizeof(*t)) : NULL;

	if (!t)
		return NULL;
	t->service = to;
	t->via = l;
	t->seq = l->seq;
	t->off = l->seq;
	l->seq += 1 + dice(1000);
	t->waiter = waiter;
	t->calls_left = (int)dice(to + 2 < SERVICES ? 4 : 1);
	t->next = services[to].tasks;
	services[to].tasks = t;
	n_open++;
	n_started++;
	return t;
}

static void see_request(struct task *t, uint32_t tid)
{
	struct service *s = &services[t->service];

	t->in = begin(make_end(t, true, s->pid, tid));
	t->in_key = t->in->key;
	truth[t->in_key] = t->caller;
	must[t->in_key] = t->caller != 0;
	t->step = t->calls_left ? CALL : ANSWER;
}

/* The exchange is made here, so that its key is known to whoever reads the request before the send is seen. */
static void send_call(const struct service *s, const struct thread *th, struct task *t)
{
	int to = t->service + 1 + (int)dice((unsigned)(SERVICES - t->service - 1));
	struct task *callee = deliver(t->service, to, t);

	if (!callee) {
		t->step = ANSWER;
		return;
	}
	t->call_via = callee->via;
	callee->caller = next_key++;
	t->out_key = callee->caller;
	t->answered = false;
	t->out = make_end(callee, false, s->pid, th->tid);
	t->out->key = t->out_key;
	next_key--; /* make() took one more */
	t->step = CALLED;
}

static void see_call(const struct service *s, struct task *t)
{
	t->out->req_first.time = t->out->req_head.time = t->out->req_last.time = now;
	begin(t->out);
	truth[t->out_key] = t->in_key;
	must[t->out_key] = s->kind == POOL;
	t->step = WAIT;
}

static void see_answer(const struct service *s, const struct thread *th, struct task *t)
{
	end_by(t->out, s->pid, th->tid, now);
	t->call_via->busy--;
	t->calls_left--;
	t->step = t->calls_left ? CALL : ANSWER;
}

static void send_answer(struct task *t)
{
	if (t->waiter)
		t->waiter->answered = true;
	t->step = ANSWERED;
}

static void see_own_answer(const struct service *s, const struct thread *th, struct task *t)
{
	end_by(t->in, s->pid, th->tid, now);
	t->via->busy--;
	t->step = DONE;
}

static bool can_step(const struct task *t)
{
	return t->step != WAIT || t->answered;
}

static void do_step(const struct service *s, const struct thread *th, struct task *t)
{
	switch (t->step) {
	case READ: see_request(t, th->tid); break;
	case CALL: send_call(s, th, t); break;
	case CALLED: see_call(s, t); break;
	case WAIT: see_answer(s, th, t); break;
	case ANSWER: send_answer(t); break;
	case ANSWERED: see_own_answer(s, th, t); break;
	case DONE: break;
	}
}

static bool inside_operation(const struct task *t)
{
	return t->step == CALLED || t->step == ANSWERED;
}

static void drop_task(struct service *s, struct task *t)
{
	for (struct task **at = &s->tasks; *at; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			break;
		}
	n_open--;
	free(t);
}

/* One of the tasks that `th` may take up now. */
static struct task *pick(struct service *s, const struct thread *th)
{
	struct task *found = NULL;
	unsigned n = 0;
	bool reader = th == s->threads;

	for (struct task *t = s->tasks; t; t = t->next) {
		if (t->taken || !can_step(t))
			continue;
		if (s->kind == HANDED && reader != (t->step == READ))
			continue;
		if (!dice(++n))
			found = t;
	}
	return found;
}

static void run_thread(struct service *s, struct thread *th)
{
	struct task *t = th->task ? th->task : pick(s, th);

	if (!t || !can_step(t))
		return;
	th->task = t;
	t->taken = true;
	do_step(s, th, t);
	if (t->step == DONE) {
		th->task = NULL;
		drop_task(s, t);
	} else if ((s->kind == LOOP && !inside_operation(t)) || (s->kind == HANDED && th == s->threads)) {
		th->task = NULL;
		t->taken = false;
	}
}

static void setup(unsigned seed, bool loops)
{
	static const enum kind mixed[SERVICES] = { POOL, LOOP, POOL, HANDED, POOL, LOOP, HANDED, POOL };

	kit_start();
	rng_seed(&chance, seed, 99);
	memset(services, 0, sizeof(services));
	memset(truth, 0, sizeof(truth));
	memset(must, 0, sizeof(must));
	n_links = n_open = n_started = 0;
	now = NS_PER_S;
	for (int i = 0; i < SERVICES; i++) {
		services[i].kind = loops ? mixed[i] : POOL;
		services[i].pid = 100 + (uint32_t)i / 2; /* two kinds of threads in one process */
		for (uint32_t k = 0; k < THREADS; k++)
			services[i].threads[k].tid = 1000 * (1 + (uint32_t)i) + k;
	}
}

static void run(unsigned requests, unsigned at_once)
{
	while (n_started < requests || n_open) {
		struct service *s = &services[dice(SERVICES)];

		if (n_started < requests && n_open < at_once)
			deliver(-1, (int)dice(2), NULL);
		run_thread(s, &s->threads[s->kind == LOOP ? 0 : dice(THREADS)]);
		now += STEP;
		if (!dice(5000))
			cause_tick(cause, now);
	}
	cause_tick(cause, now + 60 * NS_PER_S);
	cause_flush(cause);
}

static uint64_t find_span(const uint8_t id[8])
{
	static uint64_t slots[1 << 18];
	static unsigned filled_for;
	uint64_t v;

	if (filled_for != n_placed) {
		memset(slots, 0, sizeof(slots));
		for (uint64_t k = 1; k < next_key; k++) {
			memcpy(&v, results[k].p.span_id, 8);
			while (slots[v & 0x3ffff])
				v++;
			slots[v & 0x3ffff] = k;
		}
		filled_for = n_placed;
	}
	memcpy(&v, id, 8);
	for (; slots[v & 0x3ffff]; v++)
		if (!memcmp(results[slots[v & 0x3ffff]].p.span_id, id, 8))
			return slots[v & 0x3ffff];
	return 0;
}

struct score {
	unsigned right, wrong, missing, optional_missing, before_parent, other_trace;
};

static struct score judge(void)
{
	struct score s = { 0 };

	for (uint64_t k = 1; k < next_key; k++) {
		const struct result *r = &results[k], *up;
		uint64_t parent;

		if (is_zero(r->p.parent_id, 8)) {
			s.missing += must[k];
			s.optional_missing += truth[k] && !must[k];
			continue;
		}
		parent = find_span(r->p.parent_id);
		up = &results[parent];
		s.right += parent && parent == truth[k];
		s.wrong += !parent || parent != truth[k];
		s.before_parent += r->p.start < up->p.start;
		s.other_trace += memcmp(r->p.trace_id, up->p.trace_id, 16) != 0;
	}
	return s;
}

static void check(const char *what, unsigned seed, struct score s)
{
	if (s.wrong || s.missing || s.before_parent || s.other_trace || seed == 1)
		printf("# %s %u: %u right, %u wrong, %u missing, %u not claimed, %u before the parent\n", what, seed, s.right,
		       s.wrong, s.missing, s.optional_missing, s.before_parent);
	CHECK_INT(s.wrong, 0);
	CHECK_INT(s.missing, 0);
	CHECK_INT(s.before_parent, 0);
	CHECK_INT(s.other_trace, 0);
	CHECK_INT(n_placed, next_key - 1);
}

static void test_model__threads_find_every_parent(void)
{
	for (unsigned seed = 1; seed <= 5; seed++) {
		setup(seed, false);
		run(4000, 30);
		check("threads", seed, judge());
		kit_stop();
	}
}

static void test_model__loops_and_queues_never_mislead(void)
{
	for (unsigned seed = 1; seed <= 10; seed++) {
		setup(seed, true);
		run(4000, seed <= 5 ? 30 : 3); /* also where an overlap is rare */
		check("mixed", seed, judge());
		kit_stop();
	}
}

int main(void)
{
	RUN(test_model__threads_find_every_parent);
	RUN(test_model__loops_and_queues_never_mislead);
	return tap_done();
}
