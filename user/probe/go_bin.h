/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that Go's compiler made: their functions, found in the table that every one of them carries for its own stack traces
 * (.gopclntab: Go's src/internal/abi/symtab.go and src/debug/gosym/pclntab.go; the layouts of 1.16, 1.18 and 1.20 to date), so also
 * where symbols were stripped; and the places in crypto/tls for probes.
 *
 * The file is hostile and may change: it is read with pread in pieces of GO_PIECE, never mapped, nothing it says is believed before
 * it is compared with limits. The search is done in steps, each of at most two pieces. Memory: a struct go_scan, about 200 KiB.
 */
#ifndef SPANDREL_PROBE_GO_BIN_H
#define SPANDREL_PROBE_GO_BIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/place.h"
#include "probe/uprobe.h"

#define GO_PIECE	 65536
#define GO_TABLE_MAX	 (512u << 20) /* bytes of .gopclntab that are looked at */
#define GO_FUNCTIONS_MAX (4u << 20)
#define GO_VERSION_MAX	 31
#define GO_SITES_MAX	 16

enum go_name { /* functions that are looked for */
	GO_READ,
	GO_WRITE,
	GO_WRITE_RECORD,
	GO_CLIENT_HANDSHAKE,
	GO_SERVER_HANDSHAKE,
	GO_MEMMOVE,
	GO_NAMES,
};

struct go_function {
	uint64_t start, end; /* from the beginning of the program's text */
};

struct go_scan;

/* Reads the headers. 0; -ENOEXEC: not Go's (or not of a machine that place.h knows); -ENOMEM; errors of pread. fd is borrowed. */
int go_scan_new(struct go_scan **out, int fd);
void go_scan_free(struct go_scan **s);
/* One step. 1: go on; 0: all is found that there is; -EBADMSG: the table lies; errors of pread. */
int go_scan_step(struct go_scan *s);

/* As the build information has it ("go1.26.1"); empty where there is none. */
const char *go_version(const struct go_scan *s);
/* After the last step: is crypto/tls in it? */
bool go_has_tls(const struct go_scan *s);
/* Where functions begin and end; start 0 and end 0: not found. */
struct go_function go_function(const struct go_scan *s, enum go_name name);

/*
 * Probes for crypto/tls.(*Conn), GO_SITES_MAX at most. All stand on instructions that the kernel emulates and that are proven to be
 * what go_sites.c says. How many; -ENOTSUP: there is TLS in it that is compiled in a way that is not known. Errors of pread.
 */
int go_sites(const struct go_scan *s, struct uprobe_site out[GO_SITES_MAX]);

/* ---- inner ---- */

enum place_arch go_arch(const struct go_scan *s);
/* Begins of the text to try: each the address that go_function.start counts from. */
size_t go_texts(const struct go_scan *s, uint64_t *out, size_t max);
/* At most `max` bytes of code: how many, or -errno. *offset, if not NULL, is where they are in the file. */
long go_code(const struct go_scan *s, uint64_t address, void *to, size_t max, uint64_t *offset);

#endif
