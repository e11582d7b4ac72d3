// SPDX-License-Identifier: Apache-2.0
#include "probe/tls_open.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>

#include "base/open_wait.h"
#include "base/scope.h"
#include "spandrel.skel.h"

#define PAGE 4096
#define LOOKUP (UINT64_C(1) << 63) /* of a path to a file there: it may end elsewhere, so another place (open_wait()) */
#define DEVICE(major, minor) ((uint32_t)(major) << 20 | (uint32_t)(minor))

/* ---- which file is it? ---- */

static int ask_kernel(struct spandrel_bpf *skel, int fd, const void *address, struct identify *out)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct identify *ask = &skel->bss->identified;
	int prog = bpf_program__fd(skel->progs.identify), err;

	*ask = (struct identify){ .fd = (uint32_t)fd, .address = (uintptr_t)address };
	err = bpf_prog_test_run_opts(prog >= 0 ? prog : bpf_program__fd(skel->progs.identify_file), &opts);
	if (err)
		return err;
	*out = *ask;
	return out->found & 1 ? 0 : -EINVAL;
}

/* Kernels that cannot be asked for a mapping say in this list which file is really mapped. */
static bool mapped_really(const void *address, struct file_id *real)
{
	_fclose_ FILE *f = fopen("/proc/self/maps", "re");
	unsigned long long from, ino;
	unsigned major, minor;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx-%*x %*s %*x %x:%x %llu", &from, &major, &minor, &ino) == 4 && from == (uintptr_t)address) {
			real->dev = DEVICE(major, minor);
			real->ino = ino;
			return true;
		}
	return false;
}

static int identify_layer(struct spandrel_bpf *skel, int fd, struct tls_opened *o)
{
	void *address = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	struct identify answer = { 0 };
	int err;

	if (address == MAP_FAILED)
		return -errno;
	err = ask_kernel(skel, fd, address, &answer);
	if (!err && (answer.found & 2))
		o->real = answer.real;
	else if (!err && !mapped_really(address, &o->real))
		err = -ENOENT;
	munmap(address, PAGE);
	return err;
}

/* Proven to be a regular file, so that opening it for reading has no effect on anyone. */
static int open_known(struct tls_opened *out, struct spandrel_bpf *skel, int path_fd, const struct file_id *id)
{
	struct tls_opened o = { .id = *id, .real = *id };
	char link[32];
	struct statfs fs;
	int err = 0;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	o.fd = open_wait(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, id->dev);
	if (o.fd < 0)
		return o.fd;
	if (fstatfs(o.fd, &fs))
		err = -errno;
	else if (fs.f_type == OVERLAYFS_SUPER_MAGIC)
		err = identify_layer(skel, o.fd, &o);
	if (err)
		close(o.fd);
	else
		*out = o;
	return err;
}

static bool same_file(const struct file_id *a, const struct file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->generation == b->generation;
}

/* want NULL: whatever is there. place: open_wait(). */
static int open_path(struct tls_opened *out, struct spandrel_bpf *skel, const char *path, const struct file_id *want, uint64_t place)
{
	_close_ int fd = open_wait(path, O_PATH | O_CLOEXEC, place);
	struct identify answer;
	int err;

	if (fd < 0)
		return fd;
	err = ask_kernel(skel, fd, NULL, &answer);
	if (err)
		return err;
	if (want && !same_file(want, &answer.file))
		return -ENOENT;
	return open_known(out, skel, fd, &answer.file);
}

/* ---- where is it? ---- */

int tls_open_map(struct tls_opened *out, struct spandrel_bpf *skel, uint32_t nr, const struct tls_map *map)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/%u/map_files/%llx-%llx", nr, (unsigned long long)map->from, (unsigned long long)map->to);
	return open_path(out, skel, path, NULL, map->dev);
}

struct finding {
	const struct file_id *want;
	struct tls_map *found;
};

/* Calls fn with each mapping of a file until it returns true. */
static int each_map(uint32_t nr, bool (*fn)(void *arg, const struct tls_map *map, const char *rights), void *arg)
{
	_fclose_ FILE *f = NULL;
	_free_ char *line = NULL;
	unsigned long long from, to, ino;
	unsigned major, minor;
	char path[32], rights[8];
	size_t room = 0;

	snprintf(path, sizeof(path), "/proc/%u/maps", nr);
	f = nr ? fopen(path, "re") : NULL;
	if (!f)
		return -ENOENT;
	while (getline(&line, &room, f) > 0)
		if (sscanf(line, "%llx-%llx %7s %*x %x:%x %llu", &from, &to, rights, &major, &minor, &ino) == 6 && ino &&
		    fn(arg, &(struct tls_map){ from, to, ino, DEVICE(major, minor) }, rights))
			return 1;
	return 0;
}

static bool is_wanted(void *arg, const struct tls_map *map, const char *rights)
{
	struct finding *f = arg;

	(void)rights;
	if (map->ino != f->want->ino || map->dev != f->want->dev)
		return false;
	*f->found = *map;
	return true;
}

static int open_mapped(struct tls_opened *out, struct spandrel_bpf *skel, uint32_t nr, const struct file_id *want)
{
	struct tls_map map;
	char path[96];

	if (each_map(nr, is_wanted, &(struct finding){ want, &map }) != 1)
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%u/map_files/%llx-%llx", nr, (unsigned long long)map.from, (unsigned long long)map.to);
	return open_path(out, skel, path, want, map.dev);
}

int tls_open(struct tls_opened *out, struct spandrel_bpf *skel, uint32_t nr, const struct file_id *want, struct slice path)
{
	char at[EV_MAPPED_PATH + 64];
	int err = -ENOENT;

	if (nr && path.n) {
		snprintf(at, sizeof(at), "/proc/%u/root%.*s", nr, SLICE_ARG(path));
		err = open_path(out, skel, at, want, LOOKUP | want->dev);
	}
	if (err && path.n) { /* the process may have gone: another one's view of the file will do */
		snprintf(at, sizeof(at), "%.*s", SLICE_ARG(path));
		err = open_path(out, skel, at, want, LOOKUP | want->dev);
	}
	return err ? open_mapped(out, skel, nr, want) : 0;
}

/* ---- all of them ---- */

struct collecting {
	struct tls_map *to;
	size_t n, max;
};

static bool collect(void *arg, const struct tls_map *map, const char *rights)
{
	struct collecting *c = arg;

	if (rights[2] != 'x')
		return false;
	for (size_t i = 0; i < c->n; i++)
		if (c->to[i].ino == map->ino && c->to[i].dev == map->dev)
			return false;
	c->to[c->n++] = *map;
	return c->n == c->max;
}

int tls_maps(uint32_t nr, struct tls_map *out, size_t max)
{
	struct collecting c = { out, 0, max };
	int err = each_map(nr, collect, &c);

	return err < 0 ? err : (int)c.n;
}
