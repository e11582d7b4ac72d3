// SPDX-License-Identifier: Apache-2.0
/*
 * Finding the next frame after a loss, or where a connection was joined. Payload may look like frames, may even hold a conversation
 * in HTTP/2: a single plausible frame proves nothing. A chain of them has to lead exactly to the end of what was sent or
 * received by then, or through more bytes than a frame can have; the first place from which one does is taken, for the frames
 * around others come before them. Frames that follow are only believed while they stay plausible.
 */
#include <errno.h>

#include "base/scope.h"
#include "proto/http2_session.h"

#define DOUBT_FRAMES 16
#define CHAIN_FAR (2 * (HTTP2_MAX_FRAME + HTTP2_FRAME_HEAD)) /* bytes that hold the end of any frame of the usual size */
#define LENGTH_FAR (1 << 20) /* a longer frame is none, where the limit is not known */

/* How much a plausible header proves: frames whose length or stream is given prove more than DATA. */
static unsigned weight(const struct http2_frame *f)
{
	return f->type == F_DATA || f->type == F_CONTINUATION ? 1 : 2;
}

enum chain { CHAIN_NO, CHAIN_YES, CHAIN_MORE };

/* Do frames follow one another from here? *end: where the last of them begins that was reached. */
static enum chain chain_from(const struct http2_direction *d, struct slice in, bool first, size_t *end)
{
	uint32_t max = d->gap && !d->announced.n && d->max_frame == HTTP2_MAX_FRAME ? LENGTH_FAR : d->max_frame;
	unsigned proof = 0, needed = first ? 2 : 4;
	bool block = false;
	size_t at = 0;

	while (in.n - at >= HTTP2_FRAME_HEAD) {
		struct http2_frame f = http2_frame_read(in.p + at);

		if (!http2_frame_plausible(&f, f.type == F_DATA ? max : MIN(max, HTTP2_MAX_FRAME)) || (at && block != (f.type == F_CONTINUATION)))
			return CHAIN_NO;
		if (!at && f.type == F_CONTINUATION)
			return CHAIN_NO;
		if (f.type == F_HEADERS || f.type == F_PUSH_PROMISE || f.type == F_CONTINUATION)
			block = !(f.flags & FLAG_END_HEADERS);
		proof += weight(&f);
		*end = at;
		at += HTTP2_FRAME_HEAD + f.length;
		if (at >= in.n)
			break;
	}
	if (proof >= needed && (at == in.n || (at > in.n && *end >= CHAIN_FAR)))
		return CHAIN_YES;
	return CHAIN_MORE;
}

static void lose(struct http2_session *s, struct http2_direction *d)
{
	hpack_lost(&d->hpack);
	d->state = H2_LOST;
	d->gap = true;
	d->losses++;
	d->scan = 0;
	d->waits = 0;
	/* what waits for its acknowledgement may have been acknowledged, or announced anew, in between */
	s->dir[0].announced.n = s->dir[1].announced.n = 0;
}

static int64_t found(struct http2_direction *d, size_t at)
{
	d->state = H2_FRAME;
	d->doubt = DOUBT_FRAMES;
	d->scan = 0;
	return (int64_t)at;
}

int64_t http2_resync(void *session, enum ev_dir from, struct slice in)
{
	struct http2_session *s = session;
	struct http2_direction *d = &s->dir[from];
	size_t end;

	if (d->state != H2_LOST || !in.n)
		lose(s, d);
	if (!d->scan && in.n && slice_starts(in, slice_to(HTTP2_PREFACE, in.n))) {
		if (in.n < HTTP2_PREFACE.n)
			return -EINPROGRESS;
		d->side = s->dir[!from].side = 0; /* who asks is seen now */
		d->state = H2_START;
		return 0;
	}
	for (size_t at = d->scan; at + HTTP2_FRAME_HEAD <= in.n; at++) {
		enum chain c = chain_from(d, slice_from(in, at), !at, &end);

		if (c == CHAIN_YES)
			return found(d, at ? at + end : 0);
		if (c == CHAIN_MORE && in.n < PROTO_HEAD_MAX) {
			d->scan = (uint32_t)at;
			return -EINPROGRESS;
		}
	}
	d->scan = 0;
	return -EAGAIN;
}

bool http2_answers(void *session, uint64_t key)
{
	struct http2_session *s = session;
	bool any = false;

	for (int dir = 0; dir < 2 && !key; dir++) {
		struct http2_direction *d = &s->dir[dir];

		any |= d->waits;
		d->orphans_to = MAX(d->orphans_to, d->waits);
		d->waits = 0;
	}
	return any;
}
