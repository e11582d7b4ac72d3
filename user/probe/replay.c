// SPDX-License-Identifier: Apache-2.0
/* Reading a recording: whole blocks whose checksum is right are used, nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "probe/probe.h"
#include "probe/record.h"

#define BUFFER (4 * 1024 * 1024) /* holds the largest block several times */

_Static_assert(BUFFER > 2 * (RECORD_BLOCK + RECORD_MAX), "a block fits");

struct reader {
	const char *path;
	int fd;
	char *p;
	size_t n; /* bytes in the buffer */
	bool end;
	uint64_t passed; /* bytes of the file before the buffer */
};

static int fill(struct reader *r)
{
	while (!r->end && r->n < BUFFER) {
		ssize_t got = read(r->fd, r->p + r->n, BUFFER - r->n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return log_ret(-errno, "--replay: cannot read %s: %s", r->path, strerror(errno));
		r->end = !got;
		r->n += (size_t)got;
	}
	return 0;
}

static size_t padded(uint32_t len)
{
	return ((size_t)len + 7) & ~(size_t)7;
}

/* Length of the block at p, its checksum record included; 0: there is no whole and sound one. */
static size_t block_length(const char *p, size_t n)
{
	size_t at = 0;

	while (n - at >= sizeof(struct ev_head)) {
		const struct ev_head *ev = (const struct ev_head *)(p + at);
		const struct record_sum *sum = (const struct record_sum *)ev;

		if (ev->len < sizeof(*ev) || ev->len > RECORD_MAX || padded(ev->len) > n - at)
			return 0;
		if (ev->type == RECORD_SUM) {
			bool sound = ev->len == sizeof(*sum) && !ev->flags && !ev->time && sum->bytes == at &&
				     sum->crc == crc32(0, (const Bytef *)p, (uInt)at);

			return sound ? at + sizeof(*sum) : 0;
		}
		at += padded(ev->len);
		if (at > RECORD_BLOCK + RECORD_MAX)
			return 0;
	}
	return 0;
}

static void block_feed(const char *p, size_t n, void (*fn)(void *arg, const struct ev_head *ev), void *arg)
{
	for (size_t at = 0; at < n - sizeof(struct record_sum);) {
		const struct ev_head *ev = (const struct ev_head *)(p + at);

		if (event_valid(ev, ev->len))
			fn(arg, ev);
		else
			stat_inc(bad_records);
		at += padded(ev->len);
	}
}

static int read_header(struct reader *r, uint64_t seed[2])
{
	struct record_header head;
	int error = fill(r);

	if (error)
		return error;
	if (r->n < sizeof(head) || memcmp(r->p, RECORD_MAGIC, sizeof(head.magic)))
		return log_ret(-EINVAL, "--replay: %s is not a recording", r->path);
	memcpy(&head, r->p, sizeof(head));
	if (head.version != RECORD_VERSION)
		return log_ret(-EINVAL, "--replay: %s has version %u: expected %u", r->path, head.version, RECORD_VERSION);
	memcpy(seed, head.seed, sizeof(head.seed));
	r->passed = sizeof(head);
	r->n -= sizeof(head);
	memmove(r->p, r->p + sizeof(head), r->n);
	return 0;
}

static int read_blocks(struct reader *r, void (*fn)(void *arg, const struct ev_head *ev), void *arg)
{
	size_t at = 0, block;
	int error;

	for (;;) {
		while ((block = block_length(r->p + at, r->n - at))) {
			block_feed(r->p + at, block, fn, arg);
			at += block;
		}
		r->n -= at;
		r->passed += at;
		memmove(r->p, r->p + at, r->n);
		if (r->end || !at)
			break; /* nothing more, or a full buffer without a sound block */
		at = 0;
		error = fill(r);
		if (error)
			return error;
	}
	if (r->n)
		log_warn("--replay: %s is damaged or cut after %llu bytes: what comes before was used", r->path,
			 (unsigned long long)r->passed);
	return 0;
}

int replay_file(const char *path, uint64_t seed[2], void (*start)(void *arg),
		void (*fn)(void *arg, const struct ev_head *ev), void *arg)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_free_ char *buffer = malloc(BUFFER);
	struct reader r = { .path = path, .fd = fd, .p = buffer };
	int error;

	if (fd < 0)
		return log_ret(-errno, "--replay: cannot read %s: %s", path, strerror(errno));
	if (!buffer)
		return log_ret(-ENOMEM, "out of memory");
	error = read_header(&r, seed);
	if (error)
		return error;
	start(arg);
	return read_blocks(&r, fn, arg);
}
