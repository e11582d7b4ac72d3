/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Made-up traffic: builds event records of conversations, in a list that a test may reorder, thin out or cut before it plays
 * them. Time moves on by `step` with each record. Records are 8-byte aligned copies of exactly their length.
 *
 *	struct synth s; struct synth_conn c = { .id = 1, .pid = 10 };
 *	synth_init(&s);
 *	synth_open(&s, &c, FAM_INET, ROLE_SERVER);
 *	synth_send(&s, &c, DIR_RECV, "GET / HTTP/1.1\r\n\r\n");
 *	synth_end(&s, &c, 3, EVF_FINAL);
 *	synth_play(&s, fn, arg);
 */
#ifndef SPANDREL_SYNTH_H
#define SPANDREL_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"

#define SYNTH_FN static __attribute__((unused))

struct synth {
	struct ev_head **ev;
	size_t n, cap;
	uint64_t now, step; /* time of the next record; ns between records */
	size_t piece;	    /* > 0: data is cut into records of so many bytes, each its own operation */
};

struct synth_conn {
	uint64_t id;
	uint32_t pid, tid; /* tid 0: the pid */
	uint64_t off[2];
	uint32_t isn[2]; /* with seq: sequence number of offset 0 */
	bool seq;
	uint16_t lport, rport; /* 0: 8080 and 40000 + id, exchanged for a client */
	uint64_t self_key, peer_key;
};

SYNTH_FN void synth_init(struct synth *s)
{
	*s = (struct synth){ .now = 1000000000ULL, .step = 1000 };
}

SYNTH_FN void synth_clear(struct synth *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->ev[i]);
	s->n = 0;
}

SYNTH_FN void synth_fini(struct synth *s)
{
	synth_clear(s);
	free(s->ev);
	*s = (struct synth){ 0 };
}

/* A zeroed record of `len` bytes at the end of the list. */
SYNTH_FN void *synth_add(struct synth *s, uint16_t type, size_t len)
{
	struct ev_head *h = calloc(1, (len + 7) & ~(size_t)7);

	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->ev = realloc(s->ev, s->cap * sizeof(*s->ev));
	}
	if (!h || !s->ev)
		abort();
	h->type = type;
	h->len = (uint32_t)len;
	h->time = s->now;
	s->now += s->step;
	s->ev[s->n++] = h;
	return h;
}

SYNTH_FN struct ev_open *synth_open(struct synth *s, const struct synth_conn *c, int family, int role)
{
	struct ev_open *o = synth_add(s, EV_OPEN, sizeof(*o));
	uint16_t near = (uint16_t)(role == ROLE_CLIENT ? 40000 + c->id % 20000 : 8080);
	uint16_t far = (uint16_t)(role == ROLE_CLIENT ? 8080 : 40000 + c->id % 20000);

	o->conn = c->id;
	o->self_key = c->self_key;
	o->peer_key = c->peer_key;
	o->start[0] = c->off[0];
	o->start[1] = c->off[1];
	o->pid = c->pid;
	o->tid = c->tid ? c->tid : c->pid;
	o->netns = 1;
	o->family = (uint8_t)family;
	o->role = (uint8_t)role;
	if (family == FAM_UNIX)
		return o;
	o->lport = c->lport ? c->lport : near;
	o->rport = c->rport ? c->rport : far;
	memcpy(o->laddr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
	memcpy(o->raddr, o->laddr, 16);
	return o;
}

/* A TLS session; carrier NULL: its socket is not known. */
SYNTH_FN struct ev_session *synth_session(struct synth *s, const struct synth_conn *c, const struct synth_conn *carrier, const char *alpn)
{
	struct ev_session *e = synth_add(s, EV_SESSION, sizeof(*e));

	e->conn = c->id;
	e->carrier = carrier ? carrier->id : 0;
	e->start[0] = c->off[0];
	e->start[1] = c->off[1];
	e->pid = c->pid;
	e->tid = c->tid ? c->tid : c->pid;
	e->binding = carrier ? BIND_NESTED : BIND_NONE;
	e->alpn_len = alpn ? (uint8_t)strlen(alpn) : 0;
	memcpy(e->alpn, alpn ? alpn : "", e->alpn_len);
	return e;
}

/* One operation that moved `size` bytes of which the first `cap` were captured. */
SYNTH_FN struct ev_data *synth_op(struct synth *s, struct synth_conn *c, int dir, const void *data, uint32_t cap,
				  uint32_t size, int hole)
{
	struct ev_data *d = synth_add(s, EV_DATA, sizeof(*d) + cap);

	d->conn = c->id;
	d->off = c->off[dir];
	d->pid = c->pid;
	d->tid = c->tid ? c->tid : c->pid;
	d->ctx = d->tid;
	d->size = size;
	d->cap = cap;
	d->dir = (uint8_t)dir;
	d->hole = (uint8_t)hole;
	if (c->seq) {
		d->h.flags = EVF_SEQ;
		d->seq = c->isn[dir] + (uint32_t)c->off[dir];
	}
	if (cap)
		memcpy(d->data, data, cap);
	c->off[dir] += size;
	return d;
}

SYNTH_FN void synth_bytes(struct synth *s, struct synth_conn *c, int dir, const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		size_t k = s->piece && s->piece < n ? s->piece : n;

		synth_op(s, c, dir, p, (uint32_t)k, (uint32_t)k, HOLE_NONE);
		p += k;
		n -= k;
	}
}

SYNTH_FN void synth_send(struct synth *s, struct synth_conn *c, int dir, const char *text)
{
	synth_bytes(s, c, dir, text, strlen(text));
}

SYNTH_FN void synth_hole(struct synth *s, struct synth_conn *c, int dir, uint32_t size, int hole)
{
	synth_op(s, c, dir, NULL, 0, size, hole);
}

SYNTH_FN struct ev_end *synth_end(struct synth *s, const struct synth_conn *c, int dirs, int flags)
{
	struct ev_end *e = synth_add(s, EV_END, sizeof(*e));

	e->h.flags = (uint16_t)flags;
	e->conn = c->id;
	e->off[0] = c->off[0];
	e->off[1] = c->off[1];
	e->pid = c->pid;
	e->dirs = (uint8_t)dirs;
	return e;
}

/* Time passes. */
SYNTH_FN void synth_tick(struct synth *s, uint64_t ns)
{
	s->now += ns;
	synth_add(s, EV_TICK, sizeof(struct ev_tick));
}

SYNTH_FN void synth_exit(struct synth *s, uint32_t pid)
{
	struct ev_exit *e = synth_add(s, EV_EXIT, sizeof(*e));

	e->pid = pid;
}

/* The ways of loss and reordering. */
SYNTH_FN void synth_drop(struct synth *s, size_t i)
{
	free(s->ev[i]);
	memmove(s->ev + i, s->ev + i + 1, (--s->n - i) * sizeof(*s->ev));
}

SYNTH_FN void synth_swap(struct synth *s, size_t i, size_t j)
{
	struct ev_head *h = s->ev[i];

	s->ev[i] = s->ev[j];
	s->ev[j] = h;
}

/* Hands everything over, in order, and forgets it. */
SYNTH_FN void synth_play(struct synth *s, void (*fn)(void *arg, const struct ev_head *ev), void *arg)
{
	for (size_t i = 0; i < s->n; i++)
		fn(arg, s->ev[i]);
	synth_clear(s);
}

#endif
