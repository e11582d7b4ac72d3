// SPDX-License-Identifier: Apache-2.0
/* The kernel's counters and the memory of its maps. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "base/scope.h"
#include "base/stats.h"
#include "probe/inner.h"
#include "spandrel.skel.h"

static const struct {
	enum kcount from;
	int to; /* STAT_… */
} folds[] = {
	{ KC_MISSED_DATA, STAT_missed_data },
	{ KC_MISSED_OPEN, STAT_missed_open },
	{ KC_MISSED_END, STAT_missed_end },
	{ KC_MISSED_PROC, STAT_missed_proc },
	{ KC_NO_STORAGE, STAT_conns_nostate },
	{ KC_PATH_TOO_LONG, STAT_path_too_long },
	{ KC_PROCS_FULL, STAT_procs_full },
	{ KC_RACES, STAT_seq_races },
	{ KC_LAYERED, STAT_conns_layered },
	{ KC_MISSED_SESSION, STAT_missed_session },
	{ KC_NO_SESSION, STAT_sessions_nostate },
	{ KC_TLS_UNFINISHED, STAT_tls_unfinished },
	{ KC_MISSED_MAPPED, STAT_missed_mapped },
	{ KC_MISSED_RETURN, STAT_missed_return },
	{ KC_HOLE_BYTES + HOLE_SKIPPED, STAT_hole_verdict },
	{ KC_HOLE_BYTES + HOLE_BUDGET, STAT_hole_budget },
	{ KC_HOLE_BYTES + HOLE_NO_BUFFER, STAT_hole_no_buffer },
	{ KC_HOLE_BYTES + HOLE_IO_URING, STAT_hole_io_uring },
	{ KC_HOLE_BYTES + HOLE_FOREIGN, STAT_hole_foreign },
	{ KC_HOLE_BYTES + HOLE_FAULT, STAT_hole_fault },
	{ KC_HOLE_BYTES + HOLE_TRUNC, STAT_hole_trunc },
	{ KC_HOLE_BYTES + HOLE_UNSEEN, STAT_hole_unseen },
};

/* No program runs inside itself: where a hook preempts one of its own kind on the same processor, the kernel counts and goes on. */
static uint64_t nested_runs(const struct bpf_object *obj)
{
	struct bpf_program *prog;
	uint64_t sum = 0;

	bpf_object__for_each_program(prog, obj) {
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);
		int fd = bpf_program__fd(prog);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size))
			sum += info.recursion_misses;
	}
	return sum;
}

uint64_t kernel_count(const struct probe *p, enum kcount what)
{
	_free_ uint64_t *per_cpu = calloc((size_t)p->n_cpus, sizeof(*per_cpu));
	uint32_t key = what;
	uint64_t sum = 0;

	if (!per_cpu || bpf_map_lookup_elem(bpf_map__fd(p->plan.skel->maps.counters), &key, per_cpu))
		return p->folded[key];
	for (int cpu = 0; cpu < p->n_cpus; cpu++)
		sum += per_cpu[cpu];
	return sum;
}

static void fold_nested(struct probe *p)
{
	uint64_t nested = nested_runs(p->plan.skel->obj);

	stats[STAT_missed_nested] += nested - p->nested;
	p->nested = nested;
}

void probe_stats(struct probe *p, bool all)
{
	if (all)
		fold_nested(p);
	for (size_t i = 0; i < ARRAY_SIZE(folds); i++) {
		uint64_t sum = kernel_count(p, folds[i].from);

		stats[folds[i].to] += sum - p->folded[folds[i].from];
		p->folded[folds[i].from] = sum;
	}
}

/* The kernel says what a map takes as `memlock` in the descriptor's fdinfo. */
static size_t map_memory(int fd)
{
	char path[64], line[128];
	_fclose_ FILE *f = NULL;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock:\t%zu", &n) == 1)
			break;
	return n;
}

size_t probe_memory(const struct probe *p)
{
	struct bpf_map *map;
	size_t sum = 0;

	bpf_object__for_each_map(map, p->plan.skel->obj)
		if (bpf_map__fd(map) >= 0)
			sum += map_memory(bpf_map__fd(map));
	return sum;
}
