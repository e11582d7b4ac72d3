// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target of the places for probes. The first byte says which processor and how many arguments, the rest is a function. Whatever
 * is in it, a place is an instruction that the kernel emulates, or the first one, and says so.
 */
#include <stdint.h>
#include <stdlib.h>

#include "probe/place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool truth)
{
	if (!truth)
		abort();
}

/* By the kernel's sources, once more: what every kernel emulates. */
static bool emulated_x86(const uint8_t *p, size_t n)
{
	uint8_t a = p[0], b = n > 1 ? p[1] : 0;

	return a == 0x90 || (a == 0x66 && b == 0x90) || (a >= 0x50 && a <= 0x57) || (a == 0x41 && b >= 0x50 && b <= 0x57) || a == 0xe8 ||
	       a == 0xe9 || a == 0xeb || (a >= 0x70 && a <= 0x7f) || (a == 0x0f && b >= 0x80 && b <= 0x8f);
}

static bool emulated_arm64(const uint8_t *p)
{
	uint32_t w = p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;

	switch (w >> 24) {
	case 0x14 ... 0x17: case 0x94 ... 0x97: case 0x34 ... 0x37: case 0xb4 ... 0xb7:
		return true;
	case 0x54:
		return !(w & 16);
	case 0xd6:
		return (w & 0xfffffc1f) == 0xd61f0000 || (w & 0xfffffc1f) == 0xd63f0000 || (w & 0xfffffc1f) == 0xd65f0000;
	default:
		return (w >> 24 & 31) == 16;
	}
}

static bool emulated(enum place_arch arch, const uint8_t *code, size_t size, uint32_t at)
{
	need(at < size);
	if (arch == PLACE_X86_64)
		return emulated_x86(code + at, size - at);
	return at % 4 == 0 && at + 4 <= size && emulated_arm64(code + at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum place_arch arch = size && data[0] & 1 ? PLACE_ARM64 : PLACE_X86_64;
	unsigned args = size ? data[0] >> 1 & 7 : 0;
	struct slice code = slice_of((const char *)data + 1, size ? size - 1 : 0);
	uint32_t rets[64];
	struct place p;
	int n;

	if (size < 2)
		return 0;
	need(!place_function(code, 0x401000, arch, args, &p));
	need(!p.entry || p.entry_emulated);
	need(!p.entry_emulated || emulated(arch, data + 1, size - 1, p.entry));
	need(!p.first_emulated || emulated(arch, data + 1, size - 1, 0));
	need(p.n_rets <= PLACE_RETS);
	for (int i = 0; i < p.n_rets; i++)
		need(p.rets[i] > p.entry && emulated(arch, data + 1, size - 1, p.rets[i]) && (!i || p.rets[i] > p.rets[i - 1]));
	n = place_rets(code, 0x401000, arch, rets, 64);
	for (int i = 0; i < n; i++)
		need(rets[i] < code.n && (!i || rets[i] > rets[i - 1]));
	return 0;
}
