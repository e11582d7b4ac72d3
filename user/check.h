/* SPDX-License-Identifier: Apache-2.0 */
/* --check: what this kernel and host offer, what would be used, whether the back end answers. */
#ifndef SPANDREL_CHECK_H
#define SPANDREL_CHECK_H

#include "config.h"

int check_run(const struct config *config); /* exit status */

#endif
