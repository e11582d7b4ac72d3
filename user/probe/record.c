// SPDX-License-Identifier: Apache-2.0
#include "probe/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"

struct recorder {
	int fd;
	bool failed;
	struct buf block;
	uint64_t since; /* time of the block's first tick */
	off_t written;	/* whole blocks */
	char *path;	/* for messages */
};

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w ? -errno : -EIO;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

/* What was written of a block is taken back: the file stays readable to its end. */
static void give_up(struct recorder *r, int error)
{
	log_error("--record: cannot write %s: %s: recording ends here", r->path, strerror(-error));
	if (ftruncate(r->fd, r->written))
		log_debug("--record: cannot shorten %s: %s", r->path, strerror(errno));
	r->failed = true;
}

static void block_write(struct recorder *r)
{
	struct record_sum sum = { .h = { .type = RECORD_SUM, .len = sizeof(sum) }, .bytes = (uint32_t)r->block.n };
	int error;

	if (!r->block.n || r->failed)
		return;
	sum.crc = (uint32_t)crc32(0, (const Bytef *)r->block.p, (uInt)r->block.n);
	error = buf_append(&r->block, &sum, sizeof(sum));
	if (!error)
		error = write_all(r->fd, r->block.p, r->block.n);
	if (error)
		give_up(r, error);
	else
		r->written += (off_t)r->block.n;
	buf_reset(&r->block);
}

static void recorder_free(struct recorder *r)
{
	close_fd(&r->fd);
	buf_fini(&r->block);
	free(r->path);
	free(r);
}

int recorder_open(struct recorder **out, const char *path, const uint64_t seed[2])
{
	struct record_header head = { .magic = RECORD_MAGIC, .version = RECORD_VERSION, .seed = { seed[0], seed[1] } };
	struct recorder *r = calloc(1, sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	buf_init(&r->block, RECORD_BLOCK + RECORD_MAX + sizeof(struct record_sum));
	r->path = strdup(path);
	r->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	error = r->fd < 0 || !r->path || fchmod(r->fd, 0600) ? -errno : write_all(r->fd, (char *)&head, sizeof(head));
	if (error) {
		log_error("--record: cannot write %s: %s", path, strerror(-error));
		recorder_free(r);
		return error;
	}
	r->written = sizeof(head);
	*out = r;
	return 0;
}

void recorder_put(struct recorder *r, const struct ev_head *ev)
{
	static const char zero[8];
	size_t pad = -ev->len & 7;

	if (r->failed || ev->len > RECORD_MAX)
		return;
	if (r->block.n + ev->len + pad > RECORD_BLOCK)
		block_write(r);
	if (buf_append(&r->block, ev, ev->len) || buf_append(&r->block, zero, pad))
		give_up(r, -ENOMEM);
}

void recorder_tick(struct recorder *r, uint64_t now)
{
	if (now - r->since < NS_PER_S)
		return;
	r->since = now;
	block_write(r);
}

void recorder_close(struct recorder *r)
{
	if (!r)
		return;
	block_write(r);
	recorder_free(r);
}
