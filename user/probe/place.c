// SPDX-License-Identifier: Apache-2.0
/* Selection by control group: which hierarchies the kernel side looks at, and what user space has decided of their directories. */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "probe/inner.h"
#include "spandrel.skel.h"

static int64_t enum_value(const struct btf *btf, const char *type, const char *name)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
	const struct btf_enum *values = t ? btf_enum(t) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, values[i].name_off), name))
			return values[i].val;
	return -ENOENT;
}

/* The number of the v1 hierarchy that a controller is in; 0: in none. */
static uint32_t v1_number(const char *controller)
{
	_fclose_ FILE *f = fopen("/proc/cgroups", "re");
	char line[256], name[64];
	unsigned number, enabled;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %u %*u %u", name, &number, &enabled) == 3 && enabled && !strcmp(name, controller))
			return number;
	return 0;
}

/* Runtimes make a container's directory in the hierarchy of every controller: one is enough to look at. */
void hierarchy_read(const struct btf *btf, struct hierarchy *h)
{
	static const char *const controllers[] = { "pids", "cpu", "memory", "devices", "freezer" };

	*h = (struct hierarchy){ .name = "" };
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		uint32_t number = v1_number(controllers[i]);
		char name[64];
		int64_t subsys;

		snprintf(name, sizeof(name), "%s_cgrp_id", controllers[i]);
		subsys = number ? enum_value(btf, "cgroup_subsys_id", name) : -1;
		if (subsys < 0)
			continue;
		*h = (struct hierarchy){ controllers[i], (uint32_t)subsys + 1, number };
		return;
	}
}

const char *probe_hierarchy(const struct probe *p)
{
	return p->hierarchy;
}

int probe_place(struct probe *p, uint64_t key, uint32_t bits)
{
	int fd = bpf_map__fd(p->plan.skel->maps.cgroups);
	int err = bits ? bpf_map_update_elem(fd, &key, &bits, BPF_ANY) : bpf_map_delete_elem(fd, &key);

	return err == -ENOENT && !bits ? 0 : err;
}

/*
 * Twice, and all that is looked at but process ids: what a process that changed at this very moment was found to be is put right by the
 * second walk.
 */
int probe_review(struct probe *p)
{
	int err;

	p->plan.skel->bss->keep = SEL_PID;
	err = plan_walk(p->plan.skel->progs.each_task, NULL, NULL);
	return err ? err : plan_walk(p->plan.skel->progs.each_task, NULL, NULL);
}
