// SPDX-License-Identifier: Apache-2.0
#include "export/spool_segment.h"

#include <errno.h>
#include <stddef.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "base/scope.h"

#define MAGIC 0x314c5053u /* "SPL1": the version is in it */
#define FORMAT_OTLP 1	  /* the text is an ExportTraceServiceRequest in protobuf */
#define BLOCK 16384	  /* read at a time, looking for a record */

struct head {
	uint32_t magic, format;
	uint32_t n, size;
	uint32_t sum;	   /* CRC-32 of the text */
	uint32_t head_sum; /* of what stands before it */
};

_Static_assert(sizeof(struct head) == 24, "a format of files");

static uint32_t sum_of(const void *p, size_t n)
{
	return (uint32_t)crc32_z(0, p, n);
}

int segment_append(struct segment *g, const uint8_t *marks, uint32_t n, struct slice text)
{
	struct head h = { MAGIC, FORMAT_OTLP, n, (uint32_t)text.n, sum_of(text.p, text.n), 0 };
	struct iovec parts[] = { { &h, sizeof(h) }, { (void *)marks, n }, { (void *)text.p, text.n } };
	size_t whole = sizeof(h) + n + text.n;
	ssize_t r;
	int ignore;

	h.head_sum = sum_of(&h, offsetof(struct head, head_sum));
	r = pwritev(g->fd, parts, ARRAY_SIZE(parts), (off_t)g->size);
	if (r == (ssize_t)whole) {
		g->size += whole;
		return 0;
	}
	r = r < 0 ? -errno : -ENOSPC;
	ignore = ftruncate(g->fd, (off_t)g->size); /* if not, it is no whole record, and written over */
	(void)ignore;
	return (int)r;
}

static bool head_fits(const struct segment *g, const struct head *h, uint64_t offset)
{
	return h->magic == MAGIC && h->format == FORMAT_OTLP &&
	       h->head_sum == sum_of(h, offsetof(struct head, head_sum)) && h->n && h->n <= SEGMENT_SPANS_MAX &&
	       h->size <= SEGMENT_RECORD_MAX && sizeof(*h) + h->n + h->size <= g->size - offset;
}

/* Looks at every byte of the block. *found is its index there. */
static bool find_head(const struct segment *g, const char *block, size_t n, uint64_t offset, struct head *h, size_t *found)
{
	static const uint32_t magic = MAGIC;

	for (size_t i = 0; i + sizeof(*h) <= n; i++) {
		const char *hit = memchr(block + i, *(const char *)&magic, n - sizeof(*h) + 1 - i);

		if (!hit)
			return false;
		i = (size_t)(hit - block);
		memcpy(h, hit, sizeof(*h));
		if (head_fits(g, h, offset + i)) {
			*found = i;
			return true;
		}
	}
	return false;
}

int segment_next(const struct segment *g, struct segment_record *out, bool *damaged)
{
	char block[BLOCK];
	struct head h;
	size_t i;

	for (uint64_t at = g->at; at < g->size; at += BLOCK - sizeof(h) + 1) {
		ssize_t n = pread(g->fd, block, MIN((uint64_t)BLOCK, g->size - at), (off_t)at);

		if (n < 0)
			return -errno;
		if (find_head(g, block, (size_t)n, at, &h, &i)) {
			*damaged = at + i != g->at;
			*out = (struct segment_record){ .offset = at + i, .end = at + i + sizeof(h) + h.n + h.size,
							.n = h.n, .size = h.size, .sum = h.sum };
			return 0;
		}
		if (n < BLOCK)
			break;
	}
	*damaged = g->at < g->size;
	return -ENOENT;
}

static int read_all(int fd, void *to, size_t n, uint64_t at)
{
	ssize_t r = pread(fd, to, n, (off_t)at);

	if (r < 0)
		return -errno;
	return (size_t)r == n ? 0 : -EBADMSG; /* somebody has cut it */
}

int segment_marks(const struct segment *g, const struct segment_record *r, uint8_t *marks, bool *damaged)
{
	int error = read_all(g->fd, marks, r->n, r->offset + sizeof(struct head));

	for (uint32_t i = 0; !error && i < r->n; i++) {
		if (marks[i] == MARK_OPEN || marks[i] == MARK_SHARED || marks[i] == MARK_DONE)
			continue;
		marks[i] = MARK_OPEN;
		*damaged = true;
	}
	return error;
}

int segment_text(const struct segment *g, const struct segment_record *r, char *text)
{
	int error = read_all(g->fd, text, r->size, r->offset + sizeof(struct head) + r->n);

	if (error)
		return error;
	return sum_of(text, r->size) == r->sum ? 0 : -EBADMSG;
}

int segment_mark(const struct segment *g, uint64_t offset, const uint8_t *marks, uint32_t from, uint32_t to)
{
	ssize_t r = pwrite(g->fd, marks + from, to - from, (off_t)(offset + sizeof(struct head) + from));

	if (r < 0)
		return -errno;
	return (size_t)r == to - from ? 0 : -EIO;
}

int segment_count(struct segment *g)
{
	struct segment walk = *g;
	_free_ uint8_t *marks = malloc(SEGMENT_SPANS_MAX);
	struct segment_record r;
	bool damaged;
	int error = marks ? 0 : -ENOMEM;

	walk.open = walk.shared = 0;
	while (!error && !(error = segment_next(&walk, &r, &damaged))) {
		error = segment_marks(&walk, &r, marks, &damaged);
		for (uint32_t i = 0; !error && i < r.n; i++) {
			walk.open += marks[i] == MARK_OPEN;
			walk.shared += marks[i] == MARK_SHARED;
		}
		walk.at = r.end;
	}
	g->open = walk.open;
	g->shared = walk.shared;
	return error == -ENOENT ? 0 : error;
}
