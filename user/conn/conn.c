// SPDX-License-Identifier: Apache-2.0
/* The table of connections, and what each event does to it. */
#include "conn/conn.h"

#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/stats.h"
#include "conn/flow.h"

#define REMIND_NS 1000000000ULL /* a verdict's slot may have been taken by another connection */

struct conn_table *conn_table_new(const struct conn_config *config, const struct exchange_sink *out,
				  const struct verdict_sink *verdicts)
{
	struct conn_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->config = *config;
	t->out = *out;
	if (verdicts)
		t->verdicts = *verdicts;
	table_init(&t->by_id, config->max_connections);
	table_init(&t->by_key, config->max_connections);
	list_init(&t->idle);
	list_init(&t->busy);
	list_init(&t->unix_);
	list_init(&t->waiting);
	list_init(&t->sessions);
	list_init(&t->enciphered);
	list_init(&t->late);
	return t;
}

/* ---- one connection ---- */

static void conn_free(struct conn *c)
{
	struct conn_table *t = c->table;

	table_del(&t->by_id, c->info.id);
	if (c->info.self_key && table_get(&t->by_key, c->info.self_key) == c)
		table_del(&t->by_key, c->info.self_key);
	t->recent[c->info.id % FLOW_RECENT] = c->info.id;
	list_del(&c->lru);
	list_del(&c->unix_);
	list_del(&c->waiting);
	session_unlink(c);
	pair_fini(&c->pair);
	flow_disown(c);
	stream_free(c->flow[DIR_RECV].stream);
	stream_free(c->flow[DIR_SEND].stream);
	free(c);
}

static void info_fill(struct conn_info *i, const struct ev_open *ev)
{
	i->id = ev->conn;
	i->self_key = ev->self_key;
	i->peer_key = ev->peer_key;
	i->netns = ev->netns;
	i->family = ev->family;
	i->role = ev->role;
	i->mid = ev->h.flags & EVF_MID;
	memcpy(i->local.addr, ev->laddr, sizeof(i->local.addr));
	memcpy(i->remote.addr, ev->raddr, sizeof(i->remote.addr));
	i->local.port = ev->lport;
	i->remote.port = ev->rport;
	i->path_len = ev->path_len;
	memcpy(i->path, ev->path, sizeof(i->path));
}

static struct conn *conn_new(struct conn_table *t, const struct ev_open *ev)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->table = t;
	info_fill(&c->info, ev);
	list_init(&c->lru);
	list_init(&c->unix_);
	list_init(&c->waiting);
	list_init(&c->tls.link);
	list_init(&c->tls.late);
	pair_init(&c->pair, t->config.pool, &t->out, &c->info);
	for (int dir = 0; dir < 2; dir++) {
		c->flow[dir].stream = stream_new(ev->start[dir], &t->memory_used, t->config.memory_limit);
		c->flow[dir].lost = c->flow[dir].joining = c->info.mid;
	}
	/* who connected asks, until a message says otherwise */
	c->doubt.requests = ev->role == ROLE_CLIENT ? DIR_SEND : ev->role == ROLE_SERVER ? DIR_RECV : -1;
	c->user.pid = ev->pid;
	c->last = ev->h.time;
	c->listed = ~c->last; /* nowhere yet */
	return c;
}

/* Both lists are in the order of `last`: being looked at moves nobody. */
static void enlist_lru(struct conn *c)
{
	bool busy = c->pair.n;

	if (c->listed == c->last && c->busy == busy)
		return;
	c->listed = c->last;
	c->busy = busy;
	list_del(&c->lru);
	list_push(busy ? &c->table->busy : &c->table->idle, &c->lru);
}

void conn_settle(struct conn *c)
{
	struct conn_table *t = c->table;
	bool waits = false;

	for (int dir = 0; dir < 2 && !c->off; dir++) {
		stream_settle(c->flow[dir].stream);
		waits |= c->flow[dir].blocked || stream_waiting(c->flow[dir].stream);
	}
	flow_verdict(c);
	enlist_lru(c);
	if (waits != !list_empty(&c->waiting)) {
		list_del(&c->waiting);
		if (waits)
			list_push(&t->waiting, &c->waiting);
	}
}

void conn_finish(struct conn *c, enum call_end why)
{
	idle_flush(c);
	flow_leftover(c, STAT_drop_incomplete);
	loss_close(c, why);
	conn_free(c);
}

void conn_forget(struct conn *c, int drop)
{
	idle_flush(c);
	flow_leftover(c, drop);
	pair_abandon(&c->pair, drop);
	flow_off(c, drop);
	conn_free(c);
}

/* ---- events ---- */

static void unmatched(const struct conn_table *t, uint64_t id)
{
	if (t->recent[id % FLOW_RECENT] != id)
		stat_inc(conns_unknown);
}

static int enlist(struct conn_table *t, struct conn *c)
{
	int r = table_set(&t->by_id, c->info.id, c);

	if (!r && c->info.self_key)
		r = table_set(&t->by_key, c->info.self_key, c);
	return r;
}

struct conn *conn_add(struct conn_table *t, const struct ev_open *ev)
{
	struct conn *c;

	if (t->by_id.n >= t->config.max_connections)
		idle_evict(t);
	c = conn_new(t, ev);
	if (!c) {
		stat_inc(conns_nostate);
		return NULL;
	}
	if (!c->flow[DIR_RECV].stream || !c->flow[DIR_SEND].stream || enlist(t, c)) {
		stat_inc(conns_nostate);
		conn_free(c);
		return NULL;
	}
	enlist_lru(c);
	if (c->info.family == FAM_UNIX)
		list_push(&t->unix_, &c->unix_);
	return c;
}

static void on_open(struct conn_table *t, const struct ev_open *ev)
{
	if (table_get(&t->by_id, ev->conn))
		return;
	stat_inc(conns_opened);
	conn_add(t, ev);
}

static struct chunk chunk_of(const struct ev_data *ev)
{
	return (struct chunk){ .off = ev->off,
			       .size = ev->size,
			       .data = slice_of((const char *)ev->data, ev->cap),
			       .seq = ev->seq,
			       .has_seq = ev->h.flags & EVF_SEQ,
			       .passed = ev->h.flags & EVF_PASSED,
			       .mark = { ev->h.time, ev->ctx, ev->pid, ev->tid, ev->h.flags & EVF_POLLED } };
}

/* What was passed over may hold what a parser would have stopped at: it must see how much that was, not only where it ended. */
static void feed_passed(struct stream *s, const struct chunk *c, uint32_t passed)
{
	struct chunk before = *c;

	before.off -= passed;
	before.size = passed;
	before.data = SLICE_NONE;
	before.seq -= passed;
	before.passed = false;
	stream_feed(s, &before);
}

static void feed(struct stream *s, const struct ev_data *ev)
{
	struct chunk c = chunk_of(ev);

	if (c.passed && ev->passed && ev->passed <= c.off)
		feed_passed(s, &c, ev->passed);
	stream_feed(s, &c);
}

static void on_data(struct conn_table *t, const struct ev_data *ev)
{
	struct conn *c = table_get(&t->by_id, ev->conn);
	struct flow *f;

	if (!c) {
		unmatched(t, ev->conn);
		return;
	}
	if (c->off) {
		if (ev->cap && t->now - c->last >= REMIND_NS) {
			c->last = t->now;
			flow_off(c, STAT_drop_out_of_step);
		}
		return;
	}
	f = &c->flow[ev->dir];
	f->grant.turn += MIN(ev->cap, UINT32_MAX - f->grant.turn);
	c->flow[!ev->dir].grant.turn = 0;
	c->user.shared |= c->user.pid != ev->pid && c->info.family == FAM_UNIX;
	c->user.pid = ev->pid;
	c->last = MAX(c->last, ev->h.time);
	feed(f->stream, ev);
	flow_run(c, ev->dir);
	if (c->doubt.lost_at)
		loss_expire(c);
	if (!list_empty(&c->waiting) && !c->off)
		idle_wake(c);
	conn_settle(c);
}

/* After one or both directions have ended. */
void conn_directions_ended(struct conn *c)
{
	int requests = c->doubt.requests;

	if (c->off || requests < 0)
		return;
	if (c->flow[requests].ended)
		flow_leftover(c, STAT_drop_incomplete);
	if (c->flow[!requests].ended)
		loss_close(c, CALL_CLOSED);
}

/* End of file on a UNIX socket: its peer has ended the other direction, and may be gone without a word. */
static void peer_ended(struct conn_table *t, const struct conn *c)
{
	struct conn *peer = c->info.peer_key ? table_get(&t->by_key, c->info.peer_key) : NULL;

	if (!peer || peer == c)
		return;
	if (!peer->off)
		flow_end(peer, DIR_SEND, stream_seen(peer->flow[DIR_SEND].stream), false);
	conn_directions_ended(peer);
	if (peer->pair.n)
		conn_settle(peer);
	else
		conn_finish(peer, CALL_CLOSED);
}

static void on_end(struct conn_table *t, const struct ev_end *ev)
{
	struct conn *c = table_get(&t->by_id, ev->conn);
	bool reset = ev->h.flags & EVF_RESET, final = ev->h.flags & (EVF_FINAL | EVF_RESET);
	uint8_t dirs = ev->dirs | (final ? 1 << DIR_SEND : 0); /* our own close ends what we send */
	int first;

	if (!c) {
		unmatched(t, ev->conn);
		return;
	}
	session_carrier_ended(c, dirs, final, reset);
	first = c->doubt.requests == DIR_SEND ? DIR_SEND : DIR_RECV; /* requests before answers */
	if (dirs & 1 << first)
		flow_end(c, (enum ev_dir)first, ev->off[first], reset);
	if (dirs & 1 << !first)
		flow_end(c, (enum ev_dir)!first, ev->off[!first], reset);
	if (c->info.family == FAM_UNIX && ev->dirs & 1 << DIR_RECV && !final)
		peer_ended(t, c);
	if (final) {
		conn_finish(c, reset ? CALL_RESET : CALL_CLOSED);
	} else {
		conn_directions_ended(c);
		conn_settle(c);
	}
}

static void on_progress(struct conn_table *t, const struct ev_progress *ev)
{
	struct conn *c = table_get(&t->by_id, ev->conn);

	if (!c || c->off)
		return;
	for (int dir = 0; dir < 2; dir++) /* a slot that is not read keeps what it said */
		flow_passed(c, (enum ev_dir)dir, ev->seen[dir], ev->time);
	for (int dir = 0; dir < 2 && !c->off; dir++)
		flow_run(c, (enum ev_dir)dir);
	conn_settle(c);
}

void conn_event(struct conn_table *t, const struct ev_head *ev)
{
	if (ev->time > t->now)
		t->now = ev->time;
	switch (ev->type) {
	case EV_DATA:
		on_data(t, (const struct ev_data *)ev);
		break;
	case EV_OPEN:
		on_open(t, (const struct ev_open *)ev);
		break;
	case EV_SESSION:
		session_event(t, (const struct ev_session *)ev);
		break;
	case EV_END:
		on_end(t, (const struct ev_end *)ev);
		break;
	case EV_EXIT:
		idle_exit(t, ((const struct ev_exit *)ev)->pid);
		break;
	case EV_TICK:
		idle_tick(t);
		break;
	case EV_PROGRESS:
		on_progress(t, (const struct ev_progress *)ev);
		break;
	case EV_LIVE:
		idle_sweep(t, (const struct ev_live *)ev);
		break;
	}
}

static void forget_all(struct list *l)
{
	while (!list_empty(l))
		conn_forget(list_entry(l->next, struct conn, lru), STAT_drop_shutdown);
}

void conn_table_close(struct conn_table *t)
{
	forget_all(&t->busy);
	forget_all(&t->idle);
}

void conn_table_free(struct conn_table *t)
{
	if (!t)
		return;
	conn_table_close(t);
	table_fini(&t->by_id);
	table_fini(&t->by_key);
	free(t);
}

uint32_t conn_count(const struct conn_table *t)
{
	return (uint32_t)t->by_id.n;
}
