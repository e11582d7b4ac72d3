// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX (1 << 20)

struct seen_end {
	uint64_t conn;
	struct ev_open open;
	uint64_t off[2];
	int n[2];
	struct segment segs[2][SEGS_MAX];
	uint8_t *bytes[2]; /* captured ones, from offset open.start[] */
	int n_seq[2]; /* records without and with a sequence number */
	bool recv_ended, send_ended, final, reset;
	uint64_t end_off[2];
};

struct checker {
	struct probe *probe;
	const struct capture_case *c;
	struct seen_end ends[ENDS_MAX];
	int n_ends;
	char complaint[256]; /* the first */
};

static void complain(struct checker *k, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void complain(struct checker *k, const char *format, ...)
{
	va_list args;

	if (k->complaint[0])
		return;
	va_start(args, format);
	vsnprintf(k->complaint, sizeof(k->complaint), format, args);
	va_end(args);
}

struct checker *checker_new(struct probe *p, const struct capture_case *c)
{
	struct checker *k = calloc(1, sizeof(*k));

	k->probe = p;
	k->c = c;
	for (int i = 0; i < 2 * ENDS_MAX; i++)
		k->ends[i / 2].bytes[i & 1] = malloc(BYTES_MAX);
	return k;
}

void checker_free(struct checker *k)
{
	for (int i = 0; i < 2 * ENDS_MAX; i++)
		free(k->ends[i / 2].bytes[i & 1]);
	free(k);
}

/* ---- events ---- */

static struct seen_end *end_of(struct checker *k, uint64_t conn)
{
	for (int i = 0; i < k->n_ends; i++)
		if (k->ends[i].conn == conn)
			return &k->ends[i];
	return NULL;
}

static void see_open(struct checker *k, const struct ev_open *o)
{
	struct seen_end *e = &k->ends[k->n_ends];

	if (k->n_ends == ENDS_MAX)
		return complain(k, "more connections than expected");
	k->n_ends++;
	e->conn = o->conn;
	e->open = *o;
	memcpy(e->off, o->start, sizeof(e->off));
}

static void see_segment(struct seen_end *e, int dir, uint64_t n, uint8_t hole)
{
	struct segment *last = e->n[dir] ? &e->segs[dir][e->n[dir] - 1] : NULL;

	e->off[dir] += n;
	if (!n)
		return;
	if (last && last->hole == hole)
		last->size += n;
	else if (e->n[dir] < SEGS_MAX)
		e->segs[dir][e->n[dir]++] = (struct segment){ n, hole };
}

static void see_data(struct checker *k, const struct ev_data *d)
{
	struct seen_end *e = end_of(k, d->conn);
	uint64_t at;

	if (!e)
		return complain(k, "data of a connection that was not opened");
	if (d->off < e->off[d->dir])
		return complain(k, "offset %llu after %llu", (unsigned long long)d->off, (unsigned long long)e->off[d->dir]);
	if (e->final || (d->dir == DIR_SEND ? e->send_ended : e->recv_ended))
		complain(k, "data after the end of its direction");
	e->n_seq[!!(d->h.flags & EVF_SEQ)]++;
	/* of what is passed over in the middle of a frame no record tells */
	see_segment(e, d->dir, d->off - e->off[d->dir], k->c->framed ? HOLE_SKIPPED : HOLE_UNSEEN);
	at = d->off - e->open.start[d->dir];
	if (at + d->cap <= BYTES_MAX)
		memcpy(e->bytes[d->dir] + at, d->data, d->cap);
	see_segment(e, d->dir, d->cap, HOLE_NONE);
	see_segment(e, d->dir, d->size - d->cap, d->hole);
	if (k->c->on_data)
		k->c->on_data(k->probe, d, NULL);
}

static void see_end(struct checker *k, const struct ev_end *v)
{
	struct seen_end *e = end_of(k, v->conn);

	if (!e)
		return;
	if (e->final)
		complain(k, "ended twice");
	e->recv_ended |= !!(v->dirs & 1 << DIR_RECV);
	e->send_ended |= !!(v->dirs & 1 << DIR_SEND);
	e->final |= !!(v->h.flags & EVF_FINAL);
	e->reset |= !!(v->h.flags & EVF_RESET);
	memcpy(e->end_off, v->off, sizeof(e->end_off));
}

void checker_event(void *arg, const struct ev_head *ev)
{
	struct checker *k = arg;

	if (ev->type == EV_OPEN)
		see_open(k, (const void *)ev);
	else if (ev->type == EV_DATA)
		see_data(k, (const void *)ev);
	else if (ev->type == EV_END)
		see_end(k, (const void *)ev);
}

/* ---- judgement ---- */

static void judge_bytes(struct checker *k, int i, int dir, const struct expected_end *x, const struct seen_end *e)
{
	uint64_t at = 0;

	for (int n = 0; n < e->n[dir]; at += e->segs[dir][n++].size)
		for (uint64_t o = at; e->segs[dir][n].hole == HOLE_NONE && o < at + e->segs[dir][n].size && o < BYTES_MAX; o++)
			if (e->bytes[dir][o] != pattern(x->salt[dir], x->start[dir] + o))
				return complain(k, "end %d %s: wrong byte at %llu", i, dir ? "send" : "recv", (unsigned long long)(x->start[dir] + o));
}

static void judge_direction(struct checker *k, int i, int dir, const struct expected_end *x, const struct seen_end *e)
{
	for (int n = 0; n < x->n[dir] || n < e->n[dir]; n++) {
		const struct segment *w = &x->segs[dir][n], *g = &e->segs[dir][n];

		if (k->c->framed && n == x->n[dir] - 1 && n >= e->n[dir] - 1 && w->hole == HOLE_SKIPPED)
			continue; /* the frame has not ended: nothing tells yet how far it came */

		if (n >= x->n[dir] || n >= e->n[dir] || w->size != g->size || w->hole != g->hole)
			return complain(k, "end %d %s segment %d: %llu bytes of kind %d, expected %llu of %d", i, dir ? "send" : "recv", n,
					n < e->n[dir] ? (unsigned long long)g->size : 0, n < e->n[dir] ? g->hole : -1,
					n < x->n[dir] ? (unsigned long long)w->size : 0, n < x->n[dir] ? w->hole : -1);
	}
	judge_bytes(k, i, dir, x, e);
}

static void judge_end(struct checker *k, int i, const struct expected_end *x, const struct seen_end *e)
{
	if (e->open.family != x->family || e->open.role != x->role)
		complain(k, "end %d: family %d role %d, expected %d and %d", i, e->open.family, e->open.role, x->family, x->role);
	if (x->family != FAM_UNIX && memcmp(e->open.start, x->start, sizeof(x->start)))
		complain(k, "end %d starts at %llu, %llu, expected %llu, %llu", i, (unsigned long long)e->open.start[0],
			 (unsigned long long)e->open.start[1], (unsigned long long)x->start[0], (unsigned long long)x->start[1]);
	if (e->n_seq[x->family == FAM_UNIX || x->counted])
		complain(k, "end %d: EVF_SEQ is wrong for this family", i);
	if (!!(e->open.h.flags & EVF_MID) != x->mid)
		complain(k, "end %d: EVF_MID is %d", i, e->open.h.flags & EVF_MID);
	if (x->path_len >= 0 && (e->open.path_len != x->path_len || memcmp(e->open.path, x->path, (size_t)x->path_len)))
		complain(k, "end %d: path of %d bytes, expected %d", i, e->open.path_len, x->path_len);
	for (int dir = 0; dir < 2; dir++)
		judge_direction(k, i, dir, x, e);
	if ((x->final && !e->final) || (x->final && e->reset != x->reset) || (x->recv_ended && !e->recv_ended) ||
	    (x->send_ended && !e->send_ended))
		complain(k, "end %d: final %d reset %d recv %d send %d, expected %d %d %d %d", i, e->final, e->reset, e->recv_ended,
			 e->send_ended, x->final, x->reset, x->recv_ended, x->send_ended);
	if (e->final && (e->end_off[0] < e->off[0] || e->end_off[1] < e->off[1]))
		complain(k, "end %d: the end says fewer bytes than moved", i);
}

/* Both ends of a socketpair or connection know each other by key. */
static void judge_keys(struct checker *k)
{
	const struct ev_open *a = &k->ends[0].open, *b = &k->ends[1].open;

	if (k->n_ends < 2 || a->family != FAM_UNIX)
		return;
	if (a->self_key != b->peer_key || a->peer_key != b->self_key || a->self_key == b->self_key)
		complain(k, "the two ends do not name each other");
}

const char *checker_verdict(struct checker *k, const struct expected *x)
{
	if (x->broken[0])
		complain(k, "the case failed: %s", x->broken);
	if (k->n_ends != x->n_ends)
		complain(k, "%d connections, expected %d", k->n_ends, x->n_ends);
	for (int i = 0; i < x->n_ends && i < k->n_ends; i++)
		judge_end(k, i, &x->ends[i], &k->ends[i]);
	judge_keys(k);
	return k->complaint[0] ? k->complaint : NULL;
}
