/* SPDX-License-Identifier: Apache-2.0 */
/* Cleanup at the end of a scope, and moving ownership out of it. */
#ifndef SPANDREL_BASE_SCOPE_H
#define SPANDREL_BASE_SCOPE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) _taken = (p);                                                        \
		(p) = NULL;                                                                        \
		_taken;                                                                            \
	})

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int _taken = (fd);                                                                 \
		(fd) = -1;                                                                         \
		_taken;                                                                            \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })
#define MAX(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a > _b ? _a : _b; })

static inline void free_p(void *p)
{
	free(*(void **)p);
}

/* A text whose bytes must not stay in memory. */
static inline void free_secret(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(TAKE_PTR(*s));
}

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _free_ _cleanup_(free_p)
#define _close_ _cleanup_(close_fd)
#define _fclose_ _cleanup_(close_file)

#endif
