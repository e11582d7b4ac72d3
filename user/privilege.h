/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capabilities: what the tracer needs of them, and giving up the rest once everything is open. What the kernel demands for
 * looking at maps, for walks and for probes in files differs from version to version, so it is tried: the smallest set with which
 * all works that works with the whole set is kept.
 */
#ifndef SPANDREL_PRIVILEGE_H
#define SPANDREL_PRIVILEGE_H

#include <stdio.h>

#include "config.h"

struct probe;

/*
 * All that this process may use counts from here on. A program's file can permit capabilities without the flag that makes
 * them count (setcap …=p): then it starts even where a container was given only some of them.
 */
void privilege_begin(void);

/* Keeps what is still needed, gives up the rest for good, and says in one line what it kept. 0, or -errno after one line. */
int privilege_settle(const struct config *c, const struct probe *p);

/* --check: a line for each capability, whether it is there or not. */
void privilege_check(FILE *out);
/* And, where tracing works, what would be kept. */
void privilege_check_kept(FILE *out, const struct config *c, const struct probe *p);

#endif
