/* SPDX-License-Identifier: Apache-2.0 */
/* What exists before the tracer: connections, and a process outside the selection. */
#ifndef SPANDREL_FIXTURE_H
#define SPANDREL_FIXTURE_H

#include "capture.h"

/*
 * Pairs that the selected process made before the tracer came: 0,1 TCP that moved bytes both ways; 2,3 TCP with bytes sent
 * and not yet read; 4,5 TCP that moved nothing; 6,7 a UNIX socketpair.
 */
#define OLD_ENDS 8
extern struct end old[OLD_ENDS];
void fixture_old(void);

/* Starts the process outside the selection; it lives until our end of the pair is closed. */
void fixture_stranger(void);
/* It gets the descriptor and reads n bytes. Returns when it has. */
void stranger_reads(int fd, size_t n);

#endif
