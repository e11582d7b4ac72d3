/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes inside files: which program stands where. A program serves one shape of call for every library; it takes its arguments
 * from the registers as the C ABI of 64-bit programs has them (files of 32-bit programs must not be given), and needs nothing that
 * differs from site to site.
 *
 * A call begins at a program that reads arguments and ends at UPROBE_DONE or UPROBE_RETURN, which serve every shape. Functions that
 * call each other may all be given: what moves is told once. Where a call's end is not seen, nothing is handed over for it.
 */
#ifndef SPANDREL_PROBE_UPROBE_H
#define SPANDREL_PROBE_UPROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spandrel_bpf;
struct uprobes;

/* Row: name of the constant, name of the program in bpf/, what is lost without it. Arguments are counted from 0; the session is 0. */
#define UPROBE_PROGRAMS_TABLE(X)                                                                                            \
	/* calls that move plaintext: they need a DONE, or a RETURN where that is passed on each return that moves something */ \
	X(WRITE, tls_write, "what TLS libraries send")		  /* (session, buffer, length …) → bytes taken, ≤ 0: none */ \
	X(WRITE_ALL, tls_write_all, "early data of TLS libraries") /* the same → 0: all were taken. Needs a DONE */	     \
	X(WRITE_EX, tls_write_ex, "what TLS libraries send")	  /* (session, buffer, length, size_t *count) → 1 or 7000 */ \
	X(WRITE_EX2, tls_write_ex2, "what TLS libraries send")	  /* (session, buffer, length, flags, size_t *count) */	     \
	X(READ, tls_read, "what TLS libraries receive")		  /* (session, buffer, length …) → bytes given */	     \
	X(READ_EX, tls_read_ex, "what TLS libraries receive")	  /* (session, buffer, length, size_t *count) → 1 or 7000 */ \
	X(WRITE_KNOWN, tls_write_known, "what NSS sends")	  /* as WRITE, if a NEW has given the session */	     \
	X(READ_KNOWN, tls_read_known, "what NSS receives")	  /* likewise READ */					     \
	X(RECV_KNOWN, tls_recv_known, "what NSS receives")	  /* and with flags as argument 3: PR_MSG_PEEK moves nothing */ \
	X(SENDFILE, tls_sendfile, "how much TLS libraries send of files") /* (session …) → bytes: a hole of that size */     \
	/* calls that move no plaintext */										     \
	X(INSIDE, tls_inside, "the sockets of TLS sessions")  /* (session …): sockets used inside are its own. DONE */   \
	X(CALL, tls_call, "the sockets of TLS sessions")	  /* the same, at the beginning of a session: a handshake. DONE */ \
	X(NEW, tls_new, "telling new TLS sessions from old ones") /* at the return, of the function that gives back a session */ \
	X(SET_FD, tls_set_fd, "the sockets of TLS sessions")	  /* (session, descriptor …). Needs no DONE */		     \
	X(FREE, tls_free, "the ends of TLS sessions")		  /* (session): it ends, or begins anew. Needs no DONE */    \
	X(CLOSE, tls_close, "the ends of NSS's sessions")	  /* (session): it ends, used or not. Needs no DONE */	     \
	X(ALPN, tls_alpn, "protocols agreed on inside TLS")	  /* (session, const uint8_t **name, unsigned *length). DONE */ \
	X(ALPN_DATUM, tls_alpn_datum, "protocols agreed on inside TLS") /* (session, { uint8_t *name; unsigned length } *). DONE */ \
	X(CIPHER, tls_cipher, "the sockets of TLS sessions that encipher in memory") /* (–, bytes, length) inside one of the calls above. Needs no DONE */ \
	/* the end of any of them */											     \
	X(DONE, tls_done, "TLS calls")		/* a uretprobe, or plain probes that together see every return */	     \
	X(RETURN, tls_return, "TLS calls")	/* a plain probe inside the function with the result in its register: positive ones for sure */	\
	/* crypto/tls.(*Conn) of Go programs, with Go's registers; probe/go_sites.c says where they stand */			     \
	X(GO_HANDSHAKE, go_handshake, "telling new TLS sessions of Go programs from old ones") /* (session) */		     \
	X(GO_READ, go_read, "what Go programs receive by TLS")	  /* (session): in the frame of the copy */		     \
	X(GO_BYTES, go_bytes, "what moves in TLS of Go programs") /* (to, from, length) of memmove; (session, 23, buffer, length) */

enum uprobe_program {
#define X(id, prog, lost) UPROBE_##id,
	UPROBE_PROGRAMS_TABLE(X)
#undef X
	UPROBE_PROGRAMS
};

struct uprobe_site {
	uint64_t offset;  /* in the file */
	uint16_t program; /* enum uprobe_program */
	bool ret;	  /* a uretprobe: offset is the function's first byte */
};

/* Does this kernel run the program? */
bool uprobe_offered(const struct spandrel_bpf *skel, enum uprobe_program program);
/*
 * Puts probes on all sites of the file that `fd` is open on (O_PATH is enough), in every process, running and to come: all or none.
 * By one link a program where the kernel has them (since 6.6), else by one perf event a site. They go with uprobe_detach(), or when
 * this process ends, however it ends. 0 or -errno; -EOPNOTSUPP: a program is not offered.
 */
int uprobe_attach(struct uprobes **out, const struct spandrel_bpf *skel, int fd, const struct uprobe_site *sites, size_t n);
void uprobe_detach(struct uprobes *u); /* NULL is fine */

#endif
