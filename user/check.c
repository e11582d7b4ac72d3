// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <stdio.h>

#include "export/http_options.h"
#include "export_setup.h"
#include "kube_setup.h"
#include "privilege.h"
#include "probe/probe.h"

/* Reported, not judged. */
static void check_exporters(const struct config *config)
{
	struct export_setup s;

	if (!export_setup_init(&s, config)) {
		http_check("--otlp-endpoint", &s.c.otlp, s.c.version, stdout);
		http_check("--zipkin-endpoint", &s.c.zipkin, s.c.version, stdout);
	}
	export_setup_fini(&s);
}

static void check_kept(void *arg, const struct probe *p)
{
	privilege_check_kept(stdout, arg, p);
}

int check_run(const struct config *config)
{
	struct select select;
	int r;

	privilege_check(stdout);
	if (config_selects(config))
		config_select(config, &select);
	r = probe_check(stdout, config->operate.backend, config_selects(config) ? &select : NULL, check_kept, (void *)config);

	kube_setup_check(config, stdout);
	check_exporters(config);
	return r ? 1 : 0;
}
