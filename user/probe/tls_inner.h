/* SPDX-License-Identifier: Apache-2.0 */
/* What tls.c (what comes, and when it is done) and tls_found.c (what becomes of a file) share; nobody else includes it. */
#ifndef SPANDREL_PROBE_TLS_INNER_H
#define SPANDREL_PROBE_TLS_INNER_H

#include "base/list.h"
#include "base/table.h"
#include "probe/tls.h"
#include "probe/tls_files.h"
#include "probe/tls_look.h"
#include "probe/tls_open.h"

#define MAPS_MAX  4096 /* files of one process */
#define KNOWN_MAX 8192 /* files without TLS that are remembered */
#define LATER_MAX 64   /* files whose search is long, each with an open descriptor */

struct walk { /* over what one process maps */
	uint32_t pid, nr;
	int n, at;
	bool untracked;
	bool blind; /* its sessions use no socket */
	struct tls_map maps[MAPS_MAX];
};

struct tls {
	struct spandrel_bpf *skel;
	struct tls_files files;
	struct table plain; /* identities of files without TLS: the key alone says it */
	struct table seen;  /* the same by what maps say, while processes are walked */
	struct list jobs, later;
	uint32_t n_jobs, n_later;
	struct tls_look *look;
	struct walk walk;
	uint64_t next_idle, last_event, last_search;
	uint32_t named; /* files whose TLS cannot be read, in the log */
	uint64_t missed; /* counters of what was not told, when processes were checked last */
};

/* ---- tls_found.c ---- */

struct who { /* a process that maps a file */
	uint32_t pid;	/* 0: nobody yet */
	bool untracked; /* its end will not be told */
	uint64_t since; /* when it mapped it, ns; 0: before it was looked for */
};

/* Keys whose presence alone means something. What does not fit makes room by forgetting all. */
void tls_remember(struct table *t, uint64_t key);
/* Whoever maps the file next is told of again; arg is the struct tls. */
void tls_forget(void *arg, const struct file_id *id);
/* True: what there is to know of it is known, and the process is counted. */
bool tls_known(struct tls *t, struct who who, const struct file_id *id);
/* Takes the descriptor. What is not known by then is t->look. */
void tls_begin_look(struct tls *t, struct tls_opened *o, struct who who);
/* One step of a look that has its turn, or (later) of one that can wait. True: it is not the caller's any more. */
bool tls_look_on(struct tls *t, struct tls_look *l, bool later);

#endif
