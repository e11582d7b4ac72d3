// SPDX-License-Identifier: Apache-2.0
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)

#include <nmmintrin.h>

#define HARDWARE __attribute__((target("sse4.2")))
#define STEP8(crc, v) ((uint32_t)_mm_crc32_u64(crc, v))
#define STEP1(crc, v) _mm_crc32_u8(crc, v)

static bool has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}

#elif defined(__aarch64__)

#include <sys/auxv.h>

/* Written out: arm_acle.h of clang before 16 has them only where the whole file is compiled for processors that do. */
#define HARDWARE
#define STEP8(crc, v) step(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1", crc, v)
#define STEP1(crc, v) step(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1", crc, v)
#define step(code, crc, v)                                              \
	({                                                              \
		uint32_t crc_ = (crc);                                  \
		__asm__(code : "+r"(crc_) : "r"((uint64_t)(v)));        \
		crc_;                                                   \
	})

static bool has_instruction(void)
{
	return getauxval(AT_HWCAP) & (1UL << 7); /* HWCAP_CRC32 */
}

#endif

#define POLYNOMIAL 0x82f63b78u /* bits in reverse */

uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n)
{
	const unsigned char *c = p;

	crc = ~crc;
	while (n--) {
		crc ^= *c++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return ~crc;
}

#ifdef HARDWARE

HARDWARE static uint32_t hardware(uint32_t crc, const unsigned char *p, size_t n)
{
	uint64_t v;

	crc = ~crc;
	for (; n >= sizeof(v); n -= sizeof(v), p += sizeof(v)) {
		memcpy(&v, p, sizeof(v));
		crc = STEP8(crc, v);
	}
	while (n--)
		crc = STEP1(crc, *p++);
	return ~crc;
}

HARDWARE static size_t hardware_pair(uint32_t crc[2], const unsigned char *a, const unsigned char *b, size_t n)
{
	uint32_t x = ~crc[0], y = ~crc[1];
	uint64_t v, w;
	size_t i;

	for (i = 0; n - i >= sizeof(v); i += sizeof(v)) {
		memcpy(&v, a + i, sizeof(v));
		memcpy(&w, b + i, sizeof(w));
		x = STEP8(x, v);
		y = STEP8(y, w);
	}
	crc[0] = ~x;
	crc[1] = ~y;
	return i;
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
	return has_instruction() ? hardware(crc, p, n) : crc32c_portable(crc, p, n);
}

#else

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
	return crc32c_portable(crc, p, n);
}

static size_t hardware_pair(uint32_t crc[2], const unsigned char *a, const unsigned char *b, size_t n)
{
	return 0;
}

static bool has_instruction(void)
{
	return false;
}

#endif

void crc32c_pair(uint32_t crc[2], const void *a, const void *b, size_t n)
{
	size_t done = has_instruction() ? hardware_pair(crc, a, b, n) : 0;

	crc[0] = crc32c(crc[0], (const char *)a + done, n - done);
	crc[1] = crc32c(crc[1], (const char *)b + done, n - done);
}
