// SPDX-License-Identifier: Apache-2.0
/* What a running tracer still asks of the kernel, tried with the rights that it has at the moment. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/scope.h"
#include "probe/inner.h"
#include "probe/uprobe.h"
#include "spandrel.skel.h"

/* Nobody calls it: a probe may stand here for a moment. */
__attribute__((noinline, used)) static void nobody_calls(void)
{
	__asm__ volatile("");
}

/* Where a function of ours is in our own file. */
static bool own_offset(uintptr_t address, uint64_t *offset)
{
	_fclose_ FILE *f = fopen("/proc/self/maps", "re");
	unsigned long from, to, at;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx r-x%*c %lx", &from, &to, &at) == 3 && address >= from && address < to) {
			*offset = address - from + at;
			return true;
		}
	return false;
}

static bool maps_work(const struct probe *p)
{
	const uint32_t key = 0;
	_free_ uint64_t *per_cpu = calloc((size_t)libbpf_num_possible_cpus(), sizeof(*per_cpu));

	return per_cpu && !bpf_map_lookup_elem(bpf_map__fd(p->plan.skel->maps.counters), &key, per_cpu);
}

static bool runs_work(const struct probe *p)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	return !bpf_prog_test_run_opts(bpf_program__fd(p->plan.skel->progs.whoami), &opts);
}

static bool files_work(const struct probe *p)
{
	_close_ int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	struct uprobe_site site = { .program = UPROBE_SET_FD };
	struct uprobes *u = NULL;

	if (fd < 0 || !uprobe_offered(p->plan.skel, UPROBE_SET_FD) || !own_offset((uintptr_t)nobody_calls, &site.offset))
		return false;
	if (uprobe_attach(&u, p->plan.skel, fd, &site, 1))
		return false;
	uprobe_detach(u);
	return true;
}

unsigned probe_works(const struct probe *p)
{
	unsigned bits = 0;

	bits |= maps_work(p) ? PROBE_MAPS : 0;
	bits |= !plan_walk(p->plan.skel->progs.each_task, NULL, NULL) ? PROBE_WALKS : 0;
	bits |= runs_work(p) ? PROBE_RUNS : 0;
	bits |= files_work(p) ? PROBE_FILES : 0;
	return bits;
}
