/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of TLS libraries that are hooked, one row each. A library is nothing but rows: what a call looks like is its
 * shape, and a shape is served by one small program for every library (probe/uprobe.h). The rows follow the libraries' public
 * headers; the same symbol means the same in all libraries that have it (OpenSSL, LibreSSL, BoringSSL, AWS-LC share libssl's).
 */
#ifndef SPANDREL_PROBE_TLS_ROWS_H
#define SPANDREL_PROBE_TLS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* Arguments from 0 on; the session is argument 0. What a call gives back is looked at when it has returned. */
enum tls_shape {
	TLS_WRITE,	/* (session, buffer, length …) → bytes taken, ≤ 0: none */
	TLS_WRITE_ALL,	/* the same → 0: all of them were taken */
	TLS_WRITE_EX,	/* (session, buffer, length, size_t *count) → 1, or RUSTLS_RESULT_OK: *count bytes were taken */
	TLS_WRITE_EX2,	/* (session, buffer, length, flags, size_t *count) → 1: likewise */
	TLS_READ,	/* (session, buffer, length …) → bytes given, ≤ 0: none */
	TLS_READ_EX,	/* (session, buffer, length, size_t *count) → 1, or RUSTLS_RESULT_OK: *count bytes were given */
	TLS_SENDFILE,	/* (session, …) → bytes sent that are in no buffer we could read: a hole */
	TLS_CALL,	/* (session …): no plaintext moves; operations on sockets inside belong to the session */
	TLS_SET_FD,	/* (session, descriptor …): the session's socket, if it is one */
	TLS_FREE,	/* (session): it ends here */
	TLS_ALPN,	/* (session, const unsigned char **name, unsigned *length): what was agreed, or length 0 */
	TLS_ALPN_DATUM, /* (session, struct { unsigned char *name; unsigned length } *) → 0 */
	TLS_BIO_WRITE,	/* (BIO, ciphertext, length) → bytes, inside a call of a session */
	TLS_SHAPES,
};

enum tls_library { TLS_OPENSSL, TLS_GNUTLS, TLS_NSS, TLS_MBEDTLS, TLS_WOLFSSL, TLS_S2N, TLS_RUSTLS, TLS_GO, TLS_LIBRARIES };

#define TLS_PROOF  1 /* the symbol alone proves that the library is in this file */
#define TLS_MEMORY 2 /* of use only to programs that encipher into memory */

struct tls_row {
	const char *symbol;
	uint8_t library; /* enum tls_library */
	uint8_t shape;	 /* enum tls_shape */
	uint8_t args;	 /* registers that must still hold the caller's values where the probe stands */
	uint8_t flags;	 /* TLS_… */
};

#define TLS_ROWS_MAX 128
extern const struct tls_row tls_rows[];
extern const size_t n_tls_rows; /* ≤ TLS_ROWS_MAX */

const char *tls_library_name(enum tls_library library); /* "openssl", …: a counter's label */

/*
 * Index of the row whose symbol the string ends with, −1: none. `*tail` is the length of that symbol: linkers let a name share
 * the end of a longer one. Several symbols can end one string: *from is the row to go on behind, 0 at first.
 */
int tls_row_suffix(struct slice string, size_t *from, size_t *tail);

#endif
