// SPDX-License-Identifier: Apache-2.0
/* Sockets whose sequence numbers do not count what the program reads and writes. */
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static struct end c, s;

static void multipath(void)
{
	act_pair(&c, &s, MULTIPATH);
	for (size_t n = 1; n < 20000; n = n * 7 + 1) {
		act_send(&c, n);
		act_recv(&s, n);
		act_send(&s, n + 3);
		act_recv(&c, n + 3);
	}
}

/* ---- kTLS: both ends know the keys ---- */

static void key_set(int fd, int direction, char fill)
{
	struct tls12_crypto_info_aes_gcm_128 k = { .info = { TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128 } };

	memset(k.key, fill, sizeof(k.key));
	memset(k.iv, fill, sizeof(k.iv));
	memset(k.salt, fill, sizeof(k.salt));
	if (setsockopt(fd, SOL_TLS, direction, &k, sizeof(k)) && errno == ENOENT)
		act_skip("no AES-GCM in this kernel");
}

static void encrypt(void)
{
	if (setsockopt(c.fd, SOL_TCP, TCP_ULP, "tls", 4))
		act_skip("no kTLS here");
	MUST(!setsockopt(s.fd, SOL_TCP, TCP_ULP, "tls", 4));
	key_set(c.fd, TLS_TX, 1);
	key_set(s.fd, TLS_RX, 1);
	key_set(s.fd, TLS_TX, 2);
	key_set(c.fd, TLS_RX, 2);
}

/* What was a handshake ends, and plaintext begins. */
static void ktls(void)
{
	act_pair(&c, &s, IPV4);
	act_send(&c, 300);
	act_recv(&s, 300);
	act_send(&s, 700);
	act_recv(&c, 700);
	encrypt();
	act_again(&c);
	act_again(&s);
	for (size_t n = 10; n < 15000; n = n * 5 + 1) {
		act_send(&c, n);
		act_recv(&s, n);
		act_send(&s, n + 3);
		act_recv(&c, n + 3);
	}
}

static void ktls_sendfile(void)
{
	int fd = memfd_create("spandrel-capture", MFD_CLOEXEC);
	off_t from = 0;
	char buf[9000];

	act_pair(&c, &s, IPV4);
	act_send(&c, 10);
	act_recv(&s, 10);
	encrypt();
	act_again(&c);
	act_again(&s);
	act_fill(&c, DIR_SEND, buf, sizeof(buf));
	MUST(write(fd, buf, sizeof(buf)) == sizeof(buf));
	MUST(sendfile(c.fd, fd, &from, sizeof(buf)) == sizeof(buf));
	act_moved(&c, DIR_SEND, sizeof(buf), act_blind(HOLE_NO_BUFFER));
	act_recv(&s, sizeof(buf));
}

const struct capture_case cases_layers[] = {
	{ "MPTCP", multipath, NULL, false },
	{ "kTLS", ktls, NULL, false },
	{ "kTLS, sendfile", ktls_sendfile, NULL, false },
	{ 0 },
};
