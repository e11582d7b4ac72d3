// SPDX-License-Identifier: Apache-2.0
/* --check: what this kernel offers, what that costs where it is missing, and whether tracing would work here. */
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

#include "base/scope.h"
#include "probe/inner.h"
#include "probe/tls_check.h"
#include "spandrel.skel.h"

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

#define PROCESSES_MAX 1024 /* whose libraries are shown */

struct processes {
	uint32_t nr[PROCESSES_MAX];
	size_t n;
};

static void note_processes(void *arg, const void *ids, size_t n)
{
	struct processes *p = arg;
	const uint32_t *id = ids;

	for (size_t i = 0; i + 1 < n / sizeof(*id) && p->n < PROCESSES_MAX; i += 2)
		p->nr[p->n++] = id[i + 1];
}

static void show_tls(FILE *out, struct plan *plan, bool selected)
{
	_free_ struct processes *p = calloc(1, sizeof(*p));

	if (!selected || !p) {
		tls_check_directories(out);
		return;
	}
	plan->skel->bss->find = 2;
	plan_walk(plan->skel->progs.each_task, note_processes, p);
	plan->skel->bss->find = 0;
	tls_check_processes(out, p->nr, p->n);
}

/* Without a selection: one that nothing meets. */
static int read_selection(struct knobs *k, const struct select *s)
{
	char error[256];

	if (s)
		return select_knobs(k, s, error, sizeof(error));
	k->need = k->check = SEL_PID;
	return 0;
}

int probe_check(FILE *out, const char *backend, const struct select *select, void (*opened)(void *arg, const struct probe *p), void *arg)
{
	_free_ struct knobs *knobs = calloc(1, sizeof(*knobs));
	struct probe probe = { 0 };
	struct plan *plan = &probe.plan;
	struct features f;
	int err = backend_check(backend);

	if (!knobs)
		return -ENOMEM;
	if (!err)
		err = read_selection(knobs, select);
	features_read(&f);
	show_features(out, &f);
	show_hierarchies(out, &f);
	show_ways(out, &f);
	if (!err)
		err = plan_open(plan, &f, backend, 1 << 16, knobs);
	if (plan->lost[0])
		fprintf(out, "lost: %s\n", plan->lost);
	if (!err)
		show_tls(out, plan, select);
	fprintf(out, "way in: %s\n", err ? "none" : plan->way->name);
	if (!err && opened)
		opened(arg, &probe);
	plan_fini(plan);
	features_fini(&f);
	return err;
}
