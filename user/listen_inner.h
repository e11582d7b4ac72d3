/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of --listen share: the server (listen.c) and its socket (listen_socket.c). */
#ifndef SPANDREL_LISTEN_INNER_H
#define SPANDREL_LISTEN_INNER_H

#include <stddef.h>

struct own_end;

/* A bound socket that does not block, or -errno after one line. *path: what is to be removed at the end, or NULL. */
int listen_socket(const char *address, char **path);
int listen_socket_start(int fd); /* 0, or -errno after one line */
size_t listen_socket_doors(int fd, struct own_end *to, size_t max);

#endif
