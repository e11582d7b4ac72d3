/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 made by hand: frames appended to a buffer. Header blocks by literals without indexing, or by bytes as they are.
 *
 *	struct h2 h; h2_init(&h);
 *	h2_preface(&h);
 *	h2_request(&h, 1, "GET", "/a", H2_END);
 *	h2_data(&h, 1, "body", H2_END);
 */
#ifndef SPANDREL_H2KIT_H
#define SPANDREL_H2KIT_H

#include <stdint.h>
#include <string.h>

#include "base/slice.h"

#define H2_FN static __attribute__((unused))
#define H2_KIT_MAX (1 << 20)

enum { H2_END = 1, H2_ACK = 1, H2_BLOCK_END = 4, H2_PADDED = 8, H2_PRIORITY = 0x20 };

struct h2 {
	size_t n;
	char bytes[H2_KIT_MAX];
};

H2_FN void h2_init(struct h2 *h)
{
	h->n = 0;
}

H2_FN void h2_add(struct h2 *h, const void *p, size_t n)
{
	if (n && h->n + n <= sizeof(h->bytes)) {
		memcpy(h->bytes + h->n, p, n);
		h->n += n;
	}
}

H2_FN void h2_u32(struct h2 *h, uint32_t v)
{
	h2_add(h, (const char[]){ (char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v }, 4);
}

H2_FN void h2_head(struct h2 *h, size_t length, int type, int flags, uint32_t stream)
{
	h2_add(h, (const char[]){ (char)(length >> 16), (char)(length >> 8), (char)length, (char)type, (char)flags }, 5);
	h2_u32(h, stream);
}

H2_FN void h2_frame(struct h2 *h, int type, int flags, uint32_t stream, const void *payload, size_t n)
{
	h2_head(h, n, type, flags, stream);
	h2_add(h, payload, n);
}

H2_FN void h2_data(struct h2 *h, uint32_t stream, const char *text, int flags)
{
	h2_frame(h, 0, flags, stream, text, strlen(text));
}

H2_FN void h2_preface(struct h2 *h)
{
	h2_add(h, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	h2_frame(h, 4, 0, 0, NULL, 0);
}

/* A field into a block: a literal without indexing, names and values below 127 bytes. Returns bytes written. */
H2_FN size_t h2_field(char *to, const char *name, const char *value)
{
	size_t n = strlen(name), v = strlen(value);

	to[0] = 0;
	to[1] = (char)n;
	memcpy(to + 2, name, n);
	to[2 + n] = (char)v;
	memcpy(to + 3 + n, value, v);
	return 3 + n + v;
}

H2_FN size_t h2_request_block(char *to, const char *method, const char *path)
{
	size_t n = h2_field(to, ":method", method);

	n += h2_field(to + n, ":scheme", "http");
	n += h2_field(to + n, ":path", path);
	return n + h2_field(to + n, ":authority", "a");
}

H2_FN void h2_request(struct h2 *h, uint32_t stream, const char *method, const char *path, int flags)
{
	char block[512];

	h2_frame(h, 1, flags | H2_BLOCK_END, stream, block, h2_request_block(block, method, path));
}

H2_FN void h2_response(struct h2 *h, uint32_t stream, const char *status, int flags)
{
	char block[64];

	h2_frame(h, 1, flags | H2_BLOCK_END, stream, block, h2_field(block, ":status", status));
}

H2_FN void h2_reset(struct h2 *h, uint32_t stream, uint32_t code)
{
	h2_head(h, 4, 3, 0, stream);
	h2_u32(h, code);
}

H2_FN void h2_goaway(struct h2 *h, uint32_t last, uint32_t code)
{
	h2_head(h, 8, 7, 0, 0);
	h2_u32(h, last);
	h2_u32(h, code);
}

H2_FN struct slice h2_bytes(const struct h2 *h)
{
	return slice_of(h->bytes, h->n);
}

#endif
