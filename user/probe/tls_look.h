/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file, looked at in steps: is there TLS in it that can be hooked? First the functions of a program that Go made, which needs no
 * symbols (go_bin.h). Then the names that a file exports, then all its symbols, then,
 * where it has no symbol of ours and takes none from another file, its constant data: what TLS cannot do without (labels of the
 * key schedule, RFC 8446 section 7.1, RFC 7627 section 4) proves that there is TLS in it which cannot be hooked.
 */
#ifndef SPANDREL_PROBE_TLS_LOOK_H
#define SPANDREL_PROBE_TLS_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "probe/elf.h"
#include "probe/go_bin.h"
#include "probe/tls_open.h"

enum look_result {
	LOOK_MORE,	 /* take another step */
	LOOK_LATER,	 /* likewise, but it will be long: what is quick may go first */
	LOOK_PLAIN,	 /* nothing here */
	LOOK_TLS,	 /* elf_found() says what */
	LOOK_UNREADABLE, /* TLS without symbols: tls_look_guess() */
};

enum look_phase { LOOK_GO, LOOK_DYNAMIC, LOOK_STATIC, LOOK_WORDS };

struct tls_look {
	struct list link; /* the caller's */
	struct tls_opened file;
	struct elf_scan *scan;
	struct go_scan *go; /* NULL: not compiled by Go */
	struct uprobe_site go_sites[GO_SITES_MAX];
	int n_go; /* > 0: those are its probes; -ENOTSUP: crypto/tls is there, but not as we know it */
	enum look_phase phase;
	uint32_t words;
	uint32_t pid;	   /* the caller's: of the process that maps it */
	uint64_t since;	   /* the caller's: when it was mapped, ns; 0: before it was looked for */
	bool pinned;	   /* the caller's: that process cannot be counted */
	bool static_later; /* a large table of symbols is still to be read */
};

/* Takes the descriptor, also where it fails. 0; -ENOEXEC: no file of this machine's; -errno. */
int tls_look_new(struct tls_look **out, struct tls_opened *file);
void tls_look_free(struct tls_look **l);
enum look_result tls_look_step(struct tls_look *l);
/* Which library that cannot be read it seems to be: "openssl", …, "unknown". */
const char *tls_look_guess(const struct tls_look *l);

#endif
