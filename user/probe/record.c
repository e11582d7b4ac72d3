// SPDX-License-Identifier: Apache-2.0
#include "probe/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/scope.h"

#define BLOCK (64 * 1024)
#define BLOCK_NS NS_PER_S

struct recorder {
	int fd; /* -1: ended by an error */
	bool regular;
	char *path;
	struct buf block; /* not written yet */
	off_t whole;	  /* bytes of whole blocks in the file */
	uint64_t written; /* when */
};

/* An error ends the recording; half a block is taken back where that can be done. */
static void failed(struct recorder *r, int error)
{
	if (r->regular && ftruncate(r->fd, r->whole))
		error = errno;
	close(r->fd);
	r->fd = -1;
	buf_fini(&r->block);
	log_error("cannot write the recording %s: %s; it ends here", r->path, strerror(error));
}

static void write_block(struct recorder *r)
{
	size_t done = 0;

	while (done < r->block.n) {
		ssize_t n = write(r->fd, r->block.p + done, r->block.n - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			failed(r, n ? errno : EIO);
			return;
		}
		done += (size_t)n;
	}
	r->whole += (off_t)r->block.n;
	buf_reset(&r->block);
}

struct record_check record_check_of(const void *p, size_t size)
{
	struct record_check check = { .h = { .type = RECORD_CHECK, .len = sizeof(check) }, .size = size };

	crc32c_pair(check.crc, p, (const char *)p + size / 2, size / 2);
	return check;
}

static void close_block(struct recorder *r)
{
	struct record_check check;

	if (r->fd < 0 || !r->block.n)
		return;
	check = record_check_of(r->block.p, r->block.n);
	if (buf_append(&r->block, &check, sizeof(check)))
		failed(r, ENOMEM);
	else
		write_block(r);
}

void recorder_put(struct recorder *r, const struct ev_head *ev)
{
	size_t padding = -(size_t)ev->len & 7;

	if (r->fd < 0 || ev->len > RECORD_MAX)
		return;
	if (buf_append(&r->block, ev, ev->len) || buf_append(&r->block, "\0\0\0\0\0\0\0", padding))
		failed(r, ENOMEM);
	else if (r->block.n >= BLOCK)
		close_block(r);
}

void recorder_tick(struct recorder *r, uint64_t now)
{
	if (now - r->written < BLOCK_NS)
		return;
	r->written = now;
	close_block(r);
}

void recorder_close(struct recorder *r)
{
	if (!r)
		return;
	close_block(r);
	close_fd(&r->fd);
	buf_fini(&r->block);
	free(r->path);
	free(r);
}

/* A pipe must not block the loop; a file is for its owner only, also one that was there before. */
static int open_file(struct recorder *r)
{
	struct stat st;

	r->fd = open(r->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
	if (r->fd < 0 || fstat(r->fd, &st))
		return -errno;
	r->regular = S_ISREG(st.st_mode);
	if (r->regular && st.st_uid != geteuid())
		return -EPERM; /* its owner could read what passes here */
	if (r->regular && (fchmod(r->fd, 0600) || ftruncate(r->fd, 0)))
		return -errno;
	return 0;
}

int recorder_open(struct recorder **out, const char *path, const uint64_t seed[2])
{
	struct record_header header = { .magic = RECORD_MAGIC, .version = RECORD_VERSION, .seed = { seed[0], seed[1] } };
	struct recorder *r = calloc(1, sizeof(*r));
	int error = -ENOMEM;

	if (r) {
		r->fd = -1;
		buf_init(&r->block, BLOCK + RECORD_MAX + 4096);
		r->path = strdup(path);
		error = !r->path || buf_append(&r->block, &header, sizeof(header)) ? -ENOMEM : open_file(r);
	}
	if (error) {
		log_error("cannot record to %s: %s", path, strerror(-error));
		if (r)
			buf_reset(&r->block);
		recorder_close(r);
		return error;
	}
	*out = r;
	return 0;
}
