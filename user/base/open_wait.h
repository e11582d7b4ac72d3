/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open() that comes back. A file system whose server is dead (FUSE, NFS) may keep who looks a name up or opens a file there for good;
 * so each open is done by a thread of its own, which is left behind when it sleeps there after OPEN_WAIT_NS and does not come back in
 * as long again; where it only waits for a processor, as on a machine with much to do, it is waited for (some seconds at most). There
 * are at most OPEN_STUCK_MAX threads left behind, which end when their call does; what they wait for is not asked again before that.
 */
#ifndef SPANDREL_BASE_OPEN_WAIT_H
#define SPANDREL_BASE_OPEN_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define OPEN_WAIT_NS (100 * NS_PER_MS)
#define OPEN_STUCK_MAX 8

/*
 * flags: of open(). Without O_PATH the file system has been asked for something (statfs) when this returns, so that it is known to
 * answer. place: what stands for the file system, any number. The descriptor; -ETIMEDOUT; -EBUSY: something at this place takes too
 * long already, or too much elsewhere; -errno. From one thread alone.
 */
int open_wait(const char *path, int flags, uint64_t place);
/* Is this error one of those two? */
bool open_unanswered(int err);

#endif
