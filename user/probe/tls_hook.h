/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from a look at a file: probes, or a word about TLS that cannot be read. */
#ifndef SPANDREL_PROBE_TLS_HOOK_H
#define SPANDREL_PROBE_TLS_HOOK_H

#include "probe/tls_files.h"
#include "probe/tls_look.h"

struct spandrel_bpf;

/* Puts probes into the file that the look has found TLS in. Where the kernel refuses, that is counted, and the file is dead. */
void tls_hook(struct tls_file *file, const struct spandrel_bpf *skel, const struct tls_look *l);
/* Puts the probes there too that wait for this. fd: open on the file. */
void tls_hook_aside(struct tls_file *file, const struct spandrel_bpf *skel, int fd);
/* Takes all of them away. */
void tls_unhook(struct tls_file *file);
/* Counts, and says once a file, that there is TLS without symbols in it. *said: how many have been named, a few at most. */
void tls_hook_unreadable(const struct tls_look *l, uint32_t *said);

#endif
