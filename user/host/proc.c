// SPDX-License-Identifier: Apache-2.0
#include "host/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scope.h"

int proc_open(struct proc *p, const char *root, uint32_t pid)
{
	char path[256];
	int n = snprintf(path, sizeof(path), "%s/%u", root, pid);

	p->dir = -1;
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	p->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return p->dir < 0 ? -errno : 0;
}

void proc_close(struct proc *p)
{
	close_fd(&p->dir);
	p->dir = -1;
}

/* A FIFO or a device would answer when it likes: O_NONBLOCK opens it, the check sends it away. */
static int open_regular(int dir, const char *path, int flags)
{
	_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return TAKE_FD(fd);
}

static int read_all(int fd, struct buf *b, bool *cut)
{
	while (b->n < b->max) {
		size_t n = MIN(b->max - b->n, (size_t)4096);
		char *to = buf_room(b, n);
		ssize_t got;

		if (!to)
			return -ENOMEM;
		got = read(fd, to, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		buf_added(b, (size_t)got);
	}
	if (cut)
		*cut = b->n == b->max;
	return 0;
}

int read_file(int dir, const char *path, struct buf *b, bool *cut)
{
	_close_ int fd = open_regular(dir, path, 0);

	return fd < 0 ? fd : read_all(fd, b, cut);
}

int proc_read(const struct proc *p, const char *name, struct buf *b, bool *cut)
{
	_close_ int fd = open_regular(p->dir, name, O_NOFOLLOW);

	return fd < 0 ? fd : read_all(fd, b, cut);
}

int proc_link(const struct proc *p, const char *name, struct buf *b)
{
	struct slice deleted = SLICE(" (deleted)"), target;
	char path[PATH_MAX];
	ssize_t n = readlinkat(p->dir, name, path, sizeof(path));

	if (n < 0)
		return -errno;
	target = slice_of(path, (size_t)n);
	if (target.n > deleted.n && slice_eq(slice_from(target, target.n - deleted.n), deleted))
		target.n -= deleted.n;
	return buf_str(b, target);
}

int proc_exe(const struct proc *p)
{
	return open_regular(p->dir, "exe", 0);
}

int proc_stat(const struct proc *p, struct proc_stat *out)
{
	_cleanup_(buf_fini) struct buf b;
	struct slice rest, field;
	uint64_t ppid = 0, start = 0;
	const char *end;
	int r;

	buf_init(&b, 1024);
	r = proc_read(p, "stat", &b, NULL);
	if (r < 0)
		return r;
	/* pid (comm) state ppid …: the name may hold parentheses and spaces, so look for the last
	 * one */
	end = b.n ? memrchr(b.p, ')', b.n) : NULL;
	if (!end)
		return -EINVAL;
	rest = slice_from(buf_slice(&b), (size_t)(end - b.p) + 2);
	for (int i = 3; i <= 22; i++) {
		if (!slice_split(&rest, ' ', &field))
			return -EINVAL;
		if ((i == 4 && !slice_u64(field, &ppid)) || (i == 22 && !slice_u64(field, &start)))
			return -EINVAL;
	}
	*out = (struct proc_stat){(uint32_t)ppid, start};
	return 0;
}

int proc_uid(const struct proc *p, uint32_t *out)
{
	_cleanup_(buf_fini) struct buf b;
	struct slice rest, line, field;
	uint64_t uid;
	int r;

	buf_init(&b, 4096);
	r = proc_read(p, "status", &b, NULL);
	if (r < 0)
		return r;
	/* the name in its first line has its newlines escaped */
	rest = buf_slice(&b);
	while (slice_split(&rest, '\n', &line)) {
		if (!slice_starts(line, SLICE("Uid:\t")))
			continue;
		line = slice_from(line, 5);
		if (!slice_split(&line, '\t', &field) || !slice_u64(field, &uid))
			return -EINVAL;
		*out = (uint32_t)uid;
		return 0;
	}
	return -EINVAL;
}
