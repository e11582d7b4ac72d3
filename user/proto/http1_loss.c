// SPDX-License-Identifier: Apache-2.0
/* What the session still believes when bytes or step were lost, and what the caller tells it from times. */
#include <errno.h>

#include "proto/http1_session.h"

bool http1_answers(void *session, uint64_t key)
{
	struct http1_session *s = session;
	int responses = s->dir[DIR_SEND].side == MSG_RESPONSE ? DIR_SEND : DIR_RECV;

	if (s->dir[responses].state != AT_HEAD && s->dir[responses].state != IN_DOUBT)
		return false;
	if (key && !http1_queue_forget_before(&s->queue, key))
		return false;
	s->orphan = !key;
	if (key)
		s->gap = false;
	return true;
}

static void lose(struct http1_session *s, struct http1_direction *d)
{
	if (d->side != MSG_REQUEST) {
		s->queue.stale = s->queue.n;
		s->orphan = false;
	}
	s->gap = true;
	d->scan = (struct http1_scan){ 0 };
	d->state = LOST;
}

/* What was taken for requests are responses: nothing that was learnt holds. */
static void swap_sides(struct http1_session *s, enum ev_dir from, uint8_t side)
{
	s->queue.stale = s->queue.n;
	s->gap = true;
	http1_learn_sides(s, from, side);
}

/*
 * What did not parse is dropped with all that is at hand: the two ends may disagree on where the next message begins,
 * and what stands there may be part of a body. An operation that begins with a start line is believed again.
 */
int64_t http1_resync(void *session, enum ev_dir from, struct slice in)
{
	struct http1_session *s = session;
	struct http1_direction *d = &s->dir[from];
	bool broke = d->state == BROKEN;
	uint8_t found = 0;
	ptrdiff_t at;

	if (d->state == OPAQUE)
		return -EAGAIN;
	if (d->state != LOST)
		lose(s, d);
	if (broke)
		return -EAGAIN;
	at = http1_find(in, s->confirmed ? d->side : 0, &found);
	if (at < 0)
		return -EAGAIN;
	if (d->side && d->side != found)
		swap_sides(s, from, found);
	d->state = AT_HEAD;
	return at;
}
