// SPDX-License-Identifier: Apache-2.0
/* The selection of the command line, as the tables that the kernel side reads. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/scope.h"
#include "base/slice.h"
#include "probe/inner.h"

#define CGROUP2_MAGIC 0x63677270

struct selecting {
	struct knobs *k;
	char *error;
	size_t size;
};

static int refuse(const struct selecting *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(const struct selecting *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->error, c->size, format, args);
	va_end(args);
	return -EINVAL;
}

static const char *prefix(bool exclude)
{
	return exclude ? "exclude-" : "";
}

/* ---- one value each ---- */

static int add_glob(const struct selecting *c, const char *name, struct sel_glob *globs, uint32_t *n, const char *text, bool exclude)
{
	struct slice s = slice_str(text);
	struct sel_glob *g;

	if (!s.n || s.n > SEL_GLOB_MAX)
		return refuse(c, "--%s%s: expected a pattern of 1 to %d characters", prefix(exclude), name, SEL_GLOB_MAX);
	if (*n == SEL_MAX)
		return refuse(c, "--%s%s: at most %d patterns, exclusions included", prefix(exclude), name, SEL_MAX);
	g = &globs[(*n)++];
	*g = (struct sel_glob){ .len = (uint8_t)s.n, .exclude = exclude, .last = slice_find(s, '/') < 0 };
	memcpy(g->pat, s.p, s.n);
	return 0;
}

static int add_exe(const struct selecting *c, const char *text, bool exclude)
{
	return add_glob(c, "exe", c->k->exe, &c->k->n_exe, text, exclude);
}

static int add_comm(const struct selecting *c, const char *text, bool exclude)
{
	return add_glob(c, "comm", c->k->comm, &c->k->n_comm, text, exclude);
}

static int add_pid(const struct selecting *c, const char *text, bool exclude)
{
	uint64_t pid;

	if (!slice_u64(slice_str(text), &pid) || !pid || pid > INT32_MAX)
		return refuse(c, "--%spid %s: expected a process id", prefix(exclude), text);
	if (c->k->n_pid == SEL_MAX)
		return refuse(c, "--%spid: at most %d processes, exclusions included", prefix(exclude), SEL_MAX);
	c->k->pid[c->k->n_pid++] = (struct sel_id){ .id = pid, .exclude = exclude };
	return 0;
}

static bool port_parse(struct slice s, uint64_t *port)
{
	return slice_u64(s, port) && *port >= 1 && *port <= 65535;
}

static int add_port(const struct selecting *c, const char *text, bool exclude)
{
	struct slice rest = slice_str(text), first = SLICE_NONE;
	uint64_t from, to;
	uint8_t *bits = exclude ? c->k->port_not : c->k->port_bits;

	slice_split(&rest, '-', &first);
	if (!port_parse(first, &from) || (rest.p ? !port_parse(rest, &to) : (to = from, false)) || to < from)
		return refuse(c, "--%sport %s: expected N or N-M, 1 to 65535", prefix(exclude), text);
	for (uint64_t port = from; port <= to; port++)
		bits[port >> 3] |= (uint8_t)(1U << (port & 7));
	*(exclude ? &c->k->port_exclude : &c->k->port_need) = 1;
	return 0;
}

/* ---- control groups ---- */

/* Where the v2 hierarchy is mounted; "" when it is not. */
static void cgroup_mount(char *to, size_t size)
{
	_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], where[1024];

	*to = '\0';
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %*s %1023s", where) == 1) {
			snprintf(to, size, "%s", where);
			return;
		}
}

/* The id of a directory of the v2 hierarchy is its inode's number. */
static bool cgroup_id(const char *path, uint64_t *id)
{
	_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;
	struct stat st;

	if (fd < 0 || fstatfs(fd, &fs) || fs.f_type != CGROUP2_MAGIC || fstat(fd, &st))
		return false;
	*id = st.st_ino;
	return true;
}

static int add_cgroup(const struct selecting *c, const char *text, bool exclude)
{
	char mount[1024], path[5120];
	uint64_t id;

	cgroup_mount(mount, sizeof(mount));
	snprintf(path, sizeof(path), "%s/%s", mount, text);
	if (!(text[0] == '/' && cgroup_id(text, &id)) && !(mount[0] && text[0] && cgroup_id(path, &id)))
		return refuse(c, "--%scgroup %s: expected a directory of the cgroup v2 hierarchy (%s)", prefix(exclude), text,
			      mount[0] ? mount : "not mounted");
	if (c->k->n_cgroup == SEL_MAX)
		return refuse(c, "--%scgroup: at most %d directories, exclusions included", prefix(exclude), SEL_MAX);
	c->k->cgroup[c->k->n_cgroup++] = (struct sel_id){ .id = id, .exclude = exclude };
	return 0;
}

/* ---- all of them ---- */

struct kind {
	enum sel_kind bit;
	const char *const *yes, *const *no;
	int (*add)(const struct selecting *c, const char *text, bool exclude);
};

static int add_list(const struct selecting *c, const struct kind *kind, bool exclude)
{
	const char *const *list = exclude ? kind->no : kind->yes;
	int err = 0;

	for (; !err && list && *list; list++)
		err = kind->add(c, *list, exclude);
	return err;
}

static bool listed(const char *const *list)
{
	return list && *list;
}

static int add_kinds(const struct selecting *c, const struct select *s)
{
	const struct kind kinds[] = {
		{ SEL_PID, s->pid, s->not_pid, add_pid },
		{ SEL_EXE, s->exe, s->not_exe, add_exe },
		{ SEL_COMM, s->comm, s->not_comm, add_comm },
		{ SEL_CGROUP, s->cgroup, s->not_cgroup, add_cgroup },
		{ SEL_PORT, s->port, s->not_port, add_port },
	};
	bool any = s->kube;
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *kind = &kinds[i];

		if ((err = add_list(c, kind, false)) || (err = add_list(c, kind, true)))
			return err;
		any |= listed(kind->yes);
		if (kind->bit == SEL_PORT)
			continue;
		if (listed(kind->yes))
			c->k->need |= kind->bit;
		if (listed(kind->yes) || listed(kind->no))
			c->k->check |= kind->bit;
	}
	if (s->kube || s->wait)
		c->k->need |= SEL_KUBE;
	if (s->kube || s->not_kube || s->wait)
		c->k->check |= SEL_KUBE;
	if (!any && !s->all)
		return refuse(c, "nothing is selected: give --pid, --exe, --comm, --port, --cgroup, --container, --kube-namespace, --kube-pod, --kube-label or --all");
	if (any && s->all)
		return refuse(c, "--all: expected no other selector beside it (--exclude-… may stand)");
	return 0;
}

int select_knobs(struct knobs *k, const struct select *s, char *error, size_t size)
{
	struct selecting c = { .k = k, .error = error, .size = size };

	k->need = k->check = k->port_need = k->port_exclude = 0;
	k->n_exe = k->n_comm = k->n_cgroup = k->n_pid = 0;
	memset(k->port_bits, 0, sizeof(k->port_bits));
	memset(k->port_not, 0, sizeof(k->port_not));
	return add_kinds(&c, s);
}

int select_check(const struct select *s, char *error, size_t size)
{
	_free_ struct knobs *k = calloc(1, sizeof(*k));

	if (k)
		return select_knobs(k, s, error, size);
	snprintf(error, size, "out of memory");
	return -ENOMEM;
}
