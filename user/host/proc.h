/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading one process's directory in /proc. The directory is held open, so everything read through
 * it belongs to one process even when its id is used again meanwhile: after its end reads fail.
 * Every read is bounded and takes regular files only.
 */
#ifndef SPANDREL_HOST_PROC_H
#define SPANDREL_HOST_PROC_H

#include <stdint.h>

#include "base/buf.h"

struct proc {
	int dir;
};

int proc_open(struct proc *p, const char *root,
	      uint32_t pid); /* 0 or -errno; p->dir is -1 on failure */
void proc_close(struct proc *p);

/* Appends the file's first bytes, up to b->max. 0 or -errno; *cut (may be NULL) tells whether more
 * may follow. */
int proc_read(const struct proc *p, const char *name, struct buf *b, bool *cut);
/* Likewise for any regular file below a directory (AT_FDCWD for a plain path). */
int read_file(int dir, const char *path, struct buf *b, bool *cut);
/* Appends where a link points, without the " (deleted)" of a file that is gone. */
int proc_link(const struct proc *p, const char *name, struct buf *b);
/* A descriptor of the executable for reading, or -errno. */
int proc_exe(const struct proc *p);

struct proc_stat {
	uint32_t ppid;
	uint64_t start; /* clock ticks (1/100 s) after boot */
};

int proc_stat(const struct proc *p, struct proc_stat *out);
/* The real user id. */
int proc_uid(const struct proc *p, uint32_t *out);

#endif
