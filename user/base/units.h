/* SPDX-License-Identifier: Apache-2.0 */
/* Quantities as the operator writes them. False on anything but a whole valid text; *out untouched then. */
#ifndef SPANDREL_BASE_UNITS_H
#define SPANDREL_BASE_UNITS_H

#include "base/slice.h"

bool units_duration(struct slice s, uint64_t *ns); /* ms s m h; a bare 0 */
bool units_size(struct slice s, uint64_t *bytes);  /* B KiB MiB GiB, or a bare number of bytes */
bool units_ratio(struct slice s, double *out);	   /* 0 to 1 */

#endif
