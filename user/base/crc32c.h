/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C (Castagnoli; RFC 3720 §12.1, appendix B.4), for which processors have an instruction: several times as fast as zlib's CRC-32.
 * crc is that of the bytes before, 0 at first: crc32c(crc32c(0, a), b) is that of both.
 */
#ifndef SPANDREL_BASE_CRC32C_H
#define SPANDREL_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *p, size_t n);
/* Of two runs of n bytes at once, in the time of one: an instruction waits for the one before it of its own run only. */
void crc32c_pair(uint32_t crc[2], const void *a, const void *b, size_t n);

/* Without the instruction, for tests. */
uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n);

#endif
