// SPDX-License-Identifier: Apache-2.0
/* What is read of living processes: at exec, at first sight, when the id may be another's, and what they publish later. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/scope.h"
#include "base/stats.h"
#include "host/inner.h"
#include "host/proc.h"
#include "host/sdk_context.h"

/* An SDK may be set up at the first request, or only once a configuration has come. */
static const uint64_t look_after[] = { 5 * NS_PER_S, 60 * NS_PER_S };

/* Of the items: the same facts, whenever they were read. */
uint64_t facts_digest(struct slice facts)
{
	struct facts_head head;
	struct slice items;

	if (!facts_open(facts, &head, &items))
		return 0;
	return hash_bytes(HASH_BEGIN ^ head.start, items.p, items.n);
}

/* New facts are in scratch: keeps them, tells the recorder, then asks who knows more. */
static void learn(struct host *h, struct entry *e)
{
	struct slice facts = buf_slice(&h->scratch);

	if (entry_fill(h, e, facts))
		return;
	e->facts.digest = facts_digest(facts);
	host_tell(h, &(struct ev_head){ .type = EV_PROC }, e->pid, facts);
	if (e->container)
		pod_ask(h, e->container);
}

void reader_exec(struct host *h, struct entry *e, const struct ev_exec *ev)
{
	if (facts_read(&h->scratch, h->config.proc, ev->pid, ev)) {
		stat_inc(procs_unread);
		facts_from_exec(&h->scratch, ev);
	}
	learn(h, e);
}

/* Facts of a process that is new to us; or, if it is gone, that nothing is known. */
void reader_new(struct host *h, struct entry *e)
{
	int r = facts_read(&h->scratch, h->config.proc, e->pid, NULL);

	if (r) {
		stat_inc(procs_unread);
		facts_begin(&h->scratch, 0, 0);
	}
	learn(h, e);
	e->ended = r != 0;
}

/* Facts of one that is gone stay. */
void reader_again(struct host *h, struct entry *e)
{
	e->facts.missed = stats[STAT_missed_proc];
	if (facts_read(&h->scratch, h->config.proc, e->pid, NULL))
		return;
	if (facts_digest(buf_slice(&h->scratch)) == e->facts.digest)
		return;
	facts_answer(&h->scratch, e->facts.exec);
	learn(h, e);
	e->look = (struct look){ 0 };
}

/* SDKs name what they do not know, too, and take the name of their container for the host's. */
static void put_context(void *arg, const struct attr *a)
{
	if (slice_starts(a->key, SLICE("host.")))
		return;
	if (a->type == ATTR_INT && facts_declarable(a->key))
		facts_number(arg, a->key, a->i);
	else if (a->type == ATTR_STRING && a->s.n)
		facts_declare(arg, a->key, a->s);
}

/* Appends what the SDK of this very process says. False: it says nothing. */
static bool read_context(struct host *h, const struct entry *e)
{
	_cleanup_(buf_fini) struct buf payload;
	_cleanup_(proc_close) struct proc p;
	struct proc_stat stat;

	buf_init(&payload, SDK_CONTEXT_MAX);
	if (proc_open(&p, h->config.proc, e->pid) || sdk_context_read(&p, &payload) || proc_stat(&p, &stat) ||
	    stat.start != e->facts.start)
		return false;
	facts_layer(&h->scratch, FACTS_CONTEXT);
	sdk_context_each(buf_slice(&payload), put_context, &h->scratch);
	return true;
}

void reader_look(struct host *h, struct entry *e)
{
	struct telling was = e->facts;
	struct look next = { .at = UINT64_MAX, .n = e->look.n + 1 };

	if (e->look.n < ARRAY_SIZE(look_after))
		next.at = clock_boot() + look_after[e->look.n];
	e->look = next;
	buf_reset(&h->scratch);
	if (!was.start || buf_append(&h->scratch, was.p, was.n_base) || !read_context(h, e) ||
	    slice_eq(buf_slice(&h->scratch), slice_of(was.p, was.n)))
		return;
	learn(h, e);
	e->facts.n_base = was.n_base;
	e->facts.digest = was.digest;
	e->facts.missed = was.missed;
	e->look = next;
}
