// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
/* client PORT PATH …: one connection, a request for each path, by OpenSSL. Linked as its test wants it. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int dial(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return connect(fd, (struct sockaddr *)&to, sizeof(to)) ? -1 : fd;
}

/* The answer's head and a body of known length. */
static int answer(SSL *ssl)
{
	char buf[65536];
	size_t have = 0;

	while (have < sizeof(buf) - 1) {
		int n = SSL_read(ssl, buf + have, (int)(sizeof(buf) - 1 - have));
		const char *end, *length;

		if (n <= 0)
			return -1;
		have += (size_t)n;
		buf[have] = '\0';
		end = strstr(buf, "\r\n\r\n");
		length = strcasestr(buf, "content-length: ");
		if (end && length && have >= (size_t)(end + 4 - buf) + strtoul(length + 16, NULL, 10))
			return 0;
	}
	return -1;
}

int main(int argc, char **argv)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	int fd = argc > 2 ? dial(atoi(argv[1])) : -1;

	if (fd < 0 || !SSL_set_fd(ssl, fd) || SSL_connect(ssl) != 1)
		return 1;
	for (int i = 2; i < argc; i++) {
		char request[1024];
		int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", argv[i]);

		if (SSL_write(ssl, request, n) != n || answer(ssl))
			return 1;
	}
	SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
	return 0;
}
