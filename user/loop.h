/* SPDX-License-Identifier: Apache-2.0 */
/* One thread, one loop: the ring, signals, transfers and time. Replay has none of the first two. */
#ifndef SPANDREL_LOOP_H
#define SPANDREL_LOOP_H

#include <curl/curl.h>

#include "config.h"

/* Until a signal, --duration, or the end of what is to be done. Exit status of the program. */
int loop_live(struct config *config, int argc, char **argv, CURLM *multi);
int loop_replay(const struct config *config, CURLM *multi);

#endif
