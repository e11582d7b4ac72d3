/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGHUP: the selectors and the sampling of the configuration as it reads now. All that can fail is done before anything changes:
 * the new one comes into force as a whole, or the old one stays so.
 */
#ifndef SPANDREL_RELOAD_H
#define SPANDREL_RELOAD_H

#include <stddef.h>

struct chooser;
struct config;
struct kube_setup;
struct pipeline;
struct probe;

struct reload_stages {
	const struct config *config; /* of the start: all but selectors and sampling is as it says */
	struct kube_setup *kube;
	struct chooser *chooser;
	struct probe *probe;
	struct pipeline *pipeline;
};

/* 0, or -errno with one line in `error`, and nothing has changed. */
int reload_config(const struct reload_stages *s, int argc, char **argv, char *error, size_t size);

#endif
