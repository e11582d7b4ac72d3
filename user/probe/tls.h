/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files hold TLS, and hooking them when it matters. The kernel tells of each file that a selected process maps, once a
 * file (struct ev_mapped, which stays inside probe/); processes that run already are looked at through /proc/PID/maps. A file
 * is opened (through the process's own root, or its mapping), proven to be the very file by asking the kernel what the
 * descriptor leads to, its symbols are compared with the rows (tls_rows.h), and probes are attached: once a file on disk,
 * however many processes, containers or mount points show it. When the last process that maps it has gone, they are taken
 * away after TLS_GRACE_NS.
 *
 * Work is done in pieces: tls_turn() works for a bounded time, and a large symbol table takes several turns. Nothing is read
 * but headers, tables and, where symbols were stripped, constant data (for the traces that TLS libraries leave there). Files
 * are hostile: everything is read with pread into bounded buffers.
 *
 * Bounded: TLS_FILES_MAX files attached, TLS_PROCESSES_MAX processes that map them, TLS_QUEUE_MAX files waiting. What is
 * beyond is counted. Logs at the edge: one line a file that holds TLS and cannot be read.
 */
#ifndef SPANDREL_PROBE_TLS_H
#define SPANDREL_PROBE_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"

#define TLS_QUEUE_MAX 4096
#define TLS_GRACE_NS  10000000000ULL

struct spandrel_bpf;
struct tls;

/* Keeps skel, which must be loaded, until tls_free(). 0 or -errno. */
int tls_new(struct tls **out, struct spandrel_bpf *skel);
void tls_free(struct tls *t); /* NULL is fine */
/* Takes every probe away; none is attached any more. */
void tls_detach(struct tls *t);

/*
 * A process maps a file, has a new program, a child, or ends. Cheap: what there is to do is queued, but for what seems to be a TLS
 * library or a program: that is looked at now, for a bounded time, since the process is about to use it.
 */
void tls_event(struct tls *t, const struct ev_mapped *ev);
/* Everything that this process (nr: as our namespace numbers it) maps now is to be looked at. Queued, too. */
void tls_process(struct tls *t, uint32_t pid, uint32_t nr);
/* Another selection: what processes map counts from here on only for those that tls_process() names. */
void tls_reselect(struct tls *t, uint64_t now);
/* Works for about `budget` ns. True: there is more to do at once. To be called a few times a second at least. */
bool tls_turn(struct tls *t, uint64_t now, uint64_t budget);
/* Works until everything that can be hooked is. */
void tls_settle(struct tls *t);

#endif
