// SPDX-License-Identifier: Apache-2.0
#include "host/sdk_context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/pb_read.h"
#include "base/scope.h"

#define MAPS_BYTES (2 * 1024 * 1024) /* some 20,000 mappings */
#define VERSION_READ 2
#define TRIES 3
#define CONTEXTS_MAX 4 /* mappings of that name that are looked at */

struct mapping {
	uint64_t start, end;
	unsigned major, minor;
	uint64_t inode;
	bool readable;
	struct slice name;
};

struct context_header {
	char signature[8];
	uint32_t version;
	uint32_t payload_size;
	uint64_t published_at; /* 0: being written */
	uint64_t payload;
};

_Static_assert(sizeof(struct context_header) == 32, "as it stands in memory");

/* start-end rwxp offset major:minor inode   name */
static bool parse_mapping(struct slice line, struct mapping *m)
{
	char text[128], mode[5];
	unsigned long long start, end, inode;
	int name = 0;

	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(slice_to(line, sizeof(text) - 1)));
	if (sscanf(text, "%llx-%llx %4s %*x %x:%x %llu %n", &start, &end, mode, &m->major, &m->minor, &inode, &name) < 6)
		return false;
	m->start = start;
	m->end = end;
	m->inode = inode;
	m->readable = mode[0] == 'r';
	m->name = name ? slice_from(line, (size_t)name) : SLICE_NONE;
	return true;
}

/* Memory that memfd_create() and shared anonymous mappings are made of: the kernel's own mount. */
static dev_t memory_device(void)
{
	_close_ int fd = memfd_create("spandrel", MFD_CLOEXEC);
	struct stat st;

	return fd < 0 || fstat(fd, &st) ? 0 : st.st_dev;
}

static bool is_memory(const struct mapping *m, dev_t shm)
{
	return m->readable && (!m->inode || (shm && m->major == major(shm) && m->minor == minor(shm)));
}

static bool is_context(const struct mapping *m)
{
	return slice_starts(m->name, SLICE("[anon_shmem:OTEL_CTX]")) || slice_starts(m->name, SLICE("[anon:OTEL_CTX]")) ||
	       slice_starts(m->name, SLICE("/memfd:OTEL_CTX"));
}

/* The next mapping that says that it is one. */
static bool next_context(struct slice *maps, dev_t shm, struct mapping *m)
{
	struct slice line;

	while (slice_split(maps, '\n', &line))
		if (parse_mapping(line, m) && is_context(m) && is_memory(m, shm))
			return true;
	return false;
}

/* Is every byte of the range in memory? Neighbours count as one. */
static bool all_memory(struct slice maps, dev_t shm, uint64_t at, uint64_t n)
{
	uint64_t end;
	struct mapping m;
	struct slice line;

	if (__builtin_add_overflow(at, n, &end))
		return false;
	while (at < end && slice_split(&maps, '\n', &line)) {
		if (!parse_mapping(line, &m) || m.end <= at)
			continue;
		if (m.start > at || !is_memory(&m, shm))
			return false;
		at = m.end;
	}
	return at >= end;
}

static int read_at(int fd, uint64_t at, void *to, size_t n)
{
	ssize_t got = at > INT64_MAX ? -1 : pread(fd, to, n, (off_t)at);

	return got == (ssize_t)n ? 0 : -EFAULT;
}

static int check_header(const struct context_header *h)
{
	if (memcmp(h->signature, "OTEL_CTX", sizeof(h->signature)) || h->version != VERSION_READ)
		return -EBADMSG;
	if (!h->published_at)
		return -EAGAIN;
	return h->payload_size && h->payload_size <= SDK_CONTEXT_MAX ? 0 : -EMSGSIZE;
}

/* The header is read again behind the payload: what was written meanwhile is not used. */
static int read_once(int mem, const struct mapping *m, struct slice maps, dev_t shm, struct buf *payload)
{
	struct context_header h, again;
	char *to;
	int r = m->end - m->start < sizeof(h) ? -EBADMSG : read_at(mem, m->start, &h, sizeof(h));

	if (!r)
		r = check_header(&h);
	if (r)
		return r;
	if (!all_memory(maps, shm, h.payload, h.payload_size))
		return -EFAULT;
	to = buf_room(payload, h.payload_size);
	if (!to)
		return -ENOMEM;
	r = read_at(mem, h.payload, to, h.payload_size);
	if (!r)
		r = read_at(mem, m->start, &again, sizeof(again));
	if (r || memcmp(&h, &again, sizeof(h)))
		return -EAGAIN;
	buf_added(payload, h.payload_size);
	return 0;
}

static int read_steady(int mem, const struct mapping *m, struct slice maps, dev_t shm, struct buf *payload)
{
	int r = -EAGAIN;

	for (int i = 0; i < TRIES && r == -EAGAIN; i++)
		r = read_once(mem, m, maps, shm, payload);
	return r;
}

int sdk_context_read(const struct proc *p, struct buf *payload)
{
	_cleanup_(buf_fini) struct buf maps;
	_close_ int mem = -1;
	dev_t shm = memory_device();
	struct slice rest;
	struct mapping m;
	int r;

	buf_init(&maps, MAPS_BYTES);
	r = proc_read(p, "maps", &maps, NULL);
	if (r)
		return r;
	rest = buf_slice(&maps);
	r = -ENOENT;
	for (int i = 0; r && i < CONTEXTS_MAX && next_context(&rest, shm, &m); i++) {
		if (mem < 0)
			mem = openat(p->dir, "mem", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		r = mem < 0 ? -errno : read_steady(mem, &m, buf_slice(&maps), shm, payload);
	}
	return r;
}

/* ---- the payload: ProcessContext of opentelemetry-proto ---- */

enum { CONTEXT_RESOURCE = 1 };
enum { RESOURCE_ATTRIBUTE = 1 };
enum { PAIR_KEY = 1, PAIR_VALUE = 2 };
enum { ANY_STRING = 1, ANY_INT = 3 };

static bool is_message(const struct pb_field *f, uint32_t number)
{
	return f->number == number && f->type == PB_BYTES;
}

/* False for a value of another type. */
static bool parse_value(struct slice value, struct attr *a)
{
	bool known = false;
	struct pb_field f;

	while (pb_next(&value, &f)) {
		known = is_message(&f, ANY_STRING) || (f.number == ANY_INT && f.type == PB_VARINT);
		a->type = f.type == PB_BYTES ? ATTR_STRING : ATTR_INT;
		if (a->type == ATTR_STRING)
			a->s = f.bytes;
		else
			a->i = (int64_t)f.value;
	}
	return known && !value.n;
}

static bool parse_pair(struct slice pair, struct attr *a)
{
	struct slice value = SLICE_NONE;
	struct pb_field f;

	*a = (struct attr){ 0 };
	while (pb_next(&pair, &f)) {
		if (is_message(&f, PAIR_KEY))
			a->key = f.bytes;
		else if (is_message(&f, PAIR_VALUE))
			value = f.bytes;
	}
	return !pair.n && a->key.n && parse_value(value, a);
}

void sdk_context_each(struct slice payload, void (*fn)(void *arg, const struct attr *a), void *arg)
{
	struct pb_field resource, f;
	struct attr a;
	unsigned n = 0;

	while (pb_next(&payload, &resource)) {
		if (!is_message(&resource, CONTEXT_RESOURCE))
			continue;
		while (n < SDK_CONTEXT_ATTRS && pb_next(&resource.bytes, &f))
			if (is_message(&f, RESOURCE_ATTRIBUTE) && parse_pair(f.bytes, &a)) {
				fn(arg, &a);
				n++;
			}
	}
}
