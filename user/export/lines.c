// SPDX-License-Identifier: Apache-2.0
#include "export/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"

#define TEXT_MAX (16 * 1024 * 1024)
#define TEXT_KEEP (1024 * 1024) /* memory kept between batches */
#define OPEN_FLAGS (O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

/* A file that ends inside a line, after a crash: unreadable counts as that, an empty line does less harm. */
static bool ends_in_line(int fd, off_t size)
{
	char path[64], last;
	_close_ int in = -1;

	if (!size)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	in = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return in < 0 || pread(in, &last, 1, size - 1) != 1 || last != '\n';
}

/*
 * O_NONBLOCK belongs to the open file, which the shell and other programs share: a pipe or terminal is opened anew
 * to have a private one. Where that is refused (sockets, no /proc) writes may block.
 */
static int open_stdout(void)
{
	struct stat st;
	int fd = -1;

	if (fstat(STDOUT_FILENO, &st))
		return -errno;
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		fd = open("/proc/self/fd/1", O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

/* Without O_CREAT first: with it the kernel refuses somebody else's FIFO in /tmp. */
static int open_path(const char *path)
{
	int fd = open(path, OPEN_FLAGS);

	if (fd < 0 && errno == ENOENT)
		fd = open(path, OPEN_FLAGS | O_CREAT, 0640);
	return fd < 0 ? -errno : fd;
}

static bool same_file(const struct stat *st, int fd)
{
	struct stat other;

	return fd >= 0 && !fstat(fd, &other) && other.st_ino == st->st_ino && other.st_dev == st->st_dev;
}

/* What was open stays so, unless the new one is. */
static int reopen(struct lines *l)
{
	_close_ int fd = l->c.path ? open_path(l->c.path) : open_stdout();
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return -errno;
	l->regular = S_ISREG(st.st_mode);
	if (!same_file(&st, l->fd)) /* of that one we know how it ends */
		l->half = l->regular && l->c.path && ends_in_line(fd, st.st_size);
	close_fd(&l->fd);
	l->fd = TAKE_FD(fd);
	return 0;
}

int lines_open(struct lines *l, struct outlet *o, const struct lines_config *c)
{
	int r;

	*l = (struct lines){ .c = *c, .o = o, .fd = -1 };
	list_init(&l->waiting);
	buf_init(&l->text, TEXT_MAX);
	r = reopen(l);
	if (r == -ENXIO) /* a FIFO that nobody reads yet */
		r = 0;
	return r ? log_ret(r, "cannot write spans to %s: %s", l->c.name, strerror(-r)) : 0;
}

static void say_failed(struct lines *l, int error)
{
	if (!l->failing)
		log_error("cannot write spans to %s: %s", l->c.name, error == ENXIO ? "nobody reads it" : strerror(error));
	l->failing = true;
}

static void say_works(struct lines *l)
{
	if (l->failing)
		log_info("writing spans to %s again", l->c.name);
	l->failing = false;
}

/* Takes a half-written line away, if nobody has written after it. */
static void cut_back(struct lines *l)
{
	struct stat st;
	off_t end = lseek(l->fd, 0, SEEK_CUR), start = end - (off_t)l->done;

	if (!l->done)
		return;
	if (l->regular && end >= 0 && !fstat(l->fd, &st) && st.st_size == end && start >= 0 &&
	    !ftruncate(l->fd, start) && lseek(l->fd, start, SEEK_SET) == start)
		return;
	l->half = true;
}

static void fail(struct lines *l, int error)
{
	say_failed(l, error);
	if (l->fd >= 0)
		cut_back(l);
	if (l->c.path && !l->regular && l->fd >= 0) { /* a new reader begins with a whole line */
		close(l->fd);
		l->fd = -1;
	}
	export_batch_done(l->o, TAKE_PTR(l->current), STAT_drop_file);
}

static int render(struct lines *l, struct export_batch *b)
{
	l->done = 0;
	buf_reset(&l->text);
	if (l->half && buf_append(&l->text, "\n", 1))
		return -ENOMEM;
	return l->c.render(l->c.arg, b->spans, b->n, &l->text);
}

/* Makes a waiting batch the current one. False when there is none, or it was dropped. */
static bool take_up(struct lines *l)
{
	struct export_batch *b = l->current = list_entry(list_pop(&l->waiting), struct export_batch, link), *rest;
	int r = l->fd < 0 ? reopen(l) : 0;

	if (r) {
		fail(l, -r);
		return false;
	}
	while ((r = render(l, b)) && b->n > 1 && (rest = export_batch_split(b)))
		list_push(l->waiting.next, &rest->link); /* before the first */
	if (r) {
		l->current = NULL;
		export_batch_done(l->o, b, STAT_drop_encode);
	}
	return !r;
}

/* PATH.4 → PATH.5, … PATH → PATH.1. A number that is missing is none to worry about. */
static int move_away(const char *path)
{
	size_t size = strlen(path) + 16;
	_free_ char *from = malloc(size), *to = malloc(size);

	if (!from || !to)
		return -ENOMEM;
	for (int i = LINES_KEPT; i > 0; i--) {
		snprintf(from, size, i > 1 ? "%s.%d" : "%s", path, i - 1);
		snprintf(to, size, "%s.%d", path, i);
		if (rename(from, to) && errno != ENOENT)
			return -errno;
	}
	return 0;
}

/* Somebody else may have moved it, or the path is a link: then it is opened anew, or left. */
static int rotate(struct lines *l, const struct stat *open_file)
{
	struct stat st;
	int r = 0;

	if (lstat(l->c.path, &st))
		r = errno == ENOENT ? 0 : -errno;
	else if (S_ISLNK(st.st_mode))
		return -ELOOP;
	else if (st.st_ino == open_file->st_ino && st.st_dev == open_file->st_dev)
		r = move_away(l->c.path);
	return r ? r : reopen(l);
}

/* Before the first byte of a batch. If it fails, the file grows on. */
static void keep_limit(struct lines *l)
{
	struct stat st;
	int r;

	if (!l->c.limit || !l->c.path || !l->regular || l->done || fstat(l->fd, &st) || !st.st_size ||
	    (uint64_t)st.st_size + l->text.n <= l->c.limit)
		return;
	r = rotate(l, &st);
	if (r && !l->stuck)
		log_error("cannot begin a new %s: %s; it grows", l->c.name, strerror(-r));
	l->stuck = r != 0;
	if (!r && *l->text.p == '\n') /* it ended a half line in the old file */
		l->done = 1;
}

static int write_on(struct lines *l)
{
	keep_limit(l);
	while (l->done < l->text.n) {
		ssize_t n = write(l->fd, l->text.p + l->done, l->text.n - l->done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		l->done += (size_t)n;
	}
	return 0;
}

static void written(struct lines *l)
{
	say_works(l);
	l->half = false;
	export_batch_done(l->o, TAKE_PTR(l->current), -1);
	if (l->text.cap > TEXT_KEEP) {
		buf_fini(&l->text);
		buf_init(&l->text, TEXT_MAX);
	}
}

void lines_work(struct lines *l)
{
	int r;

	while (l->current || !list_empty(&l->waiting)) {
		if (!l->current && !take_up(l))
			continue;
		r = write_on(l);
		if (r == -EAGAIN)
			return;
		if (r)
			fail(l, -r);
		else
			written(l);
	}
}

void lines_send(struct lines *l, struct export_batch *b)
{
	list_push(&l->waiting, &b->link);
	lines_work(l);
}

void lines_reopen(struct lines *l)
{
	int r;

	if (!l->c.path || l->current) /* a line is under way in a pipe */
		return;
	r = reopen(l);
	if (r && r != -ENXIO)
		say_failed(l, -r);
}

void lines_close(struct lines *l)
{
	struct list *i;

	if (l->current)
		export_batch_done(l->o, TAKE_PTR(l->current), STAT_drop_unsent);
	while ((i = list_pop(&l->waiting)))
		export_batch_done(l->o, list_entry(i, struct export_batch, link), STAT_drop_unsent);
	if (l->fd >= 0) {
		if (l->regular && fsync(l->fd))
			say_failed(l, errno);
		close(l->fd);
	}
	buf_fini(&l->text);
}
