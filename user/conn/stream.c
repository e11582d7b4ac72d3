// SPDX-License-Identifier: Apache-2.0
/*
 *   front      known      lost          first pending
 *     | bytes    | a hole   | not here yet  | …
 *
 * The bytes are own ones (copied), then borrowed ones. front ≤ known ≤ lost; in a skip all three are equal.
 */
#include "conn/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/stats.h"
#include "conn/stream_ops.h"

#define OWN_MIN 1024

struct segment { /* a chunk that came before its predecessor */
	struct list link;
	uint64_t off, size; /* the first `cap` bytes are there */
	uint32_t cap, room; /* room: as allocated */
	bool passed;
	char data[];
};

struct own {
	char *p;
	uint32_t at, n, cap; /* bytes [at, n) are used */
};

struct stream {
	uint64_t front, known, lost;
	uint64_t skip_to; /* above front: a skip is not satisfied */
	uint64_t seen;
	struct mark newest;
	struct own own;
	struct slice live; /* borrowed, behind the own bytes */
	struct list pending; /* struct segment by offset, without overlaps */
	uint32_t n_pending, pending_bytes;
	uint64_t gap_since;
	struct stream_ops ops;
	struct stream_memory memory;
};

struct stream *stream_new(uint64_t start, size_t *memory_used, size_t memory_limit)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->front = s->known = s->lost = s->seen = start;
	list_init(&s->pending);
	s->memory = (struct stream_memory){ memory_used, memory_limit };
	stream_ops_init(&s->ops);
	return s;
}

static void own_free(struct stream *s)
{
	free(s->own.p);
	memory_back(&s->memory, s->own.cap);
	s->own = (struct own){ 0 };
}

static void segment_free(struct stream *s, struct segment *g)
{
	list_del(&g->link);
	s->n_pending--;
	s->pending_bytes -= g->room;
	memory_back(&s->memory, sizeof(*g) + g->room);
	free(g);
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	while (!list_empty(&s->pending))
		segment_free(s, list_entry(s->pending.next, struct segment, link));
	own_free(s);
	stream_ops_fini(&s->ops, &s->memory);
	free(s);
}

static struct segment *first_pending(const struct stream *s)
{
	return list_empty(&s->pending) ? NULL : list_entry(s->pending.next, struct segment, link);
}

/* ---- bytes in order ---- */

static bool own_room(struct stream *s, size_t n)
{
	struct own *o = &s->own;
	uint32_t used = o->n - o->at, cap = o->cap ? o->cap : OWN_MIN;
	char *p;

	if (o->cap - o->n >= n)
		return true;
	if (o->at) {
		memmove(o->p, o->p + o->at, used);
		o->at = 0;
		o->n = used;
	}
	if (o->cap - used >= n)
		return true;
	while (cap < used + n)
		cap *= 2;
	cap = MIN(cap, (uint32_t)STREAM_BUFFER_MAX);
	if (!memory_take(&s->memory, cap - o->cap))
		return false;
	p = realloc(o->p, cap);
	if (!p) {
		memory_back(&s->memory, cap - o->cap);
		return false;
	}
	o->p = p;
	o->cap = cap;
	return true;
}

/* Copies what there is room for: how many bytes. */
static size_t own_add(struct stream *s, struct slice data)
{
	size_t n = MIN(data.n, (size_t)STREAM_BUFFER_MAX - (s->own.n - s->own.at));

	if (!n || !own_room(s, n))
		return 0;
	memcpy(s->own.p + s->own.n, data.p, n);
	s->own.n += (uint32_t)n;
	return n;
}

/* The borrowed bytes become own ones; false if some found no room and are lost now. */
static bool stash(struct stream *s)
{
	size_t n = s->live.n ? own_add(s, s->live) : 0, rest = s->live.n - n;

	s->live = SLICE_NONE;
	s->known -= rest;
	stat_add(memory_bytes, rest);
	return !rest;
}

/* Bytes that follow the known ones, and a hole behind them. */
static int append(struct stream *s, struct slice data, uint64_t size, bool borrow)
{
	uint64_t end = s->lost + size;
	size_t n = 0;

	if (s->live.n && !stash(s)) {
		stat_add(memory_bytes, data.n);
		s->lost = end;
		return -ENOMEM;
	}
	if (s->own.at < s->own.n || !borrow)
		n = own_add(s, data);
	if (borrow && (n || s->own.at == s->own.n)) {
		s->live = slice_from(data, n);
		n = data.n;
	}
	s->known += n;
	s->lost = end;
	stat_add(memory_bytes, data.n - n);
	return n == data.n ? 0 : -ENOMEM;
}

/* n ≤ known − front */
static void drop_front(struct stream *s, uint64_t n)
{
	struct own *o = &s->own;
	uint32_t mine = (uint32_t)MIN(n, (uint64_t)(o->n - o->at));

	o->at += mine;
	if (o->at == o->n)
		o->at = o->n = 0;
	s->live = slice_from(s->live, n - mine);
	s->front += n;
}

/* ---- chunks that came too early ---- */

/* What waits and now follows goes to the front; captured bytes stay behind a hole until that is passed. */
static void drain(struct stream *s)
{
	struct segment *g;

	while ((g = first_pending(s)) && g->off <= s->lost) {
		uint64_t cut = s->lost - g->off;
		struct slice data = slice_from(slice_of(g->data, g->cap), MIN(cut, (uint64_t)g->cap));

		if (cut < g->size) {
			if (data.n && s->lost != s->known)
				return;
			if (s->lost == s->known)
				append(s, data, g->size - cut, false);
			else
				s->lost += g->size - cut;
		}
		segment_free(s, g);
		s->gap_since = s->newest.time;
	}
}

/* No room: its bytes are unknown, but that they passed is not. */
static int pend_hole(struct stream *s, struct segment *before, const struct chunk *c)
{
	uint64_t end = c->off + c->size;

	stat_add(memory_bytes, c->data.n);
	if (c->off == s->lost)
		s->lost = end;
	else if (before && before->link.next == &s->pending && end > before->off + before->size)
		before->size = end - before->off;
	return -ENOMEM;
}

static struct segment *segment_new(struct stream *s, const struct chunk *c)
{
	size_t n = sizeof(struct segment) + c->data.n;
	struct segment *g;

	if (s->n_pending >= 2 * STREAM_PENDING || c->data.n > STREAM_BUFFER_MAX - s->pending_bytes ||
	    !memory_take(&s->memory, n))
		return NULL;
	g = malloc(n);
	if (!g) {
		memory_back(&s->memory, n);
		return NULL;
	}
	g->off = c->off;
	g->size = c->size;
	g->cap = g->room = (uint32_t)c->data.n;
	g->passed = c->passed;
	if (g->cap)
		memcpy(g->data, c->data.p, g->cap);
	return g;
}

/* Keeps a copy of a chunk until its turn comes; what overlaps others is left out. */
static int pend(struct stream *s, struct chunk *c)
{
	struct list *at = s->pending.prev;
	struct segment *before = NULL, *after, *g;

	while (at != &s->pending && list_entry(at, struct segment, link)->off > c->off)
		at = at->prev;
	if (at != &s->pending) {
		before = list_entry(at, struct segment, link);
		if (before->off + before->size > c->off && !chunk_cut_front(c, before->off + before->size - c->off))
			return 0;
	}
	if (at->next != &s->pending) {
		after = list_entry(at->next, struct segment, link);
		if (after->off <= c->off)
			return 0;
		chunk_cut_tail(c, after->off - c->off);
	}
	g = segment_new(s, c);
	if (!g)
		return pend_hole(s, before, c);
	if (list_empty(&s->pending))
		s->gap_since = c->mark.time;
	list_push(at->next, &g->link); /* in front of what follows */
	s->n_pending++;
	s->pending_bytes += g->room;
	return 0;
}

bool stream_waiting(const struct stream *s)
{
	const struct segment *g = first_pending(s);

	return g && g->off > s->lost;
}

bool stream_whole(const struct stream *s)
{
	return s->known == s->lost && list_empty(&s->pending);
}

/* ---- skips ---- */

/* What begins at `off` proves that the skip is over: its last byte is of the same operation, or was before. */
static bool proves(const struct stream *s, uint64_t off, bool passed)
{
	return off < s->skip_to || (passed && off == s->skip_to);
}

/* Captured, lost or never reported: in a skip only positions count. Its last byte alone is waited for. */
static void advance(struct stream *s)
{
	while (s->front < s->skip_to) {
		uint64_t want = s->skip_to - s->front;
		struct segment *g = first_pending(s);

		if (s->front < s->known)
			drop_front(s, MIN(want, s->known - s->front));
		else if (s->known < s->lost)
			s->front = s->known += MIN(want, s->lost - s->known);
		else if (g && proves(s, g->off, g->passed))
			s->front = s->known = s->lost = g->off;
		else
			return;
		drain(s);
	}
}

static void give_up(struct stream *s)
{
	struct segment *g = first_pending(s);

	s->lost = g->off;
	drain(s);
	advance(s);
}

/* ---- the interface ---- */

static int place(struct stream *s, struct chunk *c)
{
	int r = 0;

	if (s->front < s->skip_to && proves(s, c->off, c->passed)) {
		uint64_t n = MIN(c->size, s->skip_to - c->off);

		s->front = s->known = s->lost = c->off + n;
		if (!chunk_cut_front(c, n)) {
			drain(s);
			return 0;
		}
	}
	if (c->off > s->lost || (s->lost != s->known && c->data.n))
		r = pend(s, c);
	else if (s->lost != s->known)
		s->lost += c->size;
	else
		r = append(s, c->data, c->size, true);
	drain(s);
	advance(s);
	return r;
}

/* Who moved these bytes, and the last one of those that were passed over. */
static void note(struct stream *s, const struct chunk *fed)
{
	struct chunk c;

	if (!fed->passed || fed->off <= s->lost) {
		stream_ops_add(&s->ops, &s->memory, s->front, fed);
		return;
	}
	c = *fed;
	c.off--;
	c.size++;
	c.seq--;
	stream_ops_add(&s->ops, &s->memory, s->front, &c);
}

int stream_feed(struct stream *s, const struct chunk *fed)
{
	struct chunk c = *fed;
	uint64_t end;
	int r;

	if (c.off == UINT64_MAX) /* "never" */
		return 0;
	chunk_cut_tail(&c, UINT64_MAX - 1 - c.off);
	if (!c.size)
		return 0;
	end = c.off + c.size;
	if (end > s->seen) {
		s->seen = end;
		s->newest = c.mark;
	}
	if (end <= s->lost || (s->lost > c.off && !chunk_cut_front(&c, s->lost - c.off)))
		return 0;
	note(s, &c);
	r = place(s, &c);
	if (stream_waiting(s) && s->n_pending >= STREAM_PENDING)
		give_up(s);
	else
		stream_tick(s, fed->mark.time);
	return r;
}

void stream_tick(struct stream *s, uint64_t now)
{
	bool enough = now == UINT64_MAX || (now > s->gap_since && now - s->gap_since >= STREAM_WAIT_NS);

	if (enough && stream_waiting(s))
		give_up(s);
}

void stream_settle(struct stream *s)
{
	if (s->live.n)
		stash(s);
	if (s->own.cap && s->own.at == s->own.n)
		own_free(s);
}

uint64_t stream_front(const struct stream *s)
{
	return s->front;
}

struct slice stream_peek(struct stream *s)
{
	if (s->own.at < s->own.n)
		return slice_of(s->own.p + s->own.at, s->own.n - s->own.at);
	return s->live;
}

void stream_consume(struct stream *s, size_t n)
{
	drop_front(s, MIN((uint64_t)n, s->known - s->front));
}

void stream_skip(struct stream *s, uint64_t n)
{
	s->skip_to = n > UINT64_MAX - s->front ? UINT64_MAX : s->front + n;
	advance(s);
}

bool stream_skipping(const struct stream *s)
{
	return s->front < s->skip_to;
}

uint64_t stream_skip_to(const struct stream *s)
{
	return s->skip_to;
}

uint64_t stream_hole(const struct stream *s)
{
	uint64_t at = s->known;

	if (s->own.at < s->own.n)
		at -= s->live.n; /* what peek shows ends before the borrowed bytes */
	return at == s->known ? s->lost - s->known : 0;
}

void stream_pass_hole(struct stream *s)
{
	drop_front(s, s->known - s->front);
	s->front = s->known = s->lost;
	drain(s);
	advance(s);
}

uint64_t stream_seen(const struct stream *s)
{
	return s->seen;
}

struct mark stream_last(const struct stream *s)
{
	return s->newest;
}

struct mark stream_mark(const struct stream *s, uint64_t off)
{
	const struct stream_op *op = stream_ops_find(&s->ops, off);

	return op ? op->first : (struct mark){ 0 };
}

struct mark stream_mark_end(const struct stream *s, uint64_t off)
{
	const struct stream_op *op = stream_ops_find(&s->ops, off);

	return op ? op->last : (struct mark){ 0 };
}

bool stream_seq(const struct stream *s, uint64_t off, uint32_t *seq)
{
	const struct stream_op *op = stream_ops_find(&s->ops, off);

	if (!op || !op->has_seq)
		return false;
	*seq = op->seq + (uint32_t)(off - op->off);
	return true;
}
