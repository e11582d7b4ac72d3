// SPDX-License-Identifier: Apache-2.0
#include "export/spool_inner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/scope.h"

#define NAME_FORMAT "%016" PRIx64 "-%016" PRIx64 ".spool"
#define NAME_SIZE (16 + 1 + 16 + 6)
#define KEYS_MAX 64
#define ENTRIES_MAX 1000000 /* looked at, in a directory that somebody filled */

struct spool_dir {
	int fd, lock;
	uint64_t keys[KEYS_MAX]; /* of the spools in it */
	uint32_t n_keys;
	char path[];
};

const char *spool_dir_path(const struct spool_dir *d)
{
	return d->path;
}

void spool_dir_close(struct spool_dir *d)
{
	if (!d)
		return;
	close_fd(&d->lock);
	close_fd(&d->fd);
	free(d);
}

static void close_dir(struct spool_dir **d)
{
	spool_dir_close(*d);
}

/* The kernel ends the lock with the process, however that ends. The number inside is for the message alone. */
static int take_lock(struct spool_dir *d)
{
	char text[32] = "";
	int n;

	d->lock = openat(d->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (d->lock < 0)
		return log_ret(-errno, "--spool-dir: cannot open %s/lock: %s", d->path, strerror(errno));
	if (flock(d->lock, LOCK_EX | LOCK_NB)) {
		n = (int)pread(d->lock, text, sizeof(text) - 1, 0);
		text[n > 0 ? strspn(text, "0123456789") : 0] = '\0';
		return log_ret(-EBUSY, "--spool-dir: %s is in use by another spandrel%s%s", d->path, *text ? ", process " : "",
			       text);
	}
	n = snprintf(text, sizeof(text), "%d\n", getpid());
	if (ftruncate(d->lock, 0) || pwrite(d->lock, text, (size_t)n, 0) != n)
		log_debug("%s/lock: process number not written: %s", d->path, strerror(errno));
	return 0;
}

int spool_dir_open(struct spool_dir **out, const char *path)
{
	_cleanup_(close_dir) struct spool_dir *d = calloc(1, sizeof(*d) + strlen(path) + 1);
	int r;

	if (!d)
		return -ENOMEM;
	strcpy(d->path, path);
	d->lock = -1;
	d->fd = mkdir(path, 0700) && errno != EEXIST ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0)
		return log_ret(-errno, "--spool-dir: cannot use %s: %s", path, strerror(errno));
	r = take_lock(d);
	if (r)
		return r;
	*out = TAKE_PTR(d);
	return 0;
}

/* A link, a pipe or somebody else's file with one of our names is none of ours. */
static int check_ours(int fd, uint64_t *size)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
		return -EPERM;
	*size = (uint64_t)st.st_size;
	return 0;
}

int spool_dir_file(const struct spool_dir *d, uint64_t key, uint64_t number, bool create, int *fd, uint64_t *size)
{
	char name[NAME_SIZE + 1];
	_close_ int file = -1;
	int r;

	snprintf(name, sizeof(name), NAME_FORMAT, key, number);
	file = openat(d->fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (create ? O_CREAT | O_EXCL : 0), 0600);
	if (file < 0)
		return -errno;
	r = check_ours(file, size);
	if (r)
		return r;
	*fd = TAKE_FD(file);
	return 0;
}

int spool_dir_remove(const struct spool_dir *d, uint64_t key, uint64_t number)
{
	char name[NAME_SIZE + 1];

	snprintf(name, sizeof(name), NAME_FORMAT, key, number);
	return unlinkat(d->fd, name, 0) ? -errno : 0;
}

static bool parse_name(const char *name, uint64_t *key, uint64_t *number)
{
	uint8_t bytes[16];

	if (strlen(name) != NAME_SIZE || name[16] != '-' || strcmp(name + 33, ".spool") || !hex_get(bytes, name, 8) ||
	    !hex_get(bytes + 8, name + 17, 8))
		return false;
	*key = *number = 0;
	for (int i = 0; i < 8; i++) {
		*key = *key << 8 | bytes[i];
		*number = *number << 8 | bytes[8 + i];
	}
	return true;
}

/* Sorted as it grows; the lowest, oldest number gives way. */
static uint32_t insert(uint64_t *numbers, uint32_t n, uint32_t max, uint64_t number)
{
	uint32_t at = n;

	while (at && numbers[at - 1] > number)
		at--;
	if (n < max) {
		memmove(numbers + at + 1, numbers + at, (n - at) * sizeof(*numbers));
		numbers[at] = number;
		return n + 1;
	}
	if (at) {
		memmove(numbers, numbers + 1, (at - 1) * sizeof(*numbers));
		numbers[at - 1] = number;
	}
	return n;
}

static DIR *open_entries(const struct spool_dir *d)
{
	int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		close_fd(&fd);
	return dir;
}

int spool_dir_list(struct spool_dir *d, uint64_t key, uint64_t *numbers, uint32_t max)
{
	DIR *dir = open_entries(d);
	uint64_t its_key, number;
	struct dirent *e;
	uint32_t n = 0, found = 0;

	if (!dir)
		return -errno;
	if (d->n_keys < KEYS_MAX)
		d->keys[d->n_keys++] = key;
	for (uint32_t seen = 0; seen < ENTRIES_MAX && (e = readdir(dir)); seen++) {
		if (!parse_name(e->d_name, &its_key, &number) || its_key != key)
			continue;
		n = insert(numbers, n, max, number);
		found++;
	}
	closedir(dir);
	if (found > n)
		log_warn("%s has %u files of one end point: the oldest %u stay until the others are sent and spandrel starts again",
			 d->path, found, found - n);
	return (int)n;
}

static bool knows(const struct spool_dir *d, uint64_t key)
{
	for (uint32_t i = 0; i < d->n_keys; i++)
		if (d->keys[i] == key)
			return true;
	return false;
}

void spool_dir_strangers(const struct spool_dir *d)
{
	DIR *dir = open_entries(d);
	uint64_t key, number, bytes = 0;
	struct dirent *e;
	struct stat st;

	for (uint32_t seen = 0; dir && seen < ENTRIES_MAX && (e = readdir(dir)); seen++)
		if (parse_name(e->d_name, &key, &number) && !knows(d, key) &&
		    !fstatat(d->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			bytes += (uint64_t)st.st_size;
	if (dir)
		closedir(dir);
	if (bytes)
		log_warn("%s has %" PRIu64 " bytes for end points that are not configured; they stay there", d->path, bytes);
}
