// SPDX-License-Identifier: Apache-2.0
#include "proto/grpc_inflate.h"

#include <errno.h>
#include <zlib.h>

#include "base/scope.h"

#define GZIP_ONLY (16 + MAX_WBITS)
#define PIECE 1024

static int inflate_all(z_stream *z, size_t max, void (*piece)(void *arg, struct slice s), void *arg)
{
	Bytef out[PIECE];
	size_t total = 0;
	int r = Z_OK;

	while (r == Z_OK) {
		z->next_out = out;
		z->avail_out = sizeof(out);
		r = inflate(z, Z_NO_FLUSH);
		if (r != Z_OK && r != Z_STREAM_END)
			break;
		total += sizeof(out) - z->avail_out;
		if (total > max)
			return -E2BIG;
		piece(arg, slice_of((const char *)out, sizeof(out) - z->avail_out));
	}
	return r == Z_STREAM_END ? 0 : r == Z_MEM_ERROR ? -ENOMEM : -EPROTO;
}

int grpc_inflate(struct slice in, size_t max, void (*piece)(void *arg, struct slice s), void *arg)
{
	z_stream z = { .next_in = (Bytef *)in.p, .avail_in = (uInt)MIN(in.n, (size_t)UINT32_MAX) };
	int r;

	if (inflateInit2(&z, GZIP_ONLY) != Z_OK)
		return -ENOMEM;
	r = inflate_all(&z, max, piece, arg);
	inflateEnd(&z);
	return r;
}
