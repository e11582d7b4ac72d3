/* SPDX-License-Identifier: Apache-2.0 */
/* A socket in the file system that its owner alone may use. */
#ifndef SPANDREL_UNIX_BIND_H
#define SPANDREL_UNIX_BIND_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

/* 0 or -ENAMETOOLONG. */
int unix_address(const char *path, struct sockaddr_un *to, socklen_t *size);
/*
 * Binds fd, of that type, to the path, mode 0600. One that a killed process has left is replaced, one that lives is not:
 * -EADDRINUSE.
 */
int unix_bind(int fd, int type, const char *path);

#endif
