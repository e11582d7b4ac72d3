/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sample conversation, and a small stand-in for conn/ that plays it to a protocol's row: in pieces, with holes, with
 * one direction late. What comes out is text, so that two runs compare. Shared by property tests, fuzz targets and
 * the corpus check.
 *
 * A conversation's file: `> ` and `< ` begin a line of the client's and the server's bytes, with \r \n \t \\ \xHH
 * escapes and no implied line end; `#` begins a comment. Any other line goes to the direction of the one before.
 */
#ifndef SPANDREL_CONVERSATION_H
#define SPANDREL_CONVERSATION_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hex.h"
#include "base/scope.h"
#include "proto/call.h"
#include "proto/describe.h"
#include "proto/proto.h"

#define TURNS_MAX 512
#define CALLS_MAX 2048

struct turn {
	enum ev_dir from; /* as the server sees it: DIR_RECV is the client's */
	size_t n;
	char *bytes;
};

struct conversation {
	size_t n;
	struct turn turns[TURNS_MAX];
};

static inline void conversation_fini(struct conversation *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->turns[i].bytes);
	c->n = 0;
}

static inline size_t conversation_unescape(char *to, struct slice line)
{
	size_t n = 0;

	for (size_t i = 0; i < line.n; i++) {
		uint8_t byte = (uint8_t)line.p[i];

		if (byte == '\\' && i + 1 < line.n) {
			const char *at = strchr("r\rn\nt\t\\\\", line.p[++i]);

			if (line.p[i] == 'x' && i + 2 < line.n && hex_get(&byte, line.p + i + 1, 1))
				i += 2;
			else
				byte = at && *at ? (uint8_t)at[1] : (uint8_t)line.p[i];
		}
		to[n++] = (char)byte;
	}
	return n;
}

/* Consecutive lines of one direction are one turn. */
static inline void conversation_add(struct conversation *c, enum ev_dir from, struct slice line)
{
	struct turn *t = c->n ? &c->turns[c->n - 1] : NULL;

	if (!t || (t->from != from && c->n < TURNS_MAX)) {
		t = &c->turns[c->n++];
		*t = (struct turn){ .from = from };
	}
	if (t->from != from)
		return;
	t->bytes = realloc(t->bytes, t->n + line.n + 1);
	t->n += conversation_unescape(t->bytes + t->n, line);
}

static inline void conversation_parse(struct conversation *c, struct slice text)
{
	enum ev_dir from = DIR_RECV;
	struct slice line;

	c->n = 0;
	while (text.n && slice_split(&text, '\n', &line)) {
		if (line.n && line.p[0] == '#')
			continue;
		if (line.n && (line.p[0] == '>' || line.p[0] == '<')) {
			from = line.p[0] == '>' ? DIR_RECV : DIR_SEND;
			line = slice_from(line, line.n > 1 && line.p[1] == ' ' ? 2 : 1);
		}
		conversation_add(c, from, line);
	}
}

static inline int conversation_load(struct conversation *c, const char *path)
{
	_fclose_ FILE *f = fopen(path, "r");
	_free_ char *text = malloc(1 << 20);
	size_t n;

	if (!f || !text)
		return -errno;
	n = fread(text, 1, 1 << 20, f);
	conversation_parse(c, slice_of(text, n));
	return 0;
}

/* ---- the stand-in for conn/ ---- */

/* Bytes put so that the one behind the last faults. */
struct guard {
	char *pages;
	size_t size;
};

static inline void guard_init(struct guard *g, size_t size)
{
	g->size = (size + 4095) & ~(size_t)4095;
	g->pages = mmap(NULL, g->size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->pages == MAP_FAILED || mprotect(g->pages + g->size, 4096, PROT_NONE))
		abort();
}

static inline void guard_fini(struct guard *g)
{
	munmap(g->pages, g->size + 4096);
}

static inline struct slice guard_put(struct guard *g, struct slice s)
{
	char *to = g->pages + g->size - s.n;

	if (s.n > g->size)
		abort();
	memcpy(to, s.p, s.n);
	return slice_of(to, s.n);
}

struct played { /* one call */
	const struct proto_ops *ops;
	uint64_t key;
	unsigned time; /* of its first byte */
	struct arena arena;
	struct message *req, *resp;
	bool req_end, resp_end, cut;
	bool unseen; /* described as one whose end was not seen */
	unsigned interims;
};

struct lane { /* one direction: bytes not consumed yet, each with the time when it passed */
	char *p;
	unsigned *time;
	size_t n, cap;
	uint64_t skip;
	bool lost, in_message;
};

struct player {
	const struct proto_ops *ops;
	struct proto_config config;
	void *session;
	struct lane lane[2];
	struct guard guard;
	struct arena_pool pool;
	struct played *calls;
	size_t n_calls, orphans, errors, opaque, refused;
	bool pipelined; /* a request came while another was open */
	bool given_up;
};

static const struct slice player_capture[] = { SLICE("x-request-id"), SLICE("x-correlation-id") };

static inline void player_init(struct player *p, const struct proto_ops *ops)
{
	*p = (struct player){ .ops = ops, .config = { player_capture, ARRAY_SIZE(player_capture) } };
	arena_pool_init(&p->pool, 64 << 20);
	guard_init(&p->guard, 256 << 10);
	p->calls = calloc(CALLS_MAX, sizeof(*p->calls));
	p->session = calloc(1, ops->session_size);
	if (!p->calls || !p->session || ops->init(p->session, &p->config))
		p->given_up = true;
}

static inline void player_fini(struct player *p)
{
	if (p->session && p->ops->fini)
		p->ops->fini(p->session);
	for (size_t i = 0; p->calls && i < p->n_calls; i++)
		arena_fini(&p->calls[i].arena);
	free(p->calls);
	free(p->session);
	for (int i = 0; i < 2; i++) {
		free(p->lane[i].p);
		free(p->lane[i].time);
	}
	guard_fini(&p->guard);
	arena_pool_fini(&p->pool);
}

static inline struct played *player_find(struct player *p, uint64_t key)
{
	for (size_t i = p->n_calls; key && i > 0; i--)
		if (p->calls[i - 1].key == key)
			return &p->calls[i - 1];
	return NULL;
}

static inline void player_request(struct player *p, const struct proto_out *out, unsigned time)
{
	struct played *c = &p->calls[p->n_calls];

	for (size_t i = 0; i < p->n_calls; i++)
		p->pipelined |= !p->calls[i].resp_end && !p->calls[i].cut;
	if (p->n_calls == CALLS_MAX || player_find(p, out->key)) {
		p->given_up = true;
		return;
	}
	arena_init(&c->arena, &p->pool);
	c->ops = p->ops;
	c->key = out->key;
	c->time = time;
	c->req = p->ops->keep(out->msg, &c->arena);
	p->n_calls++;
	if (!c->req) { /* as conn/ does: dropped and counted */
		p->refused++;
		c->cut = true;
		if (p->ops->forget)
			p->ops->forget(p->session, c->key);
	}
}

static inline void player_answer(struct player *p, struct played *c, const struct message *m)
{
	c->resp = p->ops->keep(m, &c->arena);
	if (!c->resp) {
		p->refused++;
		c->cut = true;
	}
}

static inline void player_response(struct player *p, const struct proto_out *out)
{
	struct played *c = player_find(p, out->key);

	if (out->flags & OUT_ORPHAN || !c) {
		p->orphans++;
	} else if (out->flags & OUT_INTERIM) {
		c->interims++;
	} else if (!c->cut && !c->resp) {
		player_answer(p, c, out->msg);
	}
}

/* What is said of messages whose heads came before. */
static inline void player_more(struct player *p, const struct proto_out *out)
{
	struct played *c = player_find(p, out->key);
	struct message *kept = !c ? NULL : out->type == MSG_REQUEST ? c->req : c->resp;

	if (out->flags & OUT_MORE && kept)
		p->ops->amend(kept, out->msg, &c->arena);
	for (size_t i = 0; out->flags & OUT_ABOVE && i < p->n_calls; i++) {
		c = &p->calls[i];
		if (c->key <= out->key || c->resp_end || c->cut)
			continue;
		if (c->resp)
			p->ops->amend(c->resp, out->msg, &c->arena);
		else
			player_answer(p, c, out->msg);
		c->resp_end = true;
	}
}

/* The connection goes on in another protocol, which answers what asked for it. */
static inline void player_switch(struct player *p, const struct proto_out *out)
{
	struct played *c = player_find(p, out->key);

	p->ops->fini(p->session);
	free(p->session);
	p->ops = out->next;
	p->session = calloc(1, p->ops->session_size);
	if (!p->session || p->ops->init(p->session, &p->config)) {
		p->given_up = true;
		return;
	}
	if (!c || c->cut)
		return;
	c->req = p->ops->inherit(p->session, c->req, DIR_RECV, &c->arena);
	if (!c->req) {
		p->given_up = c->cut = true;
		return;
	}
	c->ops = p->ops;
	c->key = c->req->key;
}

static inline void player_out(struct player *p, enum ev_dir from, const struct proto_out *out, unsigned time)
{
	struct lane *l = &p->lane[from];
	struct played *c;

	if (out->flags & OUT_HEAD)
		l->in_message = !(out->flags & (OUT_INTERIM | OUT_ORPHAN));
	if (out->flags & OUT_END)
		l->in_message = false;

	if (out->flags & OUT_HEAD) {
		if (out->type == MSG_REQUEST)
			player_request(p, out, time);
		else
			player_response(p, out);
	}
	player_more(p, out);
	c = out->flags & OUT_END ? player_find(p, out->key) : NULL;
	if (c && out->type == MSG_REQUEST)
		c->req_end = true;
	else if (c)
		c->resp_end = true;
	p->opaque += !!(out->flags & OUT_OPAQUE);
	if (out->flags & OUT_SWITCH)
		player_switch(p, out);
}

static inline void lane_drop(struct lane *l, size_t n)
{
	if (!n)
		return;
	memmove(l->p, l->p + n, l->n - n);
	memmove(l->time, l->time + n, (l->n - n) * sizeof(*l->time));
	l->n -= n;
}

static inline void lane_skip(struct lane *l)
{
	size_t n = l->skip < l->n ? (size_t)l->skip : l->n;

	lane_drop(l, n);
	if (l->skip != SKIP_TO_END)
		l->skip -= n;
}

/* What was open when responses were lost is not to be believed; with several open requests nothing is. */
static inline void player_lost(struct player *p, enum ev_dir from)
{
	p->lane[from].lost = true;
	if (p->ops->multiplexed) /* what is open may still be seen to end */
		return;
	if (p->pipelined)
		p->given_up = true;
	for (size_t i = 0; i < p->n_calls; i++)
		p->calls[i].cut |= !p->calls[i].resp_end;
}

static inline bool player_resync(struct player *p, enum ev_dir from)
{
	struct lane *l = &p->lane[from];
	int64_t at = p->ops->resync(p->session, from, guard_put(&p->guard, slice_of(l->p, l->n)));

	if (at == -EINPROGRESS && l->n < PROTO_HEAD_MAX && p->ops->multiplexed)
		return false;
	if (at >= (int64_t)l->n || (at < 0 && at != -EAGAIN))
		abort();
	l->lost = at < 0;
	lane_drop(l, at < 0 ? l->n : (size_t)at);
	return !l->lost;
}

/* A response that began before the oldest open request did answers another one. */
static inline bool player_too_early(struct player *p, enum ev_dir from, unsigned time)
{
	if (from == DIR_RECV || p->lane[from].in_message || !p->ops->answers || p->ops->multiplexed)
		return false;
	for (size_t i = 0; i < p->n_calls; i++)
		if (!p->calls[i].resp_end && !p->calls[i].cut)
			return time < p->calls[i].time;
	return false;
}

/* One step; false when the direction cannot go on. */
static inline bool player_step(struct player *p, enum ev_dir from)
{
	struct lane *l = &p->lane[from];
	struct proto_out out = { 0 };
	unsigned time;
	int64_t r;

	lane_skip(l);
	if (!l->n || p->given_up)
		return false;
	if (l->lost)
		return player_resync(p, from);
	time = l->time[0];
	if (player_too_early(p, from, time))
		p->ops->answers(p->session, 0);
	r = p->ops->parse(p->session, from, guard_put(&p->guard, slice_of(l->p, l->n)), &out);
	if (r > (int64_t)l->n)
		abort();
	if (r > 0) {
		player_out(p, from, &out, time);
		l->skip = out.skip;
		lane_drop(l, (size_t)r);
		return true;
	}
	if (r == 0 || r == -EAGAIN)
		return false;
	if (r != -EPROTO && r != -EMSGSIZE)
		abort();
	p->errors++;
	player_lost(p, from);
	if (p->ops->multiplexed) { /* as conn/ does: the loss, then what is at hand */
		p->ops->resync(p->session, from, SLICE(""));
		lane_drop(l, l->n);
		return false;
	}
	return player_resync(p, from);
}

static inline void player_run(struct player *p)
{
	while (player_step(p, DIR_RECV) || player_step(p, DIR_SEND))
		;
}

static inline void player_feed(struct player *p, enum ev_dir from, struct slice s, unsigned time)
{
	struct lane *l = &p->lane[from];

	if (p->given_up)
		return;
	if (l->n + s.n > l->cap) {
		l->cap = (l->n + s.n) * 2;
		l->p = realloc(l->p, l->cap);
		l->time = realloc(l->time, l->cap * sizeof(*l->time));
	}
	if (s.n)
		memcpy(l->p + l->n, s.p, s.n);
	for (size_t i = 0; i < s.n; i++)
		l->time[l->n + i] = time;
	l->n += s.n;
	player_run(p);
}

/* n bytes passed that nobody captured. */
static inline void player_hole(struct player *p, enum ev_dir from, uint64_t n)
{
	struct lane *l = &p->lane[from];

	if (l->skip == SKIP_TO_END || (l->skip >= n && !l->n)) {
		l->skip -= l->skip == SKIP_TO_END ? 0 : n;
		return;
	}
	l->skip = 0;
	l->n = 0;
	l->in_message = false;
	if (!p->given_up && p->ops->multiplexed)
		p->ops->resync(p->session, from, SLICE(""));
	if (!p->given_up && !l->lost)
		player_lost(p, from);
}

/* No more bytes: waiting ends, then the directions do. */
static inline void player_end(struct player *p)
{
	struct proto_out out;

	for (size_t i = 0; i < CALLS_MAX && p->lane[DIR_SEND].n + p->lane[DIR_RECV].n && !p->given_up; i++) {
		if (!p->ops->answers)
			break;
		p->ops->answers(p->session, 0);
		player_run(p);
	}
	for (int from = 0; from < 2 && !p->given_up; from++)
		if (p->ops->finish(p->session, from, &out))
			player_out(p, from, &out, 0);
}

/* ---- what was understood, as text ---- */

static inline void transcript_attr(struct buf *b, const struct attr *a)
{
	buf_printf(b, "  %.*s=", SLICE_ARG(a->key));
	if (a->type == ATTR_STRING)
		buf_printf(b, "%.*s\n", SLICE_ARG(a->s));
	else if (a->type == ATTR_INT)
		buf_printf(b, "%lld\n", (long long)a->i);
	else if (a->type == ATTR_BOOL)
		buf_printf(b, "%s\n", a->b ? "true" : "false");
	else
		for (size_t i = 0; i < a->strings.n; i++)
			buf_printf(b, "[%.*s]%s", SLICE_ARG(a->strings.v[i]), i + 1 < a->strings.n ? "" : "\n");
}

static inline void transcript_carrier(struct buf *b, const struct carrier *c)
{
	for (unsigned i = 0; i < c->n; i++)
		buf_printf(b, "  carrier %u: %.*s\n", c->fields[i].id, SLICE_ARG(c->fields[i].value));
	if (c->overflow)
		buf_printf(b, "  carrier overflow\n");
}

static inline struct conn_info player_conn(void)
{
	struct conn_info conn = { .family = FAM_INET };

	memcpy(conn.remote.addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01", 16); /* 192.0.2.1 */
	conn.remote.port = 40000;
	return conn;
}

/* One call, as server or client. 0, or -ENOMEM. */
static inline int transcript_call(struct buf *b, struct played *c, bool server)
{
	static const struct describe_config config = { 0 };
	struct call call = { .proto = c->ops, .req = c->req, .resp = c->resp, .conn = player_conn(),
			     .server = server, .end = c->resp_end ? CALL_ANSWERED : c->unseen ? CALL_TIMEOUT : CALL_CLOSED };
	struct description d;
	int r = describe_init(&d, &c->arena, &config);

	if (r)
		return r;
	c->ops->fill(&d, &call);
	buf_printf(b, "%s %.*s%s%s interims=%u status=%u%s\n", server ? "server" : "client", SLICE_ARG(d.name),
		   c->req_end || (c->resp_end && c->ops->multiplexed) ? "" : " request-open", c->resp_end ? "" : " response-open", c->interims, d.status,
		   c->req->truncated || (c->resp && c->resp->truncated) ? " truncated" : "");
	for (unsigned i = 0; i < d.n_attrs; i++)
		transcript_attr(b, &d.attrs[i]);
	transcript_carrier(b, &c->req->carrier);
	return 0;
}

static inline void transcript(struct buf *b, struct player *p)
{
	for (size_t i = 0; i < p->n_calls; i++) {
		if (p->calls[i].cut)
			continue;
		transcript_call(b, &p->calls[i], true);
		transcript_call(b, &p->calls[i], false);
	}
	buf_printf(b, "orphans=%zu errors=%zu opaque=%zu\n", p->orphans, p->errors, p->opaque);
}

#endif
