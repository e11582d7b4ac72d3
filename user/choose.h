/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selection by container and pod, live: what the API server says of pods (host/pod.h) and the kernel of control groups becomes what the
 * probe is told of directories (probe_place()). Decided before anything of a process is copied; a process that ran already is
 * looked at again whenever something changes for it. Logs at the edge.
 */
#ifndef SPANDREL_CHOOSE_H
#define SPANDREL_CHOOSE_H

#include <stdint.h>

#include "config.h"
#include "event.h"

struct chooser;
struct pods;
struct probe;

/* pods: NULL without Kubernetes. 0 or -errno. Does nothing until chooser_select(). */
int chooser_new(struct chooser **out, struct probe *probe, struct pods *pods);
void chooser_free(struct chooser *c); /* NULL is fine; before the pods */
/*
 * The selectors of a configuration, at the start and at SIGHUP, in two steps: all that can fail does so in the first, 0 or -errno
 * with one line in `error`, which changes nothing; the second takes what that left in *out (nothing, where nothing is to be done).
 */
struct selector;
int chooser_plan(struct chooser *c, const struct config *config, struct selector **out, char *error, size_t size);
void chooser_select(struct chooser *c, struct selector *s);
/* Does anything depend on what the API server says? */
bool chooser_asks(const struct chooser *c);
void chooser_event(struct chooser *c, const struct ev_cgroup *ev);
/* Once a turn of the loop; now: boot time. */
void chooser_turn(struct chooser *c, uint64_t now);

#endif
