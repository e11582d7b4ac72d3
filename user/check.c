// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <stdio.h>

#include "export/http_options.h"
#include "export_setup.h"
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

int check_run(const struct config *config)
{
	int r = probe_check(stdout, config->operate.backend);

	check_exporters(config);
	return r ? 1 : 0;
}
