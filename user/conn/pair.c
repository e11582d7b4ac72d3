// SPDX-License-Identifier: Apache-2.0
#include "conn/pair.h"

#include <errno.h>

#include "base/stats.h"

void pair_init(struct pair *p, struct arena_pool *pool, const struct exchange_sink *sink, const struct conn_info *conn)
{
	*p = (struct pair){ .pool = pool, .sink = sink, .conn = conn };
	list_init(&p->open);
	table_init(&p->by_key, PAIR_OPEN_MAX);
}

void pair_fini(struct pair *p)
{
	pair_abandon(p, STAT_drop_shutdown);
	table_fini(&p->by_key);
}

int pair_index(struct pair *p)
{
	list_for_each(at, &p->open) {
		struct exchange *x = list_entry(at, struct exchange, link);
		int r = table_set(&p->by_key, x->key, x);

		if (r)
			return r;
	}
	p->indexed = true;
	return 0;
}

struct exchange *pair_oldest(const struct pair *p)
{
	return list_empty(&p->open) ? NULL : list_entry(p->open.next, struct exchange, link);
}

struct exchange *pair_next(const struct pair *p, const struct exchange *x)
{
	return x->link.next == &p->open ? NULL : list_entry(x->link.next, struct exchange, link);
}

/* Answers come for old requests and bodies belong to new ones: looks at both ends before it walks. */
struct exchange *pair_find(const struct pair *p, uint64_t key)
{
	struct exchange *newest;

	if (p->indexed)
		return table_get(&p->by_key, key);
	if (list_empty(&p->open))
		return NULL;
	newest = list_entry(p->open.prev, struct exchange, link);
	if (newest->key == key)
		return newest;
	list_for_each(at, &p->open) {
		struct exchange *x = list_entry(at, struct exchange, link);

		if (x->key == key)
			return x;
	}
	return NULL;
}

static struct exchange *take(struct pair *p, struct exchange *x)
{
	list_del(&x->link);
	p->n--;
	if (p->indexed)
		table_del(&p->by_key, x->key);
	return x;
}

static struct exchange *make(struct pair *p, const struct proto_ops *proto, const struct message *m)
{
	struct exchange *x = exchange_new(p->pool, p->conn, proto);

	if (!x)
		return NULL;
	x->call.req = proto->keep(m, &x->arena);
	if (!x->call.req) {
		exchange_free(x);
		return NULL;
	}
	x->key = m->key;
	return x;
}

bool pair_request(struct pair *p, const struct proto_ops *proto, const struct message *m, const struct pair_head *h)
{
	struct exchange *x;

	stat_inc(requests_seen);
	if (p->n >= PAIR_OPEN_MAX) {
		stat_inc(drop_pipeline);
		return false;
	}
	x = make(p, proto, m);
	if (x && p->indexed && table_set(&p->by_key, x->key, x)) {
		exchange_free(x);
		x = NULL;
	}
	if (!x) {
		stat_inc(drop_memory);
		return false;
	}
	x->call.server = h->received;
	x->call.truncated = m->truncated;
	x->req_first = h->first;
	x->req_head = x->req_last = h->head;
	x->req_seq = h->seq;
	x->has_seq = h->has_seq;
	x->req_off = h->off;
	list_push(&p->open, &x->link);
	p->n++;
	p->sink->begin(p->sink->arg, x);
	return true;
}

/* False: x is gone, for a status that is not kept must not look like one that never came. */
static bool answer(struct pair *p, struct exchange *x, const struct message *m, const struct pair_head *h)
{
	x->call.resp = x->call.proto->keep(m, &x->arena);
	if (!x->call.resp) {
		stat_inc(drop_memory);
		p->sink->abandon(p->sink->arg, take(p, x));
		return false;
	}
	x->call.truncated |= m->truncated;
	x->resp_first = h->first;
	x->resp_last = h->head;
	return true;
}

bool pair_response(struct pair *p, const struct message *m, const struct pair_head *h)
{
	struct exchange *x = pair_find(p, m->key);

	if (!x || x->call.resp)
		return false;
	answer(p, x, m, h);
	return true;
}

static void amend(struct exchange *x, const struct message *m)
{
	const struct message *kept = m->type == MSG_REQUEST ? x->call.req : x->call.resp;

	x->call.proto->amend((struct message *)kept, m, &x->arena); /* it was kept here */
}

void pair_more(struct pair *p, const struct message *m)
{
	struct exchange *x = pair_find(p, m->key);

	if (x && (m->type == MSG_REQUEST || x->call.resp))
		amend(x, m);
}

void pair_end_above(struct pair *p, uint64_t key, const struct message *m, const struct pair_head *h)
{
	list_for_each_safe(at, &p->open) {
		struct exchange *x = list_entry(at, struct exchange, link);

		if (x->key <= key)
			continue;
		if (x->call.resp)
			amend(x, m);
		else if (!answer(p, x, m, h))
			continue;
		pair_end(p, MSG_RESPONSE, x->key, h->head);
	}
}

int pair_switch(struct pair *p, struct exchange *x, const struct proto_ops *proto, void *session)
{
	enum ev_dir from = x->call.server ? DIR_RECV : DIR_SEND;
	struct message *m = proto->inherit(session, x->call.req, from, &x->arena);

	if (!m)
		return -ENOMEM;
	x->call.req = m;
	x->call.proto = proto;
	x->key = m->key;
	return proto->multiplexed ? pair_index(p) : 0;
}

void pair_touch(struct pair *p, uint8_t type, uint64_t key, struct mark last)
{
	struct exchange *x = pair_find(p, key);

	if (!x)
		return;
	if (type == MSG_REQUEST)
		x->req_last = last;
	else if (x->call.resp)
		x->resp_last = last;
}

void pair_end(struct pair *p, uint8_t type, uint64_t key, struct mark last)
{
	struct exchange *x = pair_find(p, key);

	if (!x)
		return;
	pair_touch(p, type, key, last);
	if (type != MSG_RESPONSE || !x->call.resp)
		return;
	x->call.end = CALL_ANSWERED;
	p->sink->end(p->sink->arg, take(p, x));
}

void pair_close_one(struct pair *p, struct exchange *x, enum call_end why, uint64_t now, int drop)
{
	take(p, x);
	if (why == CALL_CUT && !x->call.resp) {
		stats[drop]++;
		p->sink->abandon(p->sink->arg, x);
		return;
	}
	x->call.end = (uint8_t)why;
	x->call.truncated |= why == CALL_CUT || why == CALL_TIMEOUT;
	x->ended = now;
	p->sink->end(p->sink->arg, x);
}

void pair_close(struct pair *p, enum call_end why, uint64_t now, int drop)
{
	struct exchange *x;

	while ((x = pair_oldest(p)))
		pair_close_one(p, x, why, now, drop);
}

void pair_abandon(struct pair *p, int drop)
{
	struct exchange *x;

	while ((x = pair_oldest(p))) {
		stats[drop]++;
		p->sink->abandon(p->sink->arg, take(p, x));
	}
}
