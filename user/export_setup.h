/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as the exporters want it, for tracing and for --check alike. */
#ifndef SPANDREL_EXPORT_SETUP_H
#define SPANDREL_EXPORT_SETUP_H

#include "config.h"
#include "export/export.h"

struct export_setup {
	struct export_config c; /* borrows from the other members and from the configuration */
	char **urls;		/* complete; n_urls of them */
	size_t n_urls;
	struct slice *headers; /* lines, owned */
	size_t n_headers;
	char *zipkin;
};

/* 0, -ENOMEM, or -EINVAL (said). To be given to export_setup_fini either way. */
int export_setup_init(struct export_setup *s, const struct config *c);
void export_setup_fini(struct export_setup *s);

#endif
