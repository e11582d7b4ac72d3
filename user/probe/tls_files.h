/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that hold TLS and the processes that map them: which file is meant, and when has the last process gone? Knows no kernel
 * and no /proc. A file is one on disk; it has as many identities as there are ways (overlays, mounts) that show it under another.
 * A process counts once a file, however often it maps it.
 *
 * Bounded: TLS_FILES_MAX files, TLS_NAMES_MAX identities, TLS_PROCESSES_MAX processes, TLS_HELD_MAX files a process. A process
 * that cannot be counted pins the file: it is never idle again, which costs a probe nobody needs, not bytes nobody sees.
 */
#ifndef SPANDREL_PROBE_TLS_FILES_H
#define SPANDREL_PROBE_TLS_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/table.h"
#include "event.h"
#include "probe/uprobe.h"

#define TLS_FILES_MAX	  1024
#define TLS_NAMES_MAX	  8192
#define TLS_PROCESSES_MAX 65536
#define TLS_HELD_MAX	  64

#define TLS_ASIDE_MAX 4

struct tls_aside { /* probes that wait for a process that needs them */
	struct uprobe_site site[TLS_ASIDE_MAX];
	size_t n;
	struct uprobes *probes;
};

struct tls_file {
	struct list all;
	struct file_id id;	/* on disk */
	struct uprobes *probes; /* NULL: not (yet) hooked, or it cannot be */
	struct tls_aside aside;
	uint32_t processes;	/* that map it */
	bool pinned;
	bool dead;	     /* nothing is, or will be, hooked in it: kept until it is idle */
	bool busy;	     /* somebody is looking at it: not idle */
	uint64_t idle_since; /* ns; of use while there are no processes */
};

struct tls_files {
	struct table names;	/* of struct tls_name */
	struct table processes; /* of struct tls_process, by process id */
	struct list all;
	uint32_t n;
};

void tls_files_init(struct tls_files *f);
/* Frees everything; probes must have been taken away. */
void tls_files_fini(struct tls_files *f);

/* A number of all that an identity says. */
uint64_t tls_files_key(const struct file_id *id);
/* By any identity; NULL: not known. */
struct tls_file *tls_files_find(const struct tls_files *f, const struct file_id *id);
/* A new file, under this identity. 0; -ENOSPC; -ENOMEM. */
int tls_files_add(struct tls_files *f, const struct file_id *id, uint64_t now, struct tls_file **out);
/* One more identity of it. 0 (also if it has that already); -ENOSPC; -ENOMEM. */
int tls_files_name(struct tls_files *f, const struct file_id *id, struct tls_file *file);
/* One that lay in the same place of the disk before its content changed. */
struct tls_file *tls_files_version(const struct tls_files *f, const struct file_id *id);
/* With all its identities, each of which gone() is called with. No process may map it. */
void tls_files_remove(struct tls_files *f, struct tls_file *file, void (*gone)(void *arg, const struct file_id *id), void *arg);
/* A file that no process has mapped for `grace` ns; NULL: none. */
struct tls_file *tls_files_idle(const struct tls_files *f, uint64_t now, uint64_t grace);

/* A process maps the file. */
void tls_files_hold(struct tls_files *f, uint32_t pid, struct tls_file *file);
/* It has a child, which maps what it maps. */
void tls_files_fork(struct tls_files *f, uint32_t pid, uint32_t child, uint64_t now);
/* It maps nothing any more. */
void tls_files_drop(struct tls_files *f, uint32_t pid, uint64_t now);
void tls_files_drop_all(struct tls_files *f, uint64_t now);
/* Drops processes for which alive() is false. */
void tls_files_check(struct tls_files *f, bool (*alive)(void *arg, uint32_t pid), void *arg, uint64_t now);

#endif
