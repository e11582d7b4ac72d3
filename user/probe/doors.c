// SPDX-License-Identifier: Apache-2.0
/* Where the tracer listens, told to the kernel's programs. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "base/ip.h"
#include "base/scope.h"
#include "probe/inner.h"
#include "spandrel.skel.h"

static bool has(const struct own_end *v, size_t n, const struct own_end *one)
{
	for (size_t i = 0; i < n; i++)
		if (!memcmp(&v[i], one, sizeof(*one)))
			return true;
	return false;
}

void probe_doors(struct probe *p, const struct own_end *doors, size_t n)
{
	int fd = bpf_map__fd(p->plan.skel->maps.own_doors);
	struct own_end fresh[OWN_DOORS_MAX];
	const uint8_t one = 1;

	n = MIN(n, (size_t)OWN_DOORS_MAX);
	for (size_t i = 0; i < n; i++) {
		fresh[i] = doors[i];
		fresh[i].netns = ip_is_loopback(fresh[i].addr) ? p->plan.skel->bss->knobs.netns : 0;
	}
	for (size_t i = 0; i < p->n_doors; i++)
		if (!has(fresh, n, &p->doors[i]))
			bpf_map_delete_elem(fd, &p->doors[i]);
	for (size_t i = 0; i < n; i++)
		if (!has(p->doors, p->n_doors, &fresh[i]))
			bpf_map_update_elem(fd, &fresh[i], &one, BPF_ANY);
	memcpy(p->doors, fresh, n * sizeof(fresh[0]));
	p->n_doors = n;
}
