// SPDX-License-Identifier: Apache-2.0
#include "proto/grpc_count.h"

#include "base/scope.h"

#define FLAG_COMPRESSED 0x01
#define FLAG_TRAILERS	0x80 /* gRPC-Web */

static void message_ends(struct grpc_count *c)
{
	c->have = 0;
	if (c->web_trailers)
		return;
	c->messages++;
	c->bytes += c->length;
	c->compressed += c->prefix[0] & FLAG_COMPRESSED;
}

static void prefix_ends(struct grpc_count *c)
{
	const uint8_t *b = c->prefix;

	c->length = (uint32_t)b[1] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 8 | b[4];
	c->left = c->length;
	c->web_trailers = b[0] & FLAG_TRAILERS;
	c->lost |= b[0] & ~(FLAG_COMPRESSED | FLAG_TRAILERS); /* not what it was taken for */
	if (!c->left)
		message_ends(c);
}

uint64_t grpc_count_passable(const struct grpc_count *c)
{
	return c->lost ? UINT64_MAX : c->left;
}

void grpc_count_pass(struct grpc_count *c, uint64_t n)
{
	if (c->lost || !n)
		return;
	c->left -= MIN(n, c->left);
	if (!c->left)
		message_ends(c);
}

void grpc_count_feed(struct grpc_count *c, struct slice data)
{
	while (data.n && !c->lost) {
		size_t take = MIN(data.n, c->left ? c->left : sizeof(c->prefix) - c->have);

		if (c->left) {
			grpc_count_pass(c, take);
		} else {
			memcpy(c->prefix + c->have, data.p, take);
			c->have += (uint8_t)take;
			if (c->have == sizeof(c->prefix))
				prefix_ends(c);
		}
		data = slice_from(data, take);
	}
}
