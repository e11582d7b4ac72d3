/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of frames: what the hooks may pass over, told from the offset alone. */
#ifndef SPANDREL_CAPTURE_FRAMES_H
#define SPANDREL_CAPTURE_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"

#define FRAMED 0x80000000u /* a salt with this bit: the pattern is that of frames, behind a magic if it is odd */

extern const struct framing frames_framing;

uint8_t framed_byte(uint32_t salt, uint64_t off);
/* Payload that nobody reads. */
bool framed_passed(uint32_t salt, uint64_t off);

#endif
