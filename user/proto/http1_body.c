// SPDX-License-Identifier: Apache-2.0
/* Where a body ends (RFC 9112 §6, §7): a length, chunks, the end of the connection. The bytes themselves are passed over. */
#include <errno.h>

#include "base/scope.h"
#include "proto/http1.h"

int http1_body_kind(const struct http1_head *head)
{
	const struct http1_framing *f = &head->framing;
	bool request = head->m.type == MSG_REQUEST;

	if (f->bad || (f->has_length && f->coding != TE_NONE))
		return -EPROTO;
	if (f->coding == TE_CHUNKED)
		return BODY_CHUNKED;
	if (f->coding == TE_OTHER)
		return request ? -EPROTO : BODY_CLOSE;
	if (f->has_length)
		return f->length ? BODY_LENGTH : BODY_NONE;
	return request ? BODY_NONE : BODY_CLOSE;
}

enum chunk_state {
	SIZE_FIRST,	/* a digit must come */
	SIZE,
	SIZE_BLANK,	/* between the size and what may follow it */
	EXTENSION,	/* up to the line's end */
	SIZE_LF,
	DATA,
	DATA_END,	/* CRLF behind the data */
	DATA_LF,
	TRAILER,	/* at a line's beginning */
	TRAILER_LINE,
	TRAILER_LINE_LF,
	TRAILER_LF,	/* the last line's */
};

void http1_chunks_init(struct http1_chunks *c)
{
	*c = (struct http1_chunks){ .state = SIZE_FIRST };
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void size_done(struct http1_chunks *c)
{
	c->state = c->left ? DATA : TRAILER;
	c->line = 0;
}

static int size_byte(struct http1_chunks *c, char byte)
{
	int digit = hex_value(byte);

	if (digit >= 0 && c->state != SIZE_BLANK) {
		if (c->left > HTTP1_LENGTH_MAX / 16)
			return -EPROTO;
		c->left = c->left * 16 + (unsigned)digit;
		c->state = SIZE;
	} else if (c->state == SIZE_FIRST) {
		return -EPROTO;
	} else if (byte == ';') {
		c->state = EXTENSION;
	} else if (byte == ' ' || byte == '\t') {
		if (++c->line > 64)
			return -EPROTO;
		c->state = SIZE_BLANK;
	} else if (byte == '\r') {
		c->state = SIZE_LF;
	} else if (byte == '\n') {
		size_done(c);
	} else {
		return -EPROTO;
	}
	return 0;
}

/* A byte of an extension or a trailer. -EPROTO: not text, or too long. */
static int text_byte(struct http1_chunks *c, char byte)
{
	if (++c->line > PROTO_HEAD_MAX)
		return -EPROTO;
	return ((unsigned char)byte < 0x20 && byte != '\t') || byte == 0x7f ? -EPROTO : 0;
}

static int extension_byte(struct http1_chunks *c, char byte)
{
	if (byte == '\r')
		c->state = SIZE_LF;
	else if (byte == '\n')
		size_done(c);
	else
		return text_byte(c, byte);
	return 0;
}

static int data_end_byte(struct http1_chunks *c, char byte)
{
	if (c->state == DATA_END && byte == '\r')
		c->state = DATA_LF;
	else if (byte == '\n')
		c->state = SIZE_FIRST;
	else
		return -EPROTO;
	return 0;
}

static int trailer_byte(struct http1_chunks *c, char byte, bool *end)
{
	bool begins = c->state == TRAILER;

	if (c->state == TRAILER_LF || c->state == TRAILER_LINE_LF) {
		if (byte != '\n')
			return -EPROTO;
		*end = c->state == TRAILER_LF;
		c->state = TRAILER;
	} else if (byte == '\r') {
		c->state = begins ? TRAILER_LF : TRAILER_LINE_LF;
	} else if (byte == '\n') {
		*end = begins;
		c->state = TRAILER;
	} else {
		if (begins && !c->line && !http1_token[(unsigned char)byte])
			return -EPROTO;
		c->state = TRAILER_LINE;
		return text_byte(c, byte);
	}
	return 0;
}

static int chunk_byte(struct http1_chunks *c, char byte, bool *end)
{
	switch (c->state) {
	case SIZE_FIRST:
	case SIZE:
	case SIZE_BLANK:
		return size_byte(c, byte);
	case EXTENSION:
		return extension_byte(c, byte);
	case SIZE_LF:
		if (byte != '\n')
			return -EPROTO;
		size_done(c);
		return 0;
	case DATA_END:
	case DATA_LF:
		return data_end_byte(c, byte);
	default:
		return trailer_byte(c, byte, end);
	}
}

static void data_passed(struct http1_chunks *c, uint64_t n)
{
	c->left -= n;
	if (!c->left)
		c->state = DATA_END;
}

int64_t http1_chunks_parse(struct http1_chunks *c, struct slice in, uint64_t *skip, bool *end)
{
	size_t at = 0;

	*skip = 0;
	*end = false;
	while (at < in.n && !*end) {
		size_t data = c->state == DATA ? (size_t)MIN(c->left, (uint64_t)(in.n - at)) : 0;

		if (!data) {
			if (chunk_byte(c, in.p[at++], end))
				return -EPROTO;
			continue;
		}
		if (c->body)
			grpc_count_feed(c->body, slice_of(in.p + at, data));
		at += data;
		data_passed(c, data);
	}
	if (c->state == DATA) { /* all that is here has been looked at: the rest of the chunk need not be captured */
		*skip = c->body ? MIN(c->left, grpc_count_passable(c->body)) : c->left;
		if (c->body)
			grpc_count_pass(c->body, *skip);
		data_passed(c, *skip);
	}
	return (int64_t)at;
}
