// SPDX-License-Identifier: Apache-2.0
/* --check: what this kernel offers, what that costs where it is missing, and whether tracing would work here. */
#include <errno.h>

#include "probe/inner.h"
#include "spandrel.skel.h"

/* Attaches with a selection that nothing meets. */
static int try_attach(struct spandrel_bpf *skel)
{
	skel->bss->knobs.need = skel->bss->knobs.check = SEL_PID;
	return plan_attach(skel);
}

int probe_check(FILE *out, const char *backend)
{
	struct spandrel_bpf *skel = NULL;
	struct features f;
	int err = backend_check(backend);

	features_read(&f);
	for (int i = 0; i < FEAT_MAX; i++)
		fprintf(out, "%-40s %-8s for %s\n", feature_infos[i].what,
			f.has[i] ? "yes" : feature_infos[i].required ? "MISSING" : "no", feature_infos[i].needed_for);
	if (!err && features_missing(&f) != FEAT_MAX)
		err = -EOPNOTSUPP;
	if (!err)
		err = plan_load(&skel, &f, 1 << 16);
	if (!err)
		err = try_attach(skel);
	spandrel_bpf__destroy(skel);
	fprintf(out, "way in: %s\n", err ? "none" : "socktp");
	return err;
}
