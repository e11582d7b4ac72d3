// SPDX-License-Identifier: Apache-2.0
/* What the running kernel offers, read from its BTF and its list of symbols. */
#include <bpf/btf.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "probe/inner.h"

static bool has_func(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

/* Addresses are zero to those who may not see them: what they are for is then known not to be known. */
static void read_symbols(struct way *way)
{
	const struct {
		const char *name;
		__u64 *to;
	} wanted[] = {
		{ "tcp_prot", &way->tcp_prot },		    { "tcpv6_prot", &way->tcpv6_prot },
		{ "page_offset_base", &way->page_offset_base }, { "vmemmap_base", &way->vmemmap_base },
		{ "socket_file_ops", &way->socket_file_ops },
	};
	_fclose_ FILE *f = fopen("/proc/kallsyms", "re");
	char line[512], name[256];
	unsigned long long at;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx %*c %255s", &at, name) != 2)
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
			if (!strcmp(name, wanted[i].name))
				*wanted[i].to = at;
	}
}

static bool has_constant(const struct btf *btf, const char *type, const char *name)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;
	const struct btf_enum *e = t ? btf_enum(t) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, e[i].name_off), name))
			return true;
	return false;
}

void features_read(struct features *f)
{
	struct btf *btf = btf__load_vmlinux_btf();

	*f = (struct features){ .btf = btf };
	if (!btf)
		return;
	for (size_t i = 0; i < n_probe_rows; i++)
		f->has[i] = !probe_rows[i].name || btf__find_by_name_kind(btf, probe_rows[i].name, probe_rows[i].kind) > 0;
	f->way.hashed = !has_func(btf, "bpf_sk_storage_tracing_allowed"); /* 5.11, 8e4597c627fb */
	f->way.io_kthreads = !has_func(btf, "create_io_thread");	  /* 5.12, cc440e8738e5 */
	f->uprobe_multi = has_constant(btf, "bpf_attach_type", "BPF_TRACE_UPROBE_MULTI");
	read_symbols(&f->way);
	hierarchy_read(btf, &f->v1);
}

void features_fini(struct features *f)
{
	btf__free(f->btf);
	f->btf = NULL;
}

static bool hashed(const struct features *f, uint8_t way)
{
	return f->way.hashed || way == WAY_KPROBE;
}

bool probe_wanted(const struct features *f, size_t row, uint8_t way)
{
	const struct probe_row *r = &probe_rows[row];

	return (r->ways & way) && f->has[row] && (r->need != NEED_HASHED || hashed(f, way));
}

bool probe_required(const struct features *f, size_t row, uint8_t way)
{
	const struct probe_row *r = &probe_rows[row];

	if (!(r->ways & way))
		return false;
	return r->need == NEED_ALWAYS || ((r->need == NEED_HASHED || r->need == NEED_END) && hashed(f, way));
}

const struct probe_row *features_missing(const struct features *f, uint8_t way)
{
	for (size_t i = 0; i < n_probe_rows; i++)
		if (probe_required(f, i, way) && !f->has[i])
			return &probe_rows[i];
	return NULL;
}
