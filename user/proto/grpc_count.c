// SPDX-License-Identifier: Apache-2.0
#include "proto/grpc_count.h"

#include "base/base64.h"
#include "base/scope.h"
#include "proto/grpc_inflate.h"

#define FLAG_COMPRESSED 0x01
#define FLAG_TRAILERS	0x80 /* gRPC-Web */
#define TRAILERS_MAX	(64 * 1024) /* longer ones are passed over */
#define ZIPPED_MAX	4096 /* likewise; held until they are whole, for each stream that is open */
#define NO_MATCH	0xff
#define STATUS_UNKNOWN	2 /* for what is none */

/* ---- trailers of gRPC-Web ---- */

static void status_digit(struct grpc_web *w, unsigned digit)
{
	uint64_t status = w->status * 10ULL + digit;

	w->has_status = true;
	w->status = status > UINT32_MAX ? STATUS_UNKNOWN : (uint32_t)status;
	if (status > UINT32_MAX)
		w->matched = NO_MATCH;
}

/* "name: value" lines, names in any case. The first status counts. */
static void trailer_byte(struct grpc_web *w, char byte)
{
	static const char name[] = "grpc-status:";
	const uint8_t whole = sizeof(name) - 1;
	unsigned digit = (unsigned char)byte - '0';

	if (byte == '\n') {
		w->matched = 0;
	} else if (w->matched < whole) {
		w->matched = (byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte) == name[w->matched] && !w->has_status ?
				     w->matched + 1 : NO_MATCH;
	} else if (w->matched == whole && digit <= 9) {
		status_digit(w, digit);
	} else if (w->matched == whole && (byte != ' ' || w->has_status)) {
		w->matched = NO_MATCH;
	}
}

static void trailer_bytes(void *web, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		trailer_byte(web, s.p[i]);
}

static bool reads_trailers(const struct grpc_count *c)
{
	return c->web.trailers && c->length <= (c->prefix[0] & FLAG_COMPRESSED ? ZIPPED_MAX : TRAILERS_MAX);
}

static void feed_trailers(struct grpc_count *c, struct slice data)
{
	if (c->prefix[0] & FLAG_COMPRESSED)
		buf_str(&c->web.zipped, data);
	else
		trailer_bytes(&c->web, data);
}

static void trailers_end(struct grpc_count *c)
{
	if (c->web.zipped.n && (c->web.zipped.failed ||
				grpc_inflate(buf_slice(&c->web.zipped), TRAILERS_MAX, trailer_bytes, &c->web)))
		c->web.has_status = false; /* cut off, perhaps inside its digits */
	buf_fini(&c->web.zipped);
	c->web.trailers = false;
	c->web.ended = true;
}

/* ---- frames, one after the other ---- */

static void message_ends(struct grpc_count *c)
{
	c->have = 0;
	if (c->web.trailers) {
		trailers_end(c);
		return;
	}
	c->messages++;
	c->bytes += c->length;
	c->compressed += c->prefix[0] & FLAG_COMPRESSED;
}

static void prefix_ends(struct grpc_count *c)
{
	const uint8_t *b = c->prefix;

	c->length = (uint32_t)b[1] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 8 | b[4];
	c->left = c->length;
	c->web.trailers = b[0] & FLAG_TRAILERS;
	c->web.matched = 0;
	if (c->web.trailers)
		buf_init(&c->web.zipped, ZIPPED_MAX);
	c->lost |= b[0] & ~(FLAG_COMPRESSED | FLAG_TRAILERS); /* not what it was taken for */
	if (!c->left)
		message_ends(c);
}

/* ---- base64 ---- */

void grpc_count_begin(struct grpc_count *c, struct slice content_type)
{
	struct slice text = SLICE("application/grpc-web-text");

	*c = (struct grpc_count){ .web.text = slice_eq_nocase(slice_to(content_type, text.n), text) };
}

static void feed_bytes(struct grpc_count *c, struct slice data);

/* A quantum of four digits is three bytes, two with one `=`, one with two. */
static void feed_base64(struct grpc_count *c, struct slice data)
{
	struct grpc_web *w = &c->web;

	for (size_t i = 0; i < data.n && !c->lost; i++) {
		int v = base64_value(data.p[i]);
		char bytes[3];
		unsigned padding;

		if (v < 0 ? data.p[i] != '=' || w->quantum_n < 2 : w->quantum_n && (w->quantum & 0xff) == 0xff) {
			c->lost = true;
			return;
		}
		w->quantum = w->quantum << 8 | (uint8_t)v; /* 0xff: padding */
		if (++w->quantum_n < 4)
			continue;
		w->quantum_n = 0;
		padding = (w->quantum & 0xff) == 0xff ? 1 + ((w->quantum >> 8 & 0xff) == 0xff) : 0;
		v = (int)((w->quantum >> 24 & 63) << 18 | (w->quantum >> 16 & 63) << 12 | (w->quantum >> 8 & 63) << 6 |
			  (w->quantum & 63));
		bytes[0] = (char)(v >> 16);
		bytes[1] = (char)(v >> 8);
		bytes[2] = (char)v;
		feed_bytes(c, slice_of(bytes, 3 - padding));
	}
}

/* ---- bytes ---- */

void grpc_count_fini(struct grpc_count *c)
{
	buf_fini(&c->web.zipped);
}

/* Base64 may be padded anywhere, and trailers are read. */
uint64_t grpc_count_passable(const struct grpc_count *c)
{
	if (c->lost)
		return UINT64_MAX;
	return c->web.text || reads_trailers(c) ? 0 : c->left;
}

static void pass(struct grpc_count *c, uint64_t n)
{
	c->left -= MIN(n, c->left);
	if (!c->left)
		message_ends(c);
}

void grpc_count_pass(struct grpc_count *c, uint64_t n)
{
	if (!c->lost && n)
		pass(c, n);
}

static void feed_bytes(struct grpc_count *c, struct slice data)
{
	while (data.n && !c->lost) {
		size_t take = MIN(data.n, c->left ? c->left : sizeof(c->prefix) - c->have);

		if (c->left) {
			if (reads_trailers(c))
				feed_trailers(c, slice_to(data, take));
			pass(c, take);
		} else {
			memcpy(c->prefix + c->have, data.p, take);
			c->have += (uint8_t)take;
			if (c->have == sizeof(c->prefix))
				prefix_ends(c);
		}
		data = slice_from(data, take);
	}
}

void grpc_count_feed(struct grpc_count *c, struct slice data)
{
	if (c->web.text)
		feed_base64(c, data);
	else
		feed_bytes(c, data);
}
