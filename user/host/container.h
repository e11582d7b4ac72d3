/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which container a process runs in, from the text of /proc/PID/cgroup: docker, containerd, cri-o,
 * podman, cgroup drivers systemd and cgroupfs, hierarchies v1 and v2, nested runtimes.
 */
#ifndef SPANDREL_HOST_CONTAINER_H
#define SPANDREL_HOST_CONTAINER_H

#include "base/slice.h"

/* The id (64 lower-case hexadecimal digits, a part of `text`) or an empty slice: not in a
 * container. */
struct slice container_id(struct slice text);

#endif
