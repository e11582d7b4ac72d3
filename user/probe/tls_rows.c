// SPDX-License-Identifier: Apache-2.0
#include "probe/tls_rows.h"

#include <string.h>

#include "base/scope.h"
#include "probe/uprobe.h"

const struct tls_row tls_rows[] = {
	/* openssl/ssl.h of 1.1.1, 3.x (write_ex2: 3.3); LibreSSL 3.x; BoringSSL; AWS-LC. SSL_peek moves nothing */
	{ "SSL_write", TLS_OPENSSL, UPROBE_WRITE, 3, true },
	{ "SSL_write_ex", TLS_OPENSSL, UPROBE_WRITE_EX, 4, true },
	{ "SSL_write_ex2", TLS_OPENSSL, UPROBE_WRITE_EX2, 5, true },
	{ "SSL_write_early_data", TLS_OPENSSL, UPROBE_WRITE_EX, 4, true },
	{ "SSL_read", TLS_OPENSSL, UPROBE_READ, 3, true },
	{ "SSL_read_ex", TLS_OPENSSL, UPROBE_READ_EX, 4, true },
	{ "SSL_read_early_data", TLS_OPENSSL, UPROBE_READ_EX, 4, true },
	{ "SSL_sendfile", TLS_OPENSSL, UPROBE_SENDFILE, 1, true },
	{ "SSL_new", TLS_OPENSSL, UPROBE_NEW, 0, false },
	{ "SSL_do_handshake", TLS_OPENSSL, UPROBE_CALL, 1, false },
	{ "SSL_connect", TLS_OPENSSL, UPROBE_CALL, 1, false },
	{ "SSL_accept", TLS_OPENSSL, UPROBE_CALL, 1, false },
	{ "SSL_shutdown", TLS_OPENSSL, UPROBE_INSIDE, 1, false },
	{ "SSL_set_fd", TLS_OPENSSL, UPROBE_SET_FD, 2, false },
	{ "SSL_set_rfd", TLS_OPENSSL, UPROBE_SET_FD, 2, false },
	{ "SSL_set_wfd", TLS_OPENSSL, UPROBE_SET_FD, 2, false },
	{ "SSL_free", TLS_OPENSSL, UPROBE_FREE, 1, false },
	{ "SSL_clear", TLS_OPENSSL, UPROBE_FREE, 1, false },
	{ "SSL_get0_alpn_selected", TLS_OPENSSL, UPROBE_ALPN, 3, false },
	/* openssl/bio.h, in libcrypto: programs with an event loop let it encipher into memory, whence they send by themselves */
	{ "BIO_write", TLS_OPENSSL, UPROBE_CIPHER, 3, false },
	{ "BIO_write_ex", TLS_OPENSSL, UPROBE_CIPHER, 3, false },
	/* gnutls/gnutls.h; a corked session's plaintext counts when it is handed over, not when it leaves */
	{ "gnutls_record_send", TLS_GNUTLS, UPROBE_WRITE, 3, true },
	{ "gnutls_record_send2", TLS_GNUTLS, UPROBE_WRITE, 3, true },
	{ "gnutls_record_send_range", TLS_GNUTLS, UPROBE_WRITE, 3, true },
	{ "gnutls_record_send_early_data", TLS_GNUTLS, UPROBE_WRITE_ALL, 3, true },
	{ "gnutls_record_recv", TLS_GNUTLS, UPROBE_READ, 3, true },
	{ "gnutls_record_recv_early_data", TLS_GNUTLS, UPROBE_READ, 3, true },
	{ "gnutls_record_uncork", TLS_GNUTLS, UPROBE_INSIDE, 1, false },
	{ "gnutls_handshake", TLS_GNUTLS, UPROBE_CALL, 1, false },
	{ "gnutls_bye", TLS_GNUTLS, UPROBE_INSIDE, 1, false },
	{ "gnutls_transport_set_int2", TLS_GNUTLS, UPROBE_SET_FD, 2, false },
	{ "gnutls_deinit", TLS_GNUTLS, UPROBE_FREE, 1, false },
	{ "gnutls_alpn_get_selected_protocol", TLS_GNUTLS, UPROBE_ALPN_DATUM, 2, false },
	/* ssl.h of NSS, prio.h of NSPR: descriptors of all kinds pass these calls, SSL_ImportFD says which are TLS */
	{ "SSL_ImportFD", TLS_NSS, UPROBE_NEW, 0, true },
	{ "PR_Write", TLS_NSS, UPROBE_WRITE_KNOWN, 3, true },
	{ "PR_Send", TLS_NSS, UPROBE_WRITE_KNOWN, 3, true },
	{ "PR_Read", TLS_NSS, UPROBE_READ_KNOWN, 3, true },
	{ "PR_Recv", TLS_NSS, UPROBE_RECV_KNOWN, 4, true },
	{ "PR_Close", TLS_NSS, UPROBE_CLOSE, 1, false },
	{ "SSL_ForceHandshake", TLS_NSS, UPROBE_CALL, 1, false },
	{ "SSL_ForceHandshakeWithTimeout", TLS_NSS, UPROBE_CALL, 1, false },
	/* mbedtls/ssl.h of 2.x, 3.x */
	{ "mbedtls_ssl_write", TLS_MBEDTLS, UPROBE_WRITE, 3, true },
	{ "mbedtls_ssl_write_early_data", TLS_MBEDTLS, UPROBE_WRITE, 3, true },
	{ "mbedtls_ssl_read", TLS_MBEDTLS, UPROBE_READ, 3, true },
	{ "mbedtls_ssl_read_early_data", TLS_MBEDTLS, UPROBE_READ, 3, true },
	{ "mbedtls_ssl_handshake", TLS_MBEDTLS, UPROBE_CALL, 1, false },
	{ "mbedtls_ssl_close_notify", TLS_MBEDTLS, UPROBE_INSIDE, 1, false },
	{ "mbedtls_ssl_session_reset", TLS_MBEDTLS, UPROBE_FREE, 1, false },
	{ "mbedtls_ssl_free", TLS_MBEDTLS, UPROBE_FREE, 1, false },
	/* wolfssl/ssl.h; the early-data calls give their count back as well; wolfSSL_send and _recv call these */
	{ "wolfSSL_write", TLS_WOLFSSL, UPROBE_WRITE, 3, true },
	{ "wolfSSL_write_early_data", TLS_WOLFSSL, UPROBE_WRITE, 3, true },
	{ "wolfSSL_read", TLS_WOLFSSL, UPROBE_READ, 3, true },
	{ "wolfSSL_read_early_data", TLS_WOLFSSL, UPROBE_READ, 3, true },
	{ "wolfSSL_new", TLS_WOLFSSL, UPROBE_NEW, 0, false },
	{ "wolfSSL_connect", TLS_WOLFSSL, UPROBE_CALL, 1, false },
	{ "wolfSSL_accept", TLS_WOLFSSL, UPROBE_CALL, 1, false },
	{ "wolfSSL_shutdown", TLS_WOLFSSL, UPROBE_INSIDE, 1, false },
	{ "wolfSSL_set_fd", TLS_WOLFSSL, UPROBE_SET_FD, 2, false },
	{ "wolfSSL_set_read_fd", TLS_WOLFSSL, UPROBE_SET_FD, 2, false },
	{ "wolfSSL_set_write_fd", TLS_WOLFSSL, UPROBE_SET_FD, 2, false },
	{ "wolfSSL_free", TLS_WOLFSSL, UPROBE_FREE, 1, false },
	/* s2n.h; what s2n_sendv takes is a vector: its bytes are a hole */
	{ "s2n_send", TLS_S2N, UPROBE_WRITE, 3, true },
	{ "s2n_sendv", TLS_S2N, UPROBE_SENDFILE, 1, true },
	{ "s2n_sendv_with_offset", TLS_S2N, UPROBE_SENDFILE, 1, true },
	{ "s2n_recv", TLS_S2N, UPROBE_READ, 3, true },
	{ "s2n_connection_new", TLS_S2N, UPROBE_NEW, 0, false },
	{ "s2n_negotiate", TLS_S2N, UPROBE_CALL, 1, false },
	{ "s2n_shutdown", TLS_S2N, UPROBE_INSIDE, 1, false },
	{ "s2n_connection_set_fd", TLS_S2N, UPROBE_SET_FD, 2, false },
	{ "s2n_connection_set_read_fd", TLS_S2N, UPROBE_SET_FD, 2, false },
	{ "s2n_connection_set_write_fd", TLS_S2N, UPROBE_SET_FD, 2, false },
	{ "s2n_connection_wipe", TLS_S2N, UPROBE_FREE, 1, false },
	{ "s2n_connection_free", TLS_S2N, UPROBE_FREE, 1, false },
	/* rustls.h of rustls-ffi: plaintext goes through read and write, sockets are used in read_tls and write_tls */
	{ "rustls_connection_write", TLS_RUSTLS, UPROBE_WRITE_EX, 4, true },
	{ "rustls_connection_read", TLS_RUSTLS, UPROBE_READ_EX, 4, true },
	{ "rustls_connection_read_2", TLS_RUSTLS, UPROBE_READ_EX, 4, true },
	{ "rustls_connection_write_tls", TLS_RUSTLS, UPROBE_INSIDE, 1, false },
	{ "rustls_connection_write_tls_vectored", TLS_RUSTLS, UPROBE_INSIDE, 1, false },
	{ "rustls_connection_read_tls", TLS_RUSTLS, UPROBE_INSIDE, 1, false },
	{ "rustls_connection_get_alpn_protocol", TLS_RUSTLS, UPROBE_ALPN, 3, false },
	{ "rustls_connection_free", TLS_RUSTLS, UPROBE_FREE, 1, false },
};

const size_t n_tls_rows = ARRAY_SIZE(tls_rows);
_Static_assert(ARRAY_SIZE(tls_rows) <= TLS_ROWS_MAX, "TLS_ROWS_MAX");

bool tls_library_file(struct slice path)
{
	static const char *const names[] = { "libssl", "libgnutls.", "libnspr4.", "libmbedtls", "libwolfssl", "libs2n", "librustls" };
	const char *slash = path.n ? memrchr(path.p, '/', path.n) : NULL;
	struct slice name = slash ? slice_from(path, (size_t)(slash - path.p) + 1) : path;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (slice_starts(name, slice_str(names[i])))
			return true;
	return false;
}

const char *tls_library_name(enum tls_library library)
{
	static const char *const names[] = {
		[TLS_OPENSSL] = "openssl", [TLS_GNUTLS] = "gnutls", [TLS_NSS] = "nss",	 [TLS_MBEDTLS] = "mbedtls",
		[TLS_WOLFSSL] = "wolfssl", [TLS_S2N] = "s2n",	    [TLS_RUSTLS] = "rustls", [TLS_GO] = "go",
	};

	return names[library];
}
