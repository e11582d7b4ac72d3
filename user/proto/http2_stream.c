// SPDX-License-Identifier: Apache-2.0
/* Streams that are open, and what is said of their beginning and end. */
#include "base/scope.h"
#include "base/stats.h"
#include "proto/grpc.h"
#include "proto/http2_session.h"

struct http2_stream *http2_stream_find(const struct http2_session *s, uint32_t id)
{
	return id ? table_get(&s->streams, id) : NULL;
}

struct http2_stream *http2_stream_open(struct http2_session *s, uint32_t id)
{
	struct http2_stream *st = s->unused ? s->unused : malloc(sizeof(*st));

	if (!st)
		return NULL;
	s->unused = s->unused ? s->unused->next : NULL;
	*st = (struct http2_stream){ .id = id };
	for (int side = MSG_REQUEST; side <= MSG_RESPONSE; side++)
		st->losses[side - 1] = http2_side(s, side)->losses;
	if (table_set(&s->streams, id, st)) {
		st->next = s->unused;
		s->unused = st;
		return NULL;
	}
	return st;
}

static void fini_counts(struct http2_stream *st)
{
	for (int side = 0; side < 2; side++)
		grpc_count_fini(&st->sent[side]);
}

void http2_stream_close(struct http2_session *s, struct http2_stream *st)
{
	fini_counts(st);
	table_del(&s->streams, st->id);
	st->next = s->unused;
	s->unused = st;
}

static void free_unused(struct http2_session *s)
{
	while (s->unused) {
		struct http2_stream *st = s->unused;

		s->unused = st->next;
		free(st);
	}
}

void http2_streams_fini(struct http2_session *s)
{
	struct http2_stream *st;
	size_t at = 0;

	while ((st = table_next(&s->streams, &at, NULL))) {
		fini_counts(st);
		free(st);
	}
	table_fini(&s->streams);
	free_unused(s);
}

/* A side of the stream that says it is gRPC begins: what it sends is counted. */
static void count_begins(struct http2_stream *st, const struct http2_head *head, enum message_type side)
{
	struct slice type = http1_part(&head->http, head->http.notes.known[H1_CONTENT_TYPE]);

	if (!grpc_content_type(type))
		return;
	st->grpc = true;
	grpc_count_fini(&st->sent[side - 1]); /* of DATA in front of the head */
	grpc_count_begin(&st->sent[side - 1], type);
}

/* Nobody could be told of this one. */
static void drop(enum stat_id reason)
{
	stat_inc(requests_seen);
	stats[reason]++;
}

void http2_request_head(struct http2_session *s, uint32_t id, bool end, struct proto_out *out)
{
	struct http2_stream *st = http2_stream_open(s, id);
	struct http2_head *head = &s->head;

	if (!st) {
		drop(s->streams.n >= PROTO_OPEN_MAX ? STAT_drop_pipeline : STAT_drop_memory);
		return;
	}
	count_begins(st, head, MSG_REQUEST);
	st->asked = end;
	head->http.m.type = MSG_REQUEST;
	head->http.m.key = id;
	out->flags = OUT_HEAD | (end ? OUT_END : 0);
	out->type = MSG_REQUEST;
	out->key = id;
	out->msg = &head->http.m;
}

/*
 * Bytes that were lost since it was opened may have been of this stream. A request that goes out is seen when its sends return:
 * the rest of it may be seen after the answer.
 */
static void finish_counts(struct http2_session *s, struct http2_stream *st)
{
	if (!st->asked && s->dir[DIR_SEND].side == MSG_REQUEST)
		grpc_count_lose(&st->sent[MSG_REQUEST - 1]);
	for (int side = MSG_REQUEST; side <= MSG_RESPONSE; side++) {
		bool lossy = st->losses[side - 1] != http2_side(s, side)->losses;

		if (!st->grpc || lossy)
			grpc_count_lose(&st->sent[side - 1]);
		s->head.http.m.truncated |= lossy;
		s->head.end.sent[side - 1] = grpc_count_result(&st->sent[side - 1]);
	}
}

/* `s->head` is the answer's head if none was told yet, else it adds to that. */
static void answer(struct http2_session *s, struct http2_stream *st, bool end, struct proto_out *out)
{
	struct message *m = &s->head.http.m;

	m->type = MSG_RESPONSE;
	m->key = st->id;
	out->type = MSG_RESPONSE;
	out->key = st->id;
	out->flags |= (st->answered ? OUT_MORE : OUT_HEAD) | (end ? OUT_END : 0);
	out->msg = m;
	st->answered = true;
	if (!end)
		return;
	finish_counts(s, st);
	http2_stream_close(s, st);
}

/* RFC 9113 §8.1 has none, but what was told for the head may have been an interim answer. What each adds is kept. */
#define MORE_HEADS 4

/* A head that has a status; where the head was lost, or its status is not known, the first block stands for it. */
void http2_response_head(struct http2_session *s, uint32_t id, bool end, struct proto_out *out)
{
	struct http2_stream *st = http2_stream_find(s, id);
	struct http2_head *head = &s->head;
	bool interim = head->http.status / 100 == 1 && !end;

	if (!st) {
		if (head->http.status && !interim)
			*out = (struct proto_out){ .flags = OUT_HEAD | OUT_ORPHAN, .type = MSG_RESPONSE,
						   .msg = &head->http.m };
		return;
	}
	if (interim && !st->answered) {
		out->flags = OUT_HEAD | OUT_INTERIM;
		out->type = MSG_RESPONSE;
		out->key = id;
		out->msg = &head->http.m;
		return;
	}
	if (st->answered && !end && ++st->more > MORE_HEADS) {
		st->more = MORE_HEADS;
		stat_inc(h2_malformed);
		return;
	}
	if (!st->answered)
		count_begins(st, head, MSG_RESPONSE);
	head->trailers = st->answered || http2_head_kind(head) != MSG_RESPONSE;
	head->http.m.truncated |= !st->answered && !head->http.status;
	head->end.whole = end;
	answer(s, st, end, out);
}

void http2_response_end(struct http2_session *s, struct http2_stream *st, struct proto_out *out)
{
	http2_head_reset(s, MSG_RESPONSE);
	s->head.http.m.truncated = !st->answered;
	s->head.end.whole = true;
	answer(s, st, true, out);
}

void http2_reset(struct http2_session *s, uint32_t id, bool by_client, uint32_t code, struct proto_out *out)
{
	struct http2_stream *st = http2_stream_find(s, id);

	if (!st)
		return;
	http2_head_reset(s, MSG_RESPONSE);
	s->head.end.reset = by_client ? RESET_BY_CLIENT : RESET_BY_SERVER;
	s->head.end.code = code;
	answer(s, st, true, out);
}

/* The server has not processed streams above `last`, and will not (RFC 9113 §6.8). */
void http2_goaway(struct http2_session *s, uint32_t last, uint32_t code, struct proto_out *out)
{
	struct http2_stream *st;
	uint64_t key;
	size_t at = 0, closed = 0;

	while ((st = table_next(&s->streams, &at, &key))) {
		if (key <= last)
			continue;
		http2_stream_close(s, st);
		closed++;
		at = 0;
	}
	if (!closed)
		return;
	http2_head_reset(s, MSG_RESPONSE);
	s->head.end.reset = RESET_BY_GOAWAY;
	s->head.end.code = code;
	for (int side = 0; side < 2; side++)
		grpc_count_lose(&s->head.end.sent[side]);
	*out = (struct proto_out){ .flags = OUT_ABOVE, .type = MSG_RESPONSE, .key = last, .msg = &s->head.http.m };
}
