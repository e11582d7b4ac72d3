// SPDX-License-Identifier: Apache-2.0
/* --check: what this kernel offers, what that costs where it is missing, and whether tracing would work here. */
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

#include "base/scope.h"
#include "probe/inner.h"

static const char *const kinds[] = {
	[0] = "", [BTF_KIND_TYPEDEF] = "tracepoint ", [BTF_KIND_FUNC] = "function ",
};

static void show_row(FILE *out, const struct probe_row *r, bool has)
{
	bool must = r->need != NEED_OPTIONAL && r->need != NEED_IF_THERE;
	const char *name = r->name, *kind = kinds[r->kind];
	char what[128];

	if (!strncmp(name, "btf_trace_", 10))
		name += 10;
	else if (!strncmp(name, "bpf_iter_", 9))
		name += 9, kind = "iterator ";
	snprintf(what, sizeof(what), "%s%s", kind, name);
	fprintf(out, "%-40s %-8s for %s\n", what, has ? "yes" : must ? "MISSING" : "no", r->lost);
}

/* A name that several rows need is shown once, and not at all where its absence means nothing. */
static void show_features(FILE *out, const struct features *f)
{
	fprintf(out, "%-40s %-8s for %s\n", "kernel BTF (/sys/kernel/btf/vmlinux)", f->btf ? "yes" : "MISSING", "everything");
	for (size_t i = 0; i < n_probe_rows; i++) {
		const struct probe_row *r = &probe_rows[i];
		bool again = !r->name || (r->need == NEED_IF_THERE && !f->has[i]);

		for (size_t j = 0; j < i && !again; j++)
			again = probe_rows[j].name && !strcmp(probe_rows[j].name, r->name);
		if (!again)
			show_row(out, r, f->has[i]);
	}
}

/* By what --container and --kube-… find a process's container. */
static void show_hierarchies(FILE *out, const struct features *f)
{
	fprintf(out, "containers are found by: cgroup v2%s%s\n", f->v1.number ? ", and v1 of the controller " : "", f->v1.name);
}

static void show_ways(FILE *out, const struct features *f)
{
	char reason[REASON_MAX];

	for (size_t i = 0; i < n_way_rows; i++) {
		int err = way_try(&way_rows[i], f, reason);

		fprintf(out, "way %-36s %-8s %s\n", way_rows[i].name, err ? "no" : "yes", err ? reason : way_rows[i].what);
	}
}

int probe_check(FILE *out, const char *backend, void (*opened)(void *arg, const struct probe *p), void *arg)
{
	_free_ struct knobs *nobody = calloc(1, sizeof(*nobody));
	struct probe probe = { 0 };
	struct plan *plan = &probe.plan;
	struct features f;
	int err = backend_check(backend);

	if (!nobody)
		return -ENOMEM;
	nobody->need = nobody->check = SEL_PID; /* and no pid: a selection that nothing meets */
	features_read(&f);
	show_features(out, &f);
	show_hierarchies(out, &f);
	show_ways(out, &f);
	if (!err)
		err = plan_open(plan, &f, backend, 1 << 16, nobody);
	if (plan->lost[0])
		fprintf(out, "lost: %s\n", plan->lost);
	fprintf(out, "way in: %s\n", err ? "none" : plan->way->name);
	if (!err && opened)
		opened(arg, &probe);
	plan_fini(plan);
	features_fini(&f);
	return err;
}
