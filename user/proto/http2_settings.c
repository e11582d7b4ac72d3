// SPDX-License-Identifier: Apache-2.0
/* SETTINGS (RFC 9113 §6.5): what they change of how the other side's frames are read, and from when on. */
#include "base/scope.h"
#include "proto/http2_session.h"

static void apply(struct http2_direction *bound, const struct http2_settings *set)
{
	if (set->table != UINT32_MAX)
		hpack_limit(&bound->hpack, set->table);
	if (set->max_frame)
		bound->max_frame = set->max_frame;
}

/* RFC 9113 §6.5.3: what a side announces binds the other one from its acknowledgement on. */
static void settings_acknowledged(struct http2_session *s, enum ev_dir from)
{
	struct http2_settings_queue *q = &s->dir[!from].announced;

	if (!q->n) {
		q->early += !s->dir[!from].gap && q->early < HTTP2_SETTINGS_WAITING;
		return;
	}
	apply(&s->dir[from], &q->waiting[0]);
	q->n--;
	memmove(q->waiting, q->waiting + 1, q->n * sizeof(*q->waiting));
}

static void settings_announced(struct http2_session *s, enum ev_dir from, struct slice payload)
{
	struct http2_settings_queue *q = &s->dir[from].announced;
	struct http2_settings set = { .table = UINT32_MAX };

	for (size_t at = 0; at + 6 <= payload.n; at += 6) {
		unsigned id = (unsigned)(uint8_t)payload.p[at] << 8 | (uint8_t)payload.p[at + 1];
		uint32_t value = http2_u32(payload.p + at + 2);

		if (id == 1)
			set.table = value;
		else if (id == 5 && value >= HTTP2_MAX_FRAME && value < 1 << 24)
			set.max_frame = value;
	}
	if (q->early || q->n == HTTP2_SETTINGS_WAITING) { /* or a peer that never acknowledges */
		q->early -= !!q->early;
		apply(&s->dir[!from], &set);
	} else {
		q->waiting[q->n++] = set;
	}
}

#define SETTINGS_READ 1024 /* longer ones are passed over: they are none */

bool http2_settings(struct http2_session *s, enum ev_dir from, const struct http2_frame *f, struct slice in)
{
	if (f->flags & FLAG_ACK) {
		settings_acknowledged(s, from);
	} else if (f->length <= SETTINGS_READ) {
		if (in.n < HTTP2_FRAME_HEAD + f->length)
			return false;
		settings_announced(s, from, slice_of(in.p + HTTP2_FRAME_HEAD, f->length));
	}
	return true;
}
