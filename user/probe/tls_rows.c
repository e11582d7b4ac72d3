// SPDX-License-Identifier: Apache-2.0
#include "probe/tls_rows.h"

#include "base/scope.h"

const struct tls_row tls_rows[] = {
	/* openssl/ssl.h of 1.1.1, 3.x (write_ex2: 3.3); LibreSSL 3.x; BoringSSL; AWS-LC. SSL_peek moves nothing */
	{ "SSL_write", TLS_OPENSSL, TLS_WRITE, 3, TLS_PROOF },
	{ "SSL_write_ex", TLS_OPENSSL, TLS_WRITE_EX, 4, 0 },
	{ "SSL_write_ex2", TLS_OPENSSL, TLS_WRITE_EX2, 5, 0 },
	{ "SSL_write_early_data", TLS_OPENSSL, TLS_WRITE_EX, 4, 0 },
	{ "SSL_read", TLS_OPENSSL, TLS_READ, 3, TLS_PROOF },
	{ "SSL_read_ex", TLS_OPENSSL, TLS_READ_EX, 4, 0 },
	{ "SSL_read_early_data", TLS_OPENSSL, TLS_READ_EX, 4, 0 },
	{ "SSL_sendfile", TLS_OPENSSL, TLS_SENDFILE, 1, 0 },
	{ "SSL_do_handshake", TLS_OPENSSL, TLS_CALL, 1, 0 },
	{ "SSL_connect", TLS_OPENSSL, TLS_CALL, 1, 0 },
	{ "SSL_accept", TLS_OPENSSL, TLS_CALL, 1, 0 },
	{ "SSL_shutdown", TLS_OPENSSL, TLS_CALL, 1, 0 },
	{ "SSL_set_fd", TLS_OPENSSL, TLS_SET_FD, 2, 0 },
	{ "SSL_set_rfd", TLS_OPENSSL, TLS_SET_FD, 2, 0 },
	{ "SSL_set_wfd", TLS_OPENSSL, TLS_SET_FD, 2, 0 },
	{ "SSL_free", TLS_OPENSSL, TLS_FREE, 1, 0 },
	{ "SSL_clear", TLS_OPENSSL, TLS_FREE, 1, 0 },
	{ "SSL_get0_alpn_selected", TLS_OPENSSL, TLS_ALPN, 3, 0 },
	{ "BIO_write", TLS_OPENSSL, TLS_BIO_WRITE, 3, TLS_MEMORY },
	/* gnutls/gnutls.h; a corked session's plaintext counts when it is handed over, not when it leaves */
	{ "gnutls_record_send", TLS_GNUTLS, TLS_WRITE, 3, TLS_PROOF },
	{ "gnutls_record_send2", TLS_GNUTLS, TLS_WRITE, 3, 0 },
	{ "gnutls_record_send_range", TLS_GNUTLS, TLS_WRITE, 3, 0 },
	{ "gnutls_record_send_early_data", TLS_GNUTLS, TLS_WRITE_ALL, 3, 0 },
	{ "gnutls_record_recv", TLS_GNUTLS, TLS_READ, 3, TLS_PROOF },
	{ "gnutls_record_recv_early_data", TLS_GNUTLS, TLS_READ, 3, 0 },
	{ "gnutls_record_uncork", TLS_GNUTLS, TLS_CALL, 1, 0 },
	{ "gnutls_handshake", TLS_GNUTLS, TLS_CALL, 1, 0 },
	{ "gnutls_bye", TLS_GNUTLS, TLS_CALL, 1, 0 },
	{ "gnutls_transport_set_int2", TLS_GNUTLS, TLS_SET_FD, 2, 0 },
	{ "gnutls_deinit", TLS_GNUTLS, TLS_FREE, 1, 0 },
	{ "gnutls_alpn_get_selected_protocol", TLS_GNUTLS, TLS_ALPN_DATUM, 2, 0 },
	/* mbedtls/ssl.h of 2.x, 3.x */
	{ "mbedtls_ssl_write", TLS_MBEDTLS, TLS_WRITE, 3, TLS_PROOF },
	{ "mbedtls_ssl_write_early_data", TLS_MBEDTLS, TLS_WRITE, 3, 0 },
	{ "mbedtls_ssl_read", TLS_MBEDTLS, TLS_READ, 3, TLS_PROOF },
	{ "mbedtls_ssl_read_early_data", TLS_MBEDTLS, TLS_READ, 3, 0 },
	{ "mbedtls_ssl_handshake", TLS_MBEDTLS, TLS_CALL, 1, 0 },
	{ "mbedtls_ssl_close_notify", TLS_MBEDTLS, TLS_CALL, 1, 0 },
	{ "mbedtls_ssl_session_reset", TLS_MBEDTLS, TLS_FREE, 1, 0 },
	{ "mbedtls_ssl_free", TLS_MBEDTLS, TLS_FREE, 1, 0 },
	/* wolfssl/ssl.h; the early-data calls give their count back as well; wolfSSL_send and _recv call these */
	{ "wolfSSL_write", TLS_WOLFSSL, TLS_WRITE, 3, TLS_PROOF },
	{ "wolfSSL_write_early_data", TLS_WOLFSSL, TLS_WRITE, 3, 0 },
	{ "wolfSSL_read", TLS_WOLFSSL, TLS_READ, 3, TLS_PROOF },
	{ "wolfSSL_read_early_data", TLS_WOLFSSL, TLS_READ, 3, 0 },
	{ "wolfSSL_connect", TLS_WOLFSSL, TLS_CALL, 1, 0 },
	{ "wolfSSL_accept", TLS_WOLFSSL, TLS_CALL, 1, 0 },
	{ "wolfSSL_shutdown", TLS_WOLFSSL, TLS_CALL, 1, 0 },
	{ "wolfSSL_set_fd", TLS_WOLFSSL, TLS_SET_FD, 2, 0 },
	{ "wolfSSL_set_read_fd", TLS_WOLFSSL, TLS_SET_FD, 2, 0 },
	{ "wolfSSL_set_write_fd", TLS_WOLFSSL, TLS_SET_FD, 2, 0 },
	{ "wolfSSL_free", TLS_WOLFSSL, TLS_FREE, 1, 0 },
	/* s2n.h; what s2n_sendv takes is a vector: its bytes are a hole */
	{ "s2n_send", TLS_S2N, TLS_WRITE, 3, TLS_PROOF },
	{ "s2n_sendv", TLS_S2N, TLS_SENDFILE, 1, 0 },
	{ "s2n_sendv_with_offset", TLS_S2N, TLS_SENDFILE, 1, 0 },
	{ "s2n_recv", TLS_S2N, TLS_READ, 3, TLS_PROOF },
	{ "s2n_negotiate", TLS_S2N, TLS_CALL, 1, 0 },
	{ "s2n_shutdown", TLS_S2N, TLS_CALL, 1, 0 },
	{ "s2n_connection_set_fd", TLS_S2N, TLS_SET_FD, 2, 0 },
	{ "s2n_connection_set_read_fd", TLS_S2N, TLS_SET_FD, 2, 0 },
	{ "s2n_connection_set_write_fd", TLS_S2N, TLS_SET_FD, 2, 0 },
	{ "s2n_connection_wipe", TLS_S2N, TLS_FREE, 1, 0 },
	{ "s2n_connection_free", TLS_S2N, TLS_FREE, 1, 0 },
	/* rustls.h of rustls-ffi: plaintext goes through read and write, sockets are used in read_tls and write_tls */
	{ "rustls_connection_write", TLS_RUSTLS, TLS_WRITE_EX, 4, TLS_PROOF },
	{ "rustls_connection_read", TLS_RUSTLS, TLS_READ_EX, 4, TLS_PROOF },
	{ "rustls_connection_read_2", TLS_RUSTLS, TLS_READ_EX, 4, 0 },
	{ "rustls_connection_write_tls", TLS_RUSTLS, TLS_CALL, 1, 0 },
	{ "rustls_connection_write_tls_vectored", TLS_RUSTLS, TLS_CALL, 1, 0 },
	{ "rustls_connection_read_tls", TLS_RUSTLS, TLS_CALL, 1, 0 },
	{ "rustls_connection_get_alpn_protocol", TLS_RUSTLS, TLS_ALPN, 3, 0 },
	{ "rustls_connection_free", TLS_RUSTLS, TLS_FREE, 1, 0 },
};

const size_t n_tls_rows = ARRAY_SIZE(tls_rows);
_Static_assert(ARRAY_SIZE(tls_rows) <= TLS_ROWS_MAX, "TLS_ROWS_MAX");

const char *tls_library_name(enum tls_library library)
{
	static const char *const names[] = {
		[TLS_OPENSSL] = "openssl", [TLS_GNUTLS] = "gnutls", [TLS_NSS] = "nss",	 [TLS_MBEDTLS] = "mbedtls",
		[TLS_WOLFSSL] = "wolfssl", [TLS_S2N] = "s2n",	    [TLS_RUSTLS] = "rustls", [TLS_GO] = "go",
	};

	return names[library];
}

int tls_row_suffix(struct slice string, size_t *from, size_t *tail)
{
	for (size_t i = *from; i < n_tls_rows; i++) {
		size_t n = strlen(tls_rows[i].symbol);

		if (n > string.n || memcmp(string.p + string.n - n, tls_rows[i].symbol, n))
			continue;
		*from = i + 1;
		*tail = n;
		return (int)i;
	}
	*from = n_tls_rows;
	return -1;
}
