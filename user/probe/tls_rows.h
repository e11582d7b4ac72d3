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
#include "probe/uprobe.h"

enum tls_library { TLS_OPENSSL, TLS_GNUTLS, TLS_NSS, TLS_MBEDTLS, TLS_WOLFSSL, TLS_S2N, TLS_RUSTLS, TLS_GO, TLS_LIBRARIES };

struct tls_row {
	const char *symbol;
	uint8_t library; /* enum tls_library */
	uint8_t program; /* enum uprobe_program: the shape of the call */
	uint8_t args;	 /* registers that must still hold the caller's values where the probe stands; 0: only its return is probed */
	bool moves;	 /* plaintext, or tells whose calls do: without one of these a file is of no interest */
};

/* Hooked only once a process that maps the file has sessions that use no socket. */
static inline bool tls_row_aside(const struct tls_row *r)
{
	return r->program == UPROBE_CIPHER;
}

static inline bool tls_row_counts(const struct tls_row *r)
{
	return r->moves || tls_row_aside(r);
}

#define TLS_ROWS_MAX 128
extern const struct tls_row tls_rows[];
extern const size_t n_tls_rows; /* ≤ TLS_ROWS_MAX */

/* Is the file called like a library of TLS? A guess, by the beginning of its name: it decides what comes first, no more. */
bool tls_library_file(struct slice path);
const char *tls_library_name(enum tls_library library); /* "openssl", …: a counter's label */

#endif
