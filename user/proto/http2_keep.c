// SPDX-License-Identifier: Apache-2.0
/* The part of a head that outlives its bytes, and what its trailers and its end add. */
#include "base/scope.h"
#include "proto/http2_session.h"

/* RFC 9113 §8.2.3: one cookie field may be sent in crumbs. They are put together as HTTP/1 would have it. False without memory. */
static bool join_cookies(struct http1_message *m, struct arena *arena)
{
	struct http1_captured *first = NULL;
	size_t total = 0, kept = 0;
	char *p, *to;

	for (unsigned i = 0; i < m->n_captured; i++)
		if (slice_eq(m->captured[i].name, SLICE("cookie")))
			total += m->captured[i].value.n + 2;
	p = to = total ? arena_alloc(arena, total) : NULL;
	if (total && !p)
		return false;
	for (unsigned i = 0; i < m->n_captured; i++) {
		struct http1_captured *c = &m->captured[i];

		if (!slice_eq(c->name, SLICE("cookie"))) {
			m->captured[kept++] = *c;
			continue;
		}
		if (first)
			to = mempcpy(to, "; ", 2);
		to = mempcpy(to, c->value.p, c->value.n);
		if (!first) {
			first = &m->captured[kept++];
			*first = *c;
		}
		first->value = slice_of(p, (size_t)(to - p));
	}
	m->n_captured = (uint8_t)kept;
	return true;
}

struct message *http2_keep(const struct message *msg, struct arena *arena)
{
	const struct http2_head *head = (const struct http2_head *)msg;
	struct http2_message *m = arena_zalloc(arena, sizeof(*m));

	if (!m || !http1_keep_into(&m->http, &head->http, arena) || !join_cookies(&m->http, arena))
		return NULL;
	m->unknown = head->unknown;
	m->trailers = head->trailers;
	m->end = head->end;
	return &m->http.m;
}

/* Captured lines of the trailers behind those of the head. */
static bool add_captured(struct http1_message *kept, const struct http1_message *more, struct arena *arena)
{
	size_t n = (size_t)kept->n_captured + more->n_captured;
	struct http1_captured *all;

	if (!more->n_captured)
		return true;
	if (n > HTTP1_CAPTURE_MAX)
		return false;
	all = arena_alloc(arena, n * sizeof(*all));
	if (!all)
		return false;
	if (kept->n_captured)
		memcpy(all, kept->captured, kept->n_captured * sizeof(*all));
	memcpy(all + kept->n_captured, more->captured, more->n_captured * sizeof(*all));
	kept->captured = all;
	kept->n_captured = (uint8_t)n;
	return true;
}

void http2_amend(struct message *kept, const struct message *more, struct arena *arena)
{
	struct http2_message *m = (struct http2_message *)kept;
	const struct http2_head *head = (const struct http2_head *)more;
	struct http2_message add = { 0 };

	if (!http1_keep_into(&add.http, &head->http, arena) || !add_captured(&m->http, &add.http, arena))
		m->http.m.truncated = true;
	for (int i = 0; i < H1_KNOWN_MAX; i++)
		if (add.http.known[i].p)
			m->http.known[i] = add.http.known[i];
	if (!m->http.status && add.http.status >= 200)
		m->http.status = add.http.status;
	m->http.m.truncated |= add.http.m.truncated;
	m->unknown |= head->unknown;
	m->trailers |= head->trailers;
	m->end = head->end;
}
