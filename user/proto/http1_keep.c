// SPDX-License-Identifier: Apache-2.0
/* The part of a head that outlives its bytes: what the span will show and what trace/ reads. Everything else is gone. */
#include "base/bytes.h"
#include "base/scope.h"
#include "proto/http1.h"

/* RFC 9112 §5.2: a fold, with the blanks around it, is one space. */
static size_t unfold(char *p, size_t n)
{
	size_t to = 0;

	for (size_t at = 0; at < n; at++) {
		if (p[at] != '\r' && p[at] != '\n') {
			p[to++] = p[at];
			continue;
		}
		while (to && (p[to - 1] == ' ' || p[to - 1] == '\t'))
			to--;
		while (at + 1 < n && memchr(" \t\r\n", p[at + 1], 4))
			at++;
		p[to++] = ' ';
	}
	return to;
}

static bool copy(struct arena *arena, const struct http1_head *head, struct http1_note note, struct slice *out)
{
	struct slice from = http1_part(head, note);
	char *p;

	if (!from.n) {
		*out = SLICE("");
		return true;
	}
	p = arena_alloc(arena, from.n);
	if (!p)
		return false;
	bytes_copy(p, from.p, from.n);
	*out = slice_of(p, head->notes.folded ? unfold(p, from.n) : from.n);
	return true;
}

static bool keep_carriers(struct http1_message *m, const struct http1_head *head, struct arena *arena)
{
	const struct http1_notes *n = &head->notes;
	struct carrier *c = &m->m.carrier;

	if (!n->n_carriers)
		return true;
	c->fields = arena_alloc(arena, n->n_carriers * sizeof(*c->fields));
	if (!c->fields)
		return false;
	c->n = n->n_carriers;
	c->overflow = n->overflow;
	for (unsigned i = 0; i < c->n; i++) {
		c->fields[i].id = (uint8_t)n->carriers[i].tag;
		if (!copy(arena, head, n->carriers[i].value, &c->fields[i].value))
			return false;
	}
	return true;
}

static bool keep_captures(struct http1_message *m, const struct http1_head *head, struct arena *arena)
{
	const struct http1_notes *n = &head->notes;

	if (!n->n_captures)
		return true;
	m->captured = arena_alloc(arena, n->n_captures * sizeof(*m->captured));
	if (!m->captured)
		return false;
	m->n_captured = n->n_captures;
	for (unsigned i = 0; i < m->n_captured; i++) {
		struct http1_captured *c = &m->captured[i];

		c->index = n->captures[i].tag;
		c->name = arena_copy(arena, head->config->capture[c->index]);
		if (!c->name.p || !copy(arena, head, n->captures[i].value, &c->value))
			return false;
	}
	return true;
}

static bool keep_known(struct http1_message *m, const struct http1_head *head, struct arena *arena)
{
	for (int i = 0; i < H1_KNOWN_MAX; i++) {
		struct http1_note note = head->notes.known[i];

		if (note.at && !copy(arena, head, note, &m->known[i]))
			return false;
	}
	return true;
}

bool http1_keep_into(struct http1_message *m, const struct http1_head *head, struct arena *arena)
{
	m->m.type = head->m.type;
	m->m.truncated = head->m.truncated;
	m->m.key = head->m.key;
	m->major = head->major;
	m->minor = head->minor;
	m->status = head->status;
	if (!keep_captures(m, head, arena) || !keep_known(m, head, arena))
		return false;
	if (m->m.type == MSG_RESPONSE)
		return true;
	return copy(arena, head, head->method, &m->method) && copy(arena, head, head->target, &m->target) &&
	       keep_carriers(m, head, arena);
}

struct message *http1_keep(const struct message *msg, struct arena *arena)
{
	struct http1_message *m = arena_zalloc(arena, sizeof(*m));

	return m && http1_keep_into(m, (const struct http1_head *)msg, arena) ? &m->m : NULL;
}

void http1_amend(struct message *kept, const struct message *more, struct arena *arena)
{
	const struct grpc_count *sent = ((const struct http1_head *)more)->sent;
	struct grpc_count *copy = sent ? arena_alloc(arena, sizeof(*copy)) : NULL;

	if (!copy) {
		kept->truncated = true;
		return;
	}
	*copy = grpc_count_result(sent);
	((struct http1_message *)kept)->sent = copy;
}
