// SPDX-License-Identifier: Apache-2.0
/* What time alone brings: answers that wait, requests without one, connections nobody closed. Time comes with events. */
#include "base/stats.h"
#include "conn/flow.h"

static void unblock(struct conn *c, struct flow *f)
{
	if (c->proto->answers && c->proto->answers(c->session, 0))
		f->orphan = true;
}

void idle_unblock(struct conn *c, enum ev_dir dir)
{
	struct flow *f = &c->flow[dir];
	uint64_t front;

	do {
		if (c->off || !f->blocked || !c->proto->answers || !c->proto->answers(c->session, 0))
			return;
		f->orphan = true;
		front = stream_front(f->stream);
		flow_run(c, dir);
	} while (!c->off && c->proto->multiplexed && stream_front(f->stream) != front);
}

void idle_wake(struct conn *c)
{
	uint64_t now = c->table->now;

	for (int dir = 0; dir < 2; dir++)
		stream_tick(c->flow[dir].stream, now);
	for (int dir = 0; dir < 2; dir++) {
		struct flow *f = &c->flow[dir];

		if (f->blocked && now - f->blocked_at >= FLOW_WAIT_NS && !stream_waiting(c->flow[!dir].stream))
			unblock(c, f);
	}
	for (int dir = 0; dir < 2 && !c->off; dir++)
		flow_run(c, (enum ev_dir)dir);
}

void idle_flush(struct conn *c)
{
	for (int dir = 0; dir < 2; dir++)
		while (!c->off && stream_waiting(c->flow[dir].stream)) {
			stream_tick(c->flow[dir].stream, UINT64_MAX);
			flow_run(c, (enum ev_dir)dir);
		}
	for (int dir = 0; dir < 2 && !c->off; dir++)
		idle_unblock(c, (enum ev_dir)dir);
}

static bool due(const struct conn *c)
{
	uint64_t now = c->table->now, timeout = c->table->config.request_timeout;

	return timeout && c->last < now && now - c->last >= timeout;
}

/*
 * Bytes that a verdict passes over leave no records: the kernel is asked before a request is given up. Asking comes
 * first for all, because a recording has the answers in front of the tick.
 */
static void ask(struct conn_table *t)
{
	list_for_each_safe(at, &t->busy) {
		struct conn *c = list_entry(at, struct conn, lru);

		if (!due(c))
			return;
		if (t->verdicts.ask)
			t->verdicts.ask(t->verdicts.arg, c->info.id);
	}
}

static void time_out(struct conn *c)
{
	flow_touch(c);
	stat_add(requests_timed_out, c->pair.n);
	flow_forget(c);
	c->doubt.unpaired = true; /* a late answer still finds its request in the session, and nobody here */
	pair_close(&c->pair, CALL_TIMEOUT, c->table->now, 0);
	conn_settle(c);
}

void idle_tick(struct conn_table *t)
{
	ask(t);
	session_tick(t);
	list_for_each_safe(at, &t->waiting) {
		struct conn *c = list_entry(at, struct conn, waiting);

		idle_wake(c);
		conn_settle(c);
	}
	while (!list_empty(&t->busy)) {
		struct conn *c = list_entry(t->busy.next, struct conn, lru);

		if (!due(c))
			return;
		time_out(c);
	}
}

void idle_sweep(struct conn_table *t, const struct ev_live *ev)
{
	t->sweeps++;
	for (uint32_t i = 0; i < ev->count; i++) {
		struct conn *c = table_get(&t->by_id, ev->conn[i]);

		if (c)
			c->sweep = t->sweeps;
	}
	list_for_each_safe(at, &t->unix_) {
		struct conn *c = list_entry(at, struct conn, unix_);

		if (c->info.netns == ev->netns && c->sweep != t->sweeps && c->last < ev->h.time)
			conn_finish(c, CALL_CLOSED);
	}
}

void idle_exit(struct conn_table *t, uint32_t pid)
{
	list_for_each_safe(at, &t->unix_) {
		struct conn *c = list_entry(at, struct conn, unix_);

		if (c->user.pid == pid && !c->user.shared)
			conn_finish(c, CALL_CLOSED);
	}
	session_exit(t, pid);
}

void idle_evict(struct conn_table *t)
{
	struct list *from = list_empty(&t->idle) ? &t->busy : &t->idle;

	if (list_empty(from))
		return;
	stat_inc(conns_evicted);
	conn_forget(list_entry(from->next, struct conn, lru), STAT_drop_evicted);
}
