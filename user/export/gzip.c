// SPDX-License-Identifier: Apache-2.0
#include "export/gzip.h"

#include <errno.h>
#include <limits.h>
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* 15 bits, gzip header */

int gzip_encode(struct slice in, struct buf *out)
{
	z_stream z = { .next_in = (Bytef *)in.p, .avail_in = (uInt)in.n };
	uLong bound;
	char *to;
	int r;

	if (in.n > UINT_MAX / 2)
		return -ENOSPC;
	/* the fastest level: spans repeat themselves, and the processor belongs to others */
	if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	bound = deflateBound(&z, (uLong)in.n);
	to = buf_room(out, bound);
	if (!to) {
		deflateEnd(&z);
		return -ENOSPC;
	}
	z.next_out = (Bytef *)to;
	z.avail_out = (uInt)bound;
	r = deflate(&z, Z_FINISH);
	if (r == Z_STREAM_END)
		buf_added(out, z.total_out);
	deflateEnd(&z);
	return r == Z_STREAM_END ? 0 : -ENOSPC;
}
