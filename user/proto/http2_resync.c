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
#define STREAMS_FAR (1u << 24)
#define STEPS_PER_BYTE 8 /* headers looked at in a search: bytes made of chains that lead nowhere would be walked from each of their frames */
#define STEPS_FREE 4096

/* How much a plausible header proves: frames whose length or stream is given prove more than DATA. */
static unsigned weight(const struct http2_frame *f)
{
	return f->type == F_DATA || f->type == F_CONTINUATION ? 1 : 2;
}

enum chain { CHAIN_NO, CHAIN_YES, CHAIN_MORE };

struct walk { /* along a chain */
	uint32_t max_data; /* longest DATA frame */
	bool block;	   /* the next one must be a CONTINUATION */
	uint32_t stream;   /* one of those that were met; 0: none yet */
};

/* Streams that are open at a time are not far from each other, and nobody sends DATA that says nothing. */
static bool follows(struct walk *w, const struct http2_frame *f)
{
	bool fits = http2_frame_plausible(f, f->type == F_DATA ? w->max_data : HTTP2_MAX_FRAME);

	if (!fits || w->block != (f->type == F_CONTINUATION) || (f->type == F_DATA && !f->length && !f->flags))
		return false;
	if (f->stream && w->stream && MAX(f->stream, w->stream) - MIN(f->stream, w->stream) >= STREAMS_FAR)
		return false;
	w->stream = f->stream ? f->stream : w->stream;
	if (f->type == F_HEADERS || f->type == F_PUSH_PROMISE || f->type == F_CONTINUATION)
		w->block = !(f->flags & FLAG_END_HEADERS);
	return true;
}

/*
 * Do frames follow one another from here? *end: where the last of them begins that was reached. Where an operation begins
 * (`first`) a frame is likely to, and may be a long one.
 */
static enum chain chain_from(struct http2_direction *d, struct slice in, bool first, size_t *end)
{
	struct walk w = { .max_data = first ? MAX(d->max_frame, HTTP2_FAR_FRAME) : d->max_frame };
	unsigned proof = 0, needed = first ? 2 : 4;
	size_t at = 0;

	while (at < in.n && in.n - at >= HTTP2_FRAME_HEAD) {
		struct http2_frame f = http2_frame_read(in.p + at);

		d->steps++;
		if (!follows(&w, &f))
			return CHAIN_NO;
		proof += weight(&f);
		*end = at;
		at += HTTP2_FRAME_HEAD + f.length;
	}
	if (proof >= needed && (at == in.n || *end >= CHAIN_FAR))
		return CHAIN_YES;
	return CHAIN_MORE;
}

static void lose(struct http2_session *s, struct http2_direction *d)
{
	hpack_lost(&d->hpack);
	d->state = H2_LOST;
	d->gap = true;
	d->losses++;
	d->scan = d->steps = 0;
	d->waits = 0;
	/* what waits for its acknowledgement may have been acknowledged, or announced anew, in between */
	s->dir[0].announced = s->dir[1].announced = (struct http2_settings_queue){ 0 };
}

static int64_t found(struct http2_direction *d, size_t at)
{
	d->state = H2_FRAME;
	d->doubt = DOUBT_FRAMES;
	d->losses++; /* streams opened meanwhile missed what was passed over */
	d->scan = 0;
	return (int64_t)at;
}

static int64_t give_up(struct http2_direction *d)
{
	d->scan = d->steps = 0;
	return -EAGAIN;
}

static int64_t wait_for_more(struct http2_direction *d, struct slice in)
{
	return in.n < PROTO_HEAD_MAX ? -EINPROGRESS : give_up(d);
}

static bool exhausted(const struct http2_direction *d, struct slice in)
{
	return d->steps > STEPS_PER_BYTE * in.n + STEPS_FREE;
}

/* The frame that may begin here has no more than the usual size, or its header is not whole: nothing else is looked for. */
static bool is_usual(struct slice in)
{
	return in.n < HTTP2_FRAME_HEAD || http2_frame_read(in.p).length <= HTTP2_MAX_FRAME;
}

int64_t http2_resync(void *session, enum ev_dir from, struct slice in)
{
	struct http2_session *s = session;
	struct http2_direction *d = &s->dir[from];
	enum chain first;
	size_t end;

	if (d->state != H2_LOST || !in.n)
		lose(s, d);
	if (!in.n)
		return -EAGAIN;
	if (!d->scan && slice_starts(in, slice_to(HTTP2_PREFACE, in.n))) {
		if (in.n < HTTP2_PREFACE.n)
			return -EINPROGRESS;
		d->side = s->dir[!from].side = 0; /* who asks is seen now */
		d->state = H2_START;
		return 0;
	}
	first = chain_from(d, in, true, &end);
	if (first == CHAIN_YES)
		return found(d, 0);
	if (first == CHAIN_MORE && is_usual(in))
		return exhausted(d, in) ? give_up(d) : wait_for_more(d, in);
	for (size_t at = MAX(d->scan, 1u); at + HTTP2_FRAME_HEAD <= in.n; at++) {
		enum chain c = chain_from(d, slice_from(in, at), false, &end);

		if (c == CHAIN_YES)
			return found(d, at + end);
		d->scan = (uint32_t)at;
		if (exhausted(d, in))
			return give_up(d);
		if (c == CHAIN_MORE && in.n < PROTO_HEAD_MAX)
			return -EINPROGRESS;
	}
	return first == CHAIN_MORE ? wait_for_more(d, in) : give_up(d);
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
