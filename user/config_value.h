/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the configuration: one value as text into struct config, by the type of its option. */
#ifndef SPANDREL_CONFIG_VALUE_H
#define SPANDREL_CONFIG_VALUE_H

#include "config.h"

#define OPTIONS_MAX 128

/* Where values come from, and where an error is said. */
struct source {
	struct config *c;
	char *error;
	size_t size;
	bool cleared[OPTIONS_MAX]; /* by option: its list holds this source's values, not those of a weaker one */
};

/* The error's one line; -EINVAL. */
int source_refuse(struct source *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* 0, -EINVAL (said), or -ENOMEM. The old value stays then. */
int value_set(struct source *s, const struct option *o, const char *text);
void strlist_clear(struct strlist *l);

#endif
