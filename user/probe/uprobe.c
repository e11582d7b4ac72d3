// SPDX-License-Identifier: Apache-2.0
#include "probe/uprobe.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/scope.h"
#include "probe/inner.h"
#include "spandrel.skel.h"

#define PMU "/sys/bus/event_source/devices/uprobe/"
#define PATH_MAX_FD 64

struct uprobes {
	size_t n;
	int fds[]; /* links, or perf events: closing one takes its probes away */
};

static const char *const names[UPROBE_PROGRAMS] = {
#define X(id, prog, lost) [UPROBE_##id] = #prog,
	UPROBE_PROGRAMS_TABLE(X)
#undef X
};

static const struct bpf_program *program_of(const struct spandrel_bpf *skel, unsigned program)
{
	const struct bpf_program *p;

	if (program >= UPROBE_PROGRAMS)
		return NULL;
	p = bpf_object__find_program_by_name(skel->obj, names[program]);
	return p && bpf_program__fd(p) >= 0 ? p : NULL;
}

bool uprobe_offered(const struct spandrel_bpf *skel, enum uprobe_program program)
{
	return program_of(skel, program);
}

/* ---- one link for many sites: BPF_LINK_CREATE as 6.6 has it, which older headers and libbpf do not know ---- */

#define MULTI_RETURN 1

struct multi_attr {
	uint32_t prog, target, type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t n, multi_flags, pid;
	uint32_t reserved;
};

static int multi_link(int prog, const char *path, const uint64_t *offsets, uint32_t n, bool ret)
{
	struct multi_attr attr = {
		.prog = (uint32_t)prog,
		.type = UPROBE_MULTI,
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)offsets,
		.n = n,
		.multi_flags = ret ? MULTI_RETURN : 0,
	};
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : (int)fd;
}

/* ---- a perf event for each ---- */

static int pmu_number(const char *name, const char *format, unsigned *out)
{
	_fclose_ FILE *f = fopen(name, "re");

	return f && fscanf(f, format, out) == 1 ? 0 : -ENOENT;
}

static int perf_open(const char *path, uint64_t offset, bool ret)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .config1 = (uintptr_t)path, .config2 = offset };
	unsigned bit = 0;
	int err = pmu_number(PMU "type", "%u", &attr.type), fd;

	if (!err)
		err = pmu_number(PMU "format/retprobe", "config:%u", &bit);
	if (err)
		return err;
	attr.config = ret ? 1ULL << bit : 0;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int perf_probe(int prog, const char *path, uint64_t offset, bool ret)
{
	_close_ int fd = perf_open(path, offset, ret);

	if (fd < 0)
		return fd;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog) || ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
		return -errno;
	return TAKE_FD(fd);
}

/* ---- all of a file ---- */

static int add(struct uprobes *u, int fd)
{
	if (fd < 0)
		return fd;
	u->fds[u->n++] = fd;
	return 0;
}

/* The sites of one program and kind. */
static int attach_group(struct uprobes *u, const struct bpf_program *prog, const char *path, const uint64_t *offsets, size_t n, bool ret)
{
	int err = 0;

	if (bpf_program__expected_attach_type(prog) == (enum bpf_attach_type)UPROBE_MULTI)
		return add(u, multi_link(bpf_program__fd(prog), path, offsets, (uint32_t)n, ret));
	for (size_t i = 0; !err && i < n; i++)
		err = add(u, perf_probe(bpf_program__fd(prog), path, offsets[i], ret));
	return err;
}

static int attach_all(struct uprobes *u, const struct spandrel_bpf *skel, const char *path, const struct uprobe_site *sites, size_t n,
		      uint64_t *offsets)
{
	int err = 0;

	for (unsigned group = 0; !err && group < 2 * UPROBE_PROGRAMS; group++) {
		const struct bpf_program *prog = program_of(skel, group / 2);
		size_t found = 0;

		for (size_t i = 0; i < n; i++)
			if (sites[i].program == group / 2 && sites[i].ret == group % 2)
				offsets[found++] = sites[i].offset;
		if (found)
			err = prog ? attach_group(u, prog, path, offsets, found, group % 2) : -EOPNOTSUPP;
	}
	return err;
}

int uprobe_attach(struct uprobes **out, const struct spandrel_bpf *skel, int fd, const struct uprobe_site *sites, size_t n)
{
	struct uprobes *u = calloc(1, sizeof(*u) + n * sizeof(u->fds[0]));
	_free_ uint64_t *offsets = calloc(n, sizeof(*offsets));
	char path[PATH_MAX_FD];
	int err = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* leads to the file itself, whatever its name means by now */
	for (size_t i = 0; i < n; i++)
		if (sites[i].program >= UPROBE_PROGRAMS)
			err = -EINVAL;
	if (!u || (n && !offsets))
		err = -ENOMEM;
	if (!err)
		err = attach_all(u, skel, path, sites, n, offsets);
	if (err)
		uprobe_detach(u);
	else
		*out = u;
	return err;
}

void uprobe_detach(struct uprobes *u)
{
	if (!u)
		return;
	while (u->n)
		close(u->fds[--u->n]);
	free(u);
}
