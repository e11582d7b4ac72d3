// SPDX-License-Identifier: Apache-2.0
#include "trace/peer.h"

#include <errno.h>
#include <stdlib.h>

#include "base/ip.h"
#include "host/process.h"

/* What the memory says; part of the key. */
enum fact { FACT_CLIENT = 1, FACT_SERVER = 2, FACT_ALONE = 3 };

int peers_init(struct peers *p, struct list *ready)
{
	p->memory = calloc(PEER_MEMORY, sizeof(*p->memory));
	if (!p->memory)
		return -ENOMEM;
	table_init(&p->ends, SIZE_MAX / 2);
	table_init(&p->awaiting, SIZE_MAX / 2);
	list_init(&p->grace);
	p->ready = ready;
	return 0;
}

void peers_fini(struct peers *p)
{
	free(p->memory);
	table_fini(&p->ends);
	table_fini(&p->awaiting);
}

/* ---- keys ---- */

static uint64_t mix_endpoint(uint64_t key, const struct endpoint *e)
{
	uint64_t part[2];

	memcpy(part, e->addr, sizeof(part));
	return table_mix(table_mix(key, part[0]), part[1] ^ (uint64_t)e->port << 16);
}

static uint64_t endpoint_key(const struct conn_info *c, const struct endpoint *e)
{
	return mix_endpoint(ip_is_loopback(e->addr) ? c->netns : 0, e);
}

/* The same at both ends of a connection. */
static uint64_t tuple_key(const struct call *call)
{
	const struct conn_info *c = &call->conn;
	const struct endpoint *client = call->server ? &c->remote : &c->local;
	const struct endpoint *server = call->server ? &c->local : &c->remote;

	if (c->family == FAM_UNIX)
		return call->server ? table_mix(c->peer_key, c->self_key)
				    : table_mix(c->self_key, c->peer_key);
	return mix_endpoint(endpoint_key(c, client), server);
}

/* Where bytes are told by their number from the connection's beginning, which both ends must have seen; else by TCP's sequence numbers. */
static bool by_offset(const struct exchange *x)
{
	return x->call.conn.family == FAM_UNIX || x->call.conn.tls;
}

/*
 * Where the first byte of the request stood, the same at both ends; of a stream its id, which is known where the position is
 * not: joined in mid-connection, or one of many that came together.
 */
static uint64_t place_key(const struct exchange *x)
{
	if (call_multiplexed(&x->call))
		return x->key;
	return by_offset(x) ? x->req_off : x->req_seq;
}

static bool place_known(const struct exchange *x)
{
	return by_offset(x) ? !x->call.conn.mid : x->has_seq;
}

static bool same_place(const struct exchange *a, const struct exchange *b)
{
	if (place_known(a) && place_known(b))
		return by_offset(a) ? a->req_off == b->req_off : a->req_seq == b->req_seq;
	return call_multiplexed(&a->call) && call_multiplexed(&b->call) && a->key == b->key;
}

static bool can_meet(const struct exchange *x)
{
	const struct conn_info *c = &x->call.conn;

	if (!c->family || (c->family == FAM_UNIX && (!c->self_key || !c->peer_key)))
		return false;
	return call_multiplexed(&x->call) || place_known(x);
}

static bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && !memcmp(a->addr, b->addr, sizeof(a->addr));
}

/* Where bytes went unseen at one end places may lie; what was asked does not. */
static bool same_words(const struct exchange *a, const struct exchange *b)
{
	return a->call.proto != b->call.proto || !a->call.proto || !a->call.proto->same || a->call.proto->same(&a->call, &b->call);
}

/* Two ends (of either kind) of one request. */
static bool same_request(const struct exchange *a, const struct exchange *b)
{
	const struct conn_info *c = &a->call.conn, *d = &b->call.conn;
	bool swapped = a->call.server != b->call.server;

	if ((c->family == FAM_UNIX) != (d->family == FAM_UNIX) || c->tls != d->tls || !same_words(a, b))
		return false;
	if (c->family == FAM_UNIX)
		return same_place(a, b) &&
		       c->self_key == (swapped ? d->peer_key : d->self_key) &&
		       c->peer_key == (swapped ? d->self_key : d->peer_key);
	return same_place(a, b) &&
	       endpoint_equal(&c->local, swapped ? &d->remote : &d->local) &&
	       endpoint_equal(&c->remote, swapped ? &d->local : &d->remote) &&
	       (c->netns == d->netns || !ip_is_loopback(c->remote.addr));
}

/* ---- memory ---- */

static uint64_t *slot(const struct peers *p, uint64_t key)
{
	return &p->memory[(key >> 16) & (PEER_MEMORY - 1)];
}

static bool remembers(const struct peers *p, uint64_t key, enum fact fact)
{
	key = table_mix(key, fact);
	return *slot(p, key) == key;
}

static void remember(struct peers *p, uint64_t key, enum fact fact)
{
	key = table_mix(key, fact);
	*slot(p, key) = key;
}

static void unlearn(struct peers *p, uint64_t key, enum fact fact)
{
	key = table_mix(key, fact);
	if (*slot(p, key) == key)
		*slot(p, key) = 0;
}

/* ---- waiting ---- */

static bool is_likely(const struct conn_info *c)
{
	return c->family == FAM_UNIX || ip_is_loopback(c->remote.addr) ||
	       !memcmp(c->remote.addr, c->local.addr, sizeof(c->local.addr));
}

/* What is remembered of a wait in vain: clients of one host differ, its servers stay. */
static uint64_t alone_key(const struct call *call)
{
	const struct conn_info *c = &call->conn;

	return call->server || c->family == FAM_UNIX ? c->id : endpoint_key(c, &c->remote);
}

static bool is_awaited(const struct peers *p, const struct node *n)
{
	const struct call *call = &n->x->call;

	if (!n->meet.indexed || n->meet.met || n->meet.conflict)
		return false;
	if (remembers(p, n->meet.tuple, call->server ? FACT_CLIENT : FACT_SERVER))
		return true;
	return is_likely(&call->conn) && !remembers(p, alone_key(call), FACT_ALONE);
}

void peer_await(struct peers *p, struct node *n, uint64_t now)
{
	if (!is_awaited(p, n))
		return;
	n->hold.in_grace = true;
	if (__builtin_add_overflow(now, PEER_GRACE, &n->hold.grace_end))
		n->hold.grace_end = UINT64_MAX;
	list_push(&p->grace, &n->hold.turn);
	table_set(&p->awaiting, n->x->call.conn.id, n); /* without memory it waits its full time */
}

void peer_give_up(struct peers *p, struct node *n)
{
	if (!n->hold.in_grace)
		return;
	n->hold.in_grace = false;
	list_del(&n->hold.turn);
	if (table_get(&p->awaiting, n->x->call.conn.id) == n)
		table_del(&p->awaiting, n->x->call.conn.id);
}

static void miss(struct peers *p, struct node *n)
{
	const struct call *call = &n->x->call;

	unlearn(p, n->meet.tuple, call->server ? FACT_CLIENT : FACT_SERVER);
	remember(p, alone_key(call), FACT_ALONE);
	peer_give_up(p, n);
	node_wake(n, p->ready);
}

void peer_expire(struct peers *p, uint64_t now)
{
	while (!list_empty(&p->grace)) {
		struct node *n = list_entry(p->grace.next, struct node, hold.turn);

		if (n->hold.grace_end > now)
			return;
		miss(p, n);
	}
}

/* A connection goes on: the exchange before it has waited long enough. */
static void outdate(struct peers *p, const struct node *n)
{
	struct node *before = table_get(&p->awaiting, n->x->call.conn.id);

	if (before && before->x->call.server == n->x->call.server)
		miss(p, before);
}

/* ---- meeting ---- */

static void set_conflict(struct peers *p, struct node *n)
{
	bool known = n->meet.conflict;

	n->meet.conflict = true;
	if (n->line.edge == EDGE_CONNECTION)
		node_refuse(n, STAT_links_ambiguous, p->ready);
	else if (!known && n->x->call.server)
		stats[STAT_links_ambiguous] += !n->ctx.valid;
}

/* The one other end, or NULL. More than one of a kind: a conflict for all of them. */
static struct node *find_other(struct peers *p, struct node *n)
{
	struct list *at = n->meet.ring.next;
	struct node *found[INDEX_WALK], *other = NULL;
	unsigned n_found = 0, walked = 0;
	bool conflict = false;

	for (; at != &n->meet.ring && walked < INDEX_WALK; at = at->next, walked++) {
		struct node *o = list_entry(at, struct node, meet.ring);

		if (!same_request(o->x, n->x))
			continue;
		conflict |= o->meet.conflict || o->meet.met || other ||
			    o->x->call.server == n->x->call.server;
		other = o;
		found[n_found++] = o;
	}
	if (!conflict && at == &n->meet.ring)
		return other;
	for (unsigned i = 0; i < n_found; i++)
		set_conflict(p, found[i]);
	set_conflict(p, n);
	return NULL;
}

/* The server may be gone when the client's span is made: its resource stays. */
static void meet(struct exchange *client, const struct exchange *server)
{
	if (client->release && server->resource)
		client->peer = resource_ref(server->resource);
}

void peer_begin(struct peers *p, struct node *n)
{
	const struct call *call = &n->x->call;
	struct node *other;

	outdate(p, n);
	if (!can_meet(n->x))
		return;
	n->meet.tuple = tuple_key(call);
	remember(p, n->meet.tuple, call->server ? FACT_SERVER : FACT_CLIENT);
	if (call->server && call->conn.family != FAM_UNIX)
		unlearn(p, endpoint_key(&call->conn, &call->conn.local), FACT_ALONE);
	n->meet.key = table_mix(n->meet.tuple, place_key(n->x));
	n->meet.indexed = index_add(&p->ends, n->meet.key, &n->meet.ring);
	other = n->meet.indexed ? find_other(p, n) : NULL;
	if (!other)
		return;
	n->meet.met = other->meet.met = true;
	meet(call->server ? other->x : n->x, call->server ? n->x : other->x);
	if (call->server)
		node_link(n, other, EDGE_CONNECTION);
	else
		node_link(other, n, EDGE_CONNECTION);
	peer_give_up(p, other);
	node_wake(other, p->ready);
}

void peer_forget(struct peers *p, struct node *n)
{
	peer_give_up(p, n);
	if (n->meet.indexed)
		index_del(&p->ends, n->meet.key, &n->meet.ring);
	n->meet.indexed = false;
}
