// SPDX-License-Identifier: Apache-2.0
#include "reload.h"

#include <stdio.h>

#include "base/scope.h"
#include "choose.h"
#include "config.h"
#include "host/selector.h"
#include "kube_setup.h"
#include "pipeline.h"
#include "probe/probe.h"
#include "stages.h"
#include "trace/sample.h"

/* What is to come into force; each is the stage's once it has taken it. */
struct plans {
	struct selector *selector;
	struct selection *selection;
	struct sampler *sampler;
};

static void plans_fini(struct plans *p)
{
	selector_free(p->selector);
	selection_free(p->selection);
	sampler_free(p->sampler);
}

static int plan(struct plans *p, const struct reload_stages *s, const struct config *fresh, char *error, size_t size)
{
	struct select select;
	int r = chooser_plan(s->chooser, fresh, &p->selector, error, size);

	config_select(fresh, &select);
	if (!r)
		r = probe_plan_select(s->probe, &select, &p->selection, error, size);
	if (!r)
		r = stages_sampler(fresh, &p->sampler, error, size);
	if (!r && (r = kube_setup_reload(s->kube, s->config, fresh))) /* last: it fails as a whole, but is not to be undone */
		snprintf(error, size, "out of memory");
	return r;
}

int reload_config(const struct reload_stages *s, int argc, char **argv, char *error, size_t size)
{
	_cleanup_(config_fini) struct config fresh;
	_cleanup_(plans_fini) struct plans p = { 0 };
	int r = config_load(&fresh, argc, argv, error, size);

	if (!r)
		r = config_check(&fresh, error, size);
	if (!r)
		r = plan(&p, s, &fresh, error, size);
	if (r)
		return r;
	chooser_select(s->chooser, TAKE_PTR(p.selector));
	probe_select(s->probe, TAKE_PTR(p.selection));
	pipeline_sampling(s->pipeline, &fresh, TAKE_PTR(p.sampler));
	return 0;
}
