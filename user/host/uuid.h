/* SPDX-License-Identifier: Apache-2.0 */
/* Name-based UUIDs (RFC 9562 §5.5, version 5): the same name gives the same id on every run. Not
 * for secrets. */
#ifndef SPANDREL_HOST_UUID_H
#define SPANDREL_HOST_UUID_H

#include <stdint.h>

#include "base/slice.h"

#define UUID_TEXT 36

/* Writes UUID_TEXT characters, no terminator. Names longer than 1 KiB are cut. */
void uuid_v5(char *to, const uint8_t name_space[16], struct slice name);

#endif
