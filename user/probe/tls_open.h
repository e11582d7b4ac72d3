/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the very file that a process maps, whatever root, mount namespace or overlay it sees it through, deleted or not. What a
 * path or a link leads to is believed only when the kernel says that it is the file meant. A file system that does not answer is not
 * waited for (base/open_wait.h).
 */
#ifndef SPANDREL_PROBE_TLS_OPEN_H
#define SPANDREL_PROBE_TLS_OPEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "event.h"

struct spandrel_bpf;

struct tls_opened {
	int fd; /* for reading */
	struct file_id id;   /* as the kernel's hooks know it */
	struct file_id real; /* the file on disk: below an overlay, that of the layer */
};

struct tls_map { /* of a process: a file mapped to be run */
	uint64_t from, to, ino;
	uint32_t dev;
};

/* nr: process id in our namespace, 0: none. -ENOENT: it cannot be reached (any more); -errno. */
int tls_open(struct tls_opened *out, struct spandrel_bpf *skel, uint32_t nr, const struct file_id *want, struct slice path);
/* What is mapped there now. */
int tls_open_map(struct tls_opened *out, struct spandrel_bpf *skel, uint32_t nr, const struct tls_map *map);

/* Files that the process maps to be run, each once: how many (at most `max`), or -errno. */
int tls_maps(uint32_t nr, struct tls_map *out, size_t max);

#endif
