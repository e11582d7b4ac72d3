// SPDX-License-Identifier: Apache-2.0
/* A block is read as a whole, then checked as a whole, then handed over: nothing damaged is ever seen behind this file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "probe/probe.h"
#include "probe/record.h"

#define READ_SIZE (256 * 1024)
#define BLOCK_MAX (2u * RECORD_MAX)

struct reader {
	int fd, error;
	char *p;
	size_t at, n, cap; /* bytes [at, n) are not used yet; at is a multiple of 8 */
	uint64_t base;	   /* offset in the file of p */
	bool end;	   /* nothing more comes */
};

static int grow(struct reader *r, size_t want)
{
	size_t cap = r->cap ? r->cap : READ_SIZE;
	char *p;

	while (cap < want)
		cap *= 2;
	p = realloc(r->p, cap);
	if (!p)
		return -ENOMEM;
	r->p = p;
	r->cap = cap;
	return 0;
}

/* Makes n bytes available behind `at`, or all there are. */
static void fill(struct reader *r, size_t n)
{
	if (r->n - r->at >= n || r->end)
		return;
	if (r->at) {
		memmove(r->p, r->p + r->at, r->n - r->at);
		r->base += r->at;
		r->n -= r->at;
		r->at = 0;
	}
	if (r->cap < n + READ_SIZE && grow(r, n + READ_SIZE)) {
		r->error = -ENOMEM;
		r->end = true;
	}
	while (r->n < n && !r->end) {
		ssize_t got = read(r->fd, r->p + r->n, r->cap - r->n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			r->error = -errno;
		if (got <= 0)
			r->end = true;
		else
			r->n += (size_t)got;
	}
}

static size_t left(const struct reader *r)
{
	return r->n - r->at;
}

enum block { BLOCK_WHOLE, BLOCK_CUT, BLOCK_BAD };

static uint64_t padded(uint32_t len)
{
	return ((uint64_t)len + 7) & ~7ULL;
}

/* What the recorder wrote behind a block of this size, to the last bit. */
static bool check_matches(const struct reader *r, size_t size)
{
	struct record_check want = record_check_of(r->p + r->at, size);

	return !memcmp(r->p + r->at + size, &want, sizeof(want));
}

/* A file that ends like one that was closed was not cut: its last block is damaged inside. */
static bool ends_closed(const struct reader *r)
{
	struct ev_head h;

	if (left(r) < sizeof(struct record_check))
		return false;
	memcpy(&h, r->p + r->n - sizeof(struct record_check), sizeof(h));
	return h.type == RECORD_CHECK && h.len == sizeof(struct record_check);
}

/*
 * Finds the block that begins with `skip` bytes of header: *size is its bytes without the checksum, or those of the whole
 * records that a cut has left.
 */
static enum block block_find(struct reader *r, size_t skip, size_t *size)
{
	struct ev_head h;

	for (*size = skip;; *size += padded(h.len)) {
		fill(r, *size + sizeof(struct record_check));
		if (left(r) < *size + sizeof(h))
			break;
		memcpy(&h, r->p + r->at + *size, sizeof(h));
		if (h.len < sizeof(h) || h.len > RECORD_MAX || *size > BLOCK_MAX)
			return BLOCK_BAD;
		fill(r, *size + padded(h.len));
		if (left(r) < *size + h.len)
			break;
		if (h.type != RECORD_CHECK)
			continue;
		return h.len == sizeof(struct record_check) && check_matches(r, *size) ? BLOCK_WHOLE : BLOCK_BAD;
	}
	return ends_closed(r) ? BLOCK_BAD : BLOCK_CUT;
}

static void block_play(struct reader *r, size_t skip, size_t size, void (*fn)(void *arg, const struct ev_head *ev), void *arg)
{
	const struct ev_head *ev;

	for (size_t at = skip; at < size; at += padded(ev->len)) {
		ev = (const struct ev_head *)(r->p + r->at + at);
		if (event_valid(ev, size - at))
			fn(arg, ev);
		else
			stat_inc(bad_records);
	}
}

static int check_header(const struct reader *r, const char *path, struct record_header *h)
{
	size_t n = MIN(left(r), sizeof(*h));

	memcpy(h, r->p + r->at, n);
	if (n < sizeof(h->magic) || memcmp(h->magic, RECORD_MAGIC, sizeof(h->magic)))
		return log_ret(-EINVAL, "%s is not a recording of spandrel", path);
	if (n < sizeof(*h))
		return 0;
	if (!h->version || h->version > RECORD_VERSION)
		return log_ret(-EINVAL, "%s is a recording of version %u; this program reads version %u", path, h->version,
			       RECORD_VERSION);
	return 0;
}

static void play(struct reader *r, const char *path, void (*fn)(void *arg, const struct ev_head *ev), void *arg)
{
	size_t skip = sizeof(struct record_header), size;
	enum block b;

	while ((b = block_find(r, skip, &size)) == BLOCK_WHOLE) {
		block_play(r, skip, size, fn, arg);
		r->at += size + sizeof(struct record_check);
		skip = 0;
		if (!left(r)) {
			fill(r, 1);
			if (!left(r))
				return;
		}
	}
	if (b == BLOCK_CUT && !r->error)
		block_play(r, skip, size, fn, arg);
	else
		size = 0;
	log_warn("%s is %s at byte %llu: what follows is not used", path, b == BLOCK_CUT ? "cut short" : "damaged",
		 (unsigned long long)(r->base + r->at + size));
}

int replay_file(const char *path, uint64_t seed[2], void (*start)(void *arg), void (*fn)(void *arg, const struct ev_head *ev),
		void *arg)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct reader r = { .fd = fd };
	struct record_header h = { 0 };
	int error;

	if (fd < 0)
		return log_ret(-errno, "cannot read %s: %s", path, strerror(errno));
	fill(&r, sizeof(h));
	error = r.error ? log_ret(r.error, "cannot read %s: %s", path, strerror(-r.error)) : check_header(&r, path, &h);
	if (!error && left(&r) < sizeof(h)) {
		log_warn("%s is cut short inside its header: nothing of it can be used", path);
	} else if (!error) {
		memcpy(seed, h.seed, sizeof(h.seed));
		start(arg);
		play(&r, path, fn, arg);
	}
	free(r.p);
	return error;
}
