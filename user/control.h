/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket of `spandrel set`: one datagram a request, one an answer, UNIX. Abstract name "spandrel/PID" (gone with the
 * process, however it ends) or --control PATH, mode 0600. Who may ask is the kernel's word (SCM_CREDENTIALS): root, or the
 * tracer's own user. It is read at ticks only, a few messages each, so that nobody can keep the tracer busy through it.
 *
 * Request: "sample-rule\nRULE\nDURATION", RULE may be `none`: takes all temporary rules back. Answer: "ok …" or "no …".
 */
#ifndef SPANDREL_CONTROL_H
#define SPANDREL_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CONTROL_NAME "spandrel/" /* then the process id, in the tracer's pid namespace, and ".N" where that is taken */
#define CONTROL_MAX 2048	 /* bytes of a message */
#define CONTROL_LONGEST (24 * 3600 * 1000000000ULL) /* of a temporary rule */

struct control;
struct sampler;

/* 0, or -errno after one line. path NULL: abstract; failing then is said, and *out is NULL. */
int control_open(struct control **out, const char *path);
void control_read(struct control *c, struct sampler *s, uint64_t now); /* boot clock; c NULL is fine */
void control_close(struct control *c);

/* 0 or -ENAMETOOLONG. */
int control_abstract(const char *name, struct sockaddr_un *to, socklen_t *size);

/* `spandrel set …`: the exit status. */
int set_main(int argc, char **argv);

#endif
