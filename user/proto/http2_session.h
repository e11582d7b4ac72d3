/* SPDX-License-Identifier: Apache-2.0 */
/* What one HTTP/2 connection's parser remembers. Internal to http2*.c. */
#ifndef SPANDREL_PROTO_HTTP2_SESSION_H
#define SPANDREL_PROTO_HTTP2_SESSION_H

#include "base/buf.h"
#include "base/table.h"
#include "proto/hpack.h"
#include "proto/http2.h"

/* ---- frames (RFC 9113 §4, §6): http2_frame.c ---- */

#define HTTP2_PREFACE SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
#define HTTP2_FRAME_HEAD 9 /* length u24, type u8, flags u8, stream u32 (31 bits), all big endian */
#define HTTP2_MAX_FRAME 16384u /* SETTINGS_MAX_FRAME_SIZE until it is changed */
#define HTTP2_FAR_FRAME (1u << 20) /* longer ones are none, where the limit is not known */
#define HTTP2_TEXT_MAX UINT16_MAX /* of a head's values: notes are 16 bits */

enum http2_type { F_DATA, F_HEADERS, F_PRIORITY, F_RST_STREAM, F_SETTINGS, F_PUSH_PROMISE, F_PING, F_GOAWAY,
		  F_WINDOW_UPDATE, F_CONTINUATION, F_ALTSVC = 0xa, F_ORIGIN = 0xc, F_PRIORITY_UPDATE = 0x10 };

enum { FLAG_END_STREAM = 0x1, FLAG_ACK = 0x1, FLAG_END_HEADERS = 0x4, FLAG_PADDED = 0x8, FLAG_PRIORITY = 0x20 };

struct http2_frame {
	uint32_t length, stream;
	uint8_t type, flags;
	bool reserved; /* the bit that must not be set is */
};

/* Of at least HTTP2_FRAME_HEAD bytes. */
struct http2_frame http2_frame_read(const char *p);
/* Could a peer that keeps to the specification have sent it? max: SETTINGS_MAX_FRAME_SIZE. */
bool http2_frame_plausible(const struct http2_frame *f, uint32_t max);
uint32_t http2_u32(const char *p);
/* The payload without what padding and priority add (`more`: bytes in front of the fragment). False: they do not fit. */
bool http2_fragment(const struct http2_frame *f, struct slice payload, size_t more, struct slice *fragment);

/* ---- one direction ---- */

enum http2_state {
	H2_START, /* nothing was seen: the client's preface may come */
	H2_FRAME, /* between frames */
	H2_DATA,  /* in a DATA frame of a gRPC call */
	H2_BLOCK, /* behind the front of a header block that is too long: its CONTINUATIONs are passed over */
	H2_LOST,
};

#define HTTP2_SETTINGS_WAITING 8

struct http2_settings { /* sent, not acknowledged */
	uint32_t table, max_frame; /* 0: no frame has this size; table UINT32_MAX: not changed */
};

/* The settings that one side has announced. They bind the other side's frames from its acknowledgement on. */
struct http2_settings_queue {
	uint8_t n;
	uint8_t early; /* acknowledged, and not seen yet: a send is seen when it returns */
	struct http2_settings waiting[HTTP2_SETTINGS_WAITING];
};

struct http2_data { /* the frame in progress */
	uint32_t stream, left; /* left: without padding */
	uint8_t padding;
	bool end;
};

struct http2_direction {
	uint8_t state; /* enum http2_state */
	uint8_t side;  /* enum message_type of what flows here; 0: not known yet */
	uint8_t doubt; /* so many frames must be plausible yet, before the place where resync() began is believed */
	bool gap;      /* bytes were missed, ever: streams may have begun and ended unseen */
	uint32_t losses;
	uint32_t steps; /* frame headers that the present search has looked at */
	uint32_t scan; /* bytes at the front that were looked at: whole frames of a block, or no frame's beginning */
	uint32_t waits; /* a response's stream that has no request yet: parse() said -EAGAIN */
	uint32_t orphans_to; /* streams up to this one do not wait */
	uint32_t max_frame; /* may be sent here */
	struct http2_data data;
	struct http2_settings_queue announced; /* by the sender of this direction */
	struct hpack hpack;
};

/* Takes what is at hand of a frame that says nothing, and passes over the rest. */
int64_t http2_pass_frame(const struct http2_frame *f, struct slice in, struct proto_out *out);

/* ---- streams: http2_stream.c ---- */

struct http2_stream {
	struct http2_stream *next; /* free */
	uint32_t id;
	bool answered; /* the response's head was told */
	bool asked;    /* the request has ended */
	bool grpc;
	uint8_t more;  /* heads behind the answer's that did not end it */
	uint32_t losses[2]; /* of both directions when it was opened, by enum message_type − 1 */
	struct grpc_count sent[2];
};

struct http2_head { /* what parse() hands out; http.raw is the session's `text` */
	struct http1_head http;
	uint32_t unknown; /* HTTP2_UNKNOWN_… */
	bool trailers;
	struct http2_end end;
};

struct http2_session {
	const struct proto_config *config;
	struct http2_direction dir[2]; /* enum ev_dir */
	struct table streams;	       /* id → struct http2_stream; PROTO_OPEN_MAX */
	struct http2_stream *unused;
	uint32_t last; /* newest stream of the client */
	struct buf text;  /* values of the head being read */
	struct buf block; /* a header block that came in several frames */
	struct http2_head head;
	bool mixed; /* DATA frames hold several gRPC messages: the kernel must not pass over any */
};

static inline struct http2_direction *http2_side(struct http2_session *s, enum message_type side)
{
	return &s->dir[s->dir[DIR_SEND].side == side ? DIR_SEND : DIR_RECV];
}

static inline void http2_learn_sides(struct http2_session *s, enum ev_dir from, uint8_t side)
{
	s->dir[from].side = side;
	s->dir[!from].side = side == MSG_REQUEST ? MSG_RESPONSE : MSG_REQUEST;
}

struct http2_stream *http2_stream_find(const struct http2_session *s, uint32_t id);
/* NULL without memory, or at the limit. */
struct http2_stream *http2_stream_open(struct http2_session *s, uint32_t id);
void http2_stream_close(struct http2_session *s, struct http2_stream *st);
void http2_streams_fini(struct http2_session *s);

/* What parse() says of a stream; each fills *out. The head is s->head. */
void http2_request_head(struct http2_session *s, uint32_t id, bool end, struct proto_out *out);
void http2_response_head(struct http2_session *s, uint32_t id, bool end, struct proto_out *out);
/* The answer's last byte: on a DATA frame (with an empty head), or after a head that was told already. */
void http2_response_end(struct http2_session *s, struct http2_stream *st, struct proto_out *out);
void http2_reset(struct http2_session *s, uint32_t id, bool by_client, uint32_t code, struct proto_out *out);
void http2_goaway(struct http2_session *s, uint32_t last, uint32_t code, struct proto_out *out);

/* ---- DATA: http2_data.c ---- */

int64_t http2_data_begin(struct http2_session *s, enum ev_dir from, const struct http2_frame *f, struct slice in,
			 struct proto_out *out);
int64_t http2_data_go_on(struct http2_session *s, enum ev_dir from, struct slice in, struct proto_out *out);
void http2_request_ends(struct http2_stream *st, struct proto_out *out);
extern const struct framing *const http2_framings[];
const struct framing *http2_framing(const void *session);
uint64_t http2_ahead(const void *session, enum ev_dir from);
bool http2_lacks(void *session, enum ev_dir from, uint64_t n, struct proto_out *out);

/* ---- http2_settings.c ---- */

/* What a frame of this direction may have: where bytes were missed, more may have been agreed than was seen. */
static inline uint32_t http2_max_frame(const struct http2_session *s, const struct http2_direction *d)
{
	bool known = !s->dir[DIR_RECV].gap && !s->dir[DIR_SEND].gap;

	return known || d->max_frame > HTTP2_FAR_FRAME ? d->max_frame : HTTP2_FAR_FRAME;
}

/* The frame at the front of `in`. False: it is not whole. */
bool http2_settings(struct http2_session *s, enum ev_dir from, const struct http2_frame *f, struct slice in);

/* ---- header blocks: http2_block.c ---- */

/* s->head says nothing. */
void http2_head_reset(struct http2_session *s, uint8_t type);
/* Reads a whole block into s->head. -EPROTO: it is none (or block.p NULL); nothing is known of it and of the table then. */
int http2_block_read(struct http2_session *s, struct http2_direction *d, struct slice block);
/* Fields of a request, of a response, of neither (0): what the block says of itself. */
uint8_t http2_head_kind(const struct http2_head *head);
/*
 * Length of the block at the front with all its frames, *block its fragments together (p NULL: they do not add up). 0: not
 * whole yet. -EMSGSIZE: it is longer than PROTO_HEAD_MAX; d->scan bytes are whole frames.
 */
int64_t http2_block_find(struct http2_session *s, struct http2_direction *d, const struct http2_frame *f,
			 struct slice in, struct slice *block);

/* ---- http2_resync.c, http2_keep.c ---- */

int64_t http2_resync(void *session, enum ev_dir from, struct slice in);
bool http2_answers(void *session, uint64_t key);
struct message *http2_keep(const struct message *msg, struct arena *arena);
void http2_amend(struct message *kept, const struct message *more, struct arena *arena);

#endif
