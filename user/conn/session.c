// SPDX-License-Identifier: Apache-2.0
/* TLS sessions: connections of their own, whose ciphertext another connection carries. */
#include <string.h>

#include "base/scope.h"
#include "base/stats.h"
#include "conn/flow.h"

#define CLAIM_NS 5000000000ULL	 /* TLS that no session has claimed for so long cannot be read */
#define LINGER_NS (200 * 1000000ULL) /* the library may hand out for so long what came before its socket ended */

/* ---- joining ---- */

/* Exchanges have copies of what is known of their connection. */
static void tell_open(struct conn *c)
{
	for (struct exchange *x = pair_oldest(&c->pair); x; x = pair_next(&c->pair, x))
		x->call.conn = c->info;
}

static void take_address(struct conn *c, const struct conn_info *from)
{
	struct conn_info own = c->info;

	c->info = *from;
	c->info.id = own.id;
	c->info.mid = own.mid;
	c->info.tls = own.tls;
	if (c->doubt.requests < 0 && from->role)
		c->doubt.requests = from->role == ROLE_CLIENT ? DIR_SEND : DIR_RECV;
	tell_open(c);
}

static void bind(struct conn *c, uint64_t id)
{
	struct conn *carrier = table_get(&c->table->by_id, id);

	c->tls.other = id;
	if (!carrier || carrier->info.tls)
		return;
	carrier->tls.other = c->info.id;
	list_del(&carrier->tls.link);
	flow_off(carrier, STAT_drop_out_of_step);
	take_address(c, &carrier->info);
}

static struct conn *session_new(struct conn_table *t, const struct ev_session *ev)
{
	struct ev_open open = { .h = { .type = EV_OPEN, .flags = ev->h.flags, .len = sizeof(open), .time = ev->h.time },
				.conn = ev->conn,
				.start = { ev->start[0], ev->start[1] },
				.pid = ev->pid,
				.tid = ev->tid };
	struct conn *c = conn_add(t, &open);

	if (!c)
		return NULL;
	stat_inc(sessions_seen);
	c->info.tls = true;
	list_push(&t->sessions, &c->tls.link);
	return c;
}

void session_event(struct conn_table *t, const struct ev_session *ev)
{
	struct conn *c = table_get(&t->by_id, ev->conn);

	if (!c)
		c = session_new(t, ev);
	if (!c || !c->info.tls)
		return;
	c->tls.alpn_len = ev->alpn_len;
	memcpy(c->tls.alpn, ev->alpn, sizeof(c->tls.alpn));
	if (ev->carrier && ev->carrier != c->tls.other)
		bind(c, ev->carrier);
}

/* Names of RFC 7301's registry. What else is agreed on is none of ours; without a name the bytes have to tell. */
bool session_speaks(const struct conn *c, const struct proto_ops *proto)
{
	static const struct {
		struct slice alpn;
		const char *name;
	} rows[] = { { { "h2", 2 }, "http2" }, { { "http/1.1", 8 }, "http1" }, { { "http/1.0", 8 }, "http1" } };
	struct slice alpn = slice_of(c->tls.alpn, c->tls.alpn_len);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (slice_eq(alpn, rows[i].alpn))
			return !strcmp(rows[i].name, proto->name);
	return true;
}

/* ---- what cannot be read ---- */

void session_enciphered(struct conn *c)
{
	flow_off(c, STAT_drop_out_of_step);
	if (c->tls.other || c->tls.since)
		return;
	c->tls.since = MAX(c->table->now, (uint64_t)1);
	list_push(&c->table->enciphered, &c->tls.link);
}

static void unread(struct conn *c)
{
	stat_inc(conns_tls);
	list_del(&c->tls.link);
}

/* ---- ends ---- */

void session_carrier_ended(struct conn *carrier, uint8_t dirs, bool final, bool reset)
{
	struct conn_table *t = carrier->table;
	struct conn *c = carrier->tls.other && !carrier->info.tls ? table_get(&t->by_id, carrier->tls.other) : NULL;

	if (!c || !c->info.tls || c->tls.other != carrier->info.id)
		return;
	c->tls.dirs |= dirs;
	c->tls.final |= final;
	c->tls.reset |= reset;
	c->tls.since = t->now;
	list_del(&c->tls.late);
	list_push(&t->late, &c->tls.late);
}

static void end(struct conn *c)
{
	list_del(&c->tls.late);
	for (int dir = 0; dir < 2 && !c->off; dir++)
		if (c->tls.dirs & 1 << dir)
			flow_end(c, (enum ev_dir)dir, stream_seen(c->flow[dir].stream), c->tls.reset);
	if (c->tls.final) {
		conn_finish(c, c->tls.reset ? CALL_RESET : CALL_CLOSED);
	} else {
		conn_directions_ended(c);
		conn_settle(c);
	}
}

static bool over(const struct conn_table *t, uint64_t since, uint64_t wait)
{
	return t->now > since && t->now - since >= wait;
}

void session_tick(struct conn_table *t)
{
	while (!list_empty(&t->enciphered)) {
		struct conn *c = list_entry(t->enciphered.next, struct conn, tls.link);

		if (!over(t, c->tls.since, CLAIM_NS))
			break;
		unread(c);
	}
	while (!list_empty(&t->late)) {
		struct conn *c = list_entry(t->late.next, struct conn, tls.late);

		if (!over(t, c->tls.since, LINGER_NS))
			return;
		end(c);
	}
}

void session_exit(struct conn_table *t, uint32_t pid)
{
	list_for_each_safe(at, &t->sessions) {
		struct conn *c = list_entry(at, struct conn, tls.link);

		if (c->user.pid == pid)
			conn_finish(c, CALL_CLOSED);
	}
}

void session_unlink(struct conn *c)
{
	if (c->info.tls)
		stat_add(sessions_unbound, !c->info.family);
	else if (!list_empty(&c->tls.link))
		unread(c);
	list_del(&c->tls.link);
	list_del(&c->tls.late);
}
