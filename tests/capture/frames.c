// SPDX-License-Identifier: Apache-2.0
#include "frames.h"

#include "base/scope.h"

#define MAGIC_LEN 24
#define HEADER 7 /* type, length in 4 bytes, the lowest first, that count itself and the two bytes that follow them */
#define PASS 'd'
#define KEEP 10
#define WORTH 300

const struct framing frames_framing = {
	.protocol = 77, .header = HEADER, .type_at = 0, .len_at = 1, .len_size = 4, .little = 1, .adjust = -6, .max = 1 << 20,
	.keep = KEEP, .worth = WORTH, .pass[PASS >> 6] = 1ULL << (PASS & 63), .magic_len = MAGIC_LEN, .first = 'f',
	.magic.bytes = { 'a', ' ', 's', 't', 'r', 'e', 'a', 'm', ' ', 'o', 'f', ' ', 'f', 'r', 'a', 'm', 'e', 's', ':', '\r', '\n', 0, 1, 2 },
	.mask.words = { ~0ULL, ~0ULL, ~0ULL },
};

static const struct {
	uint32_t length;
	char type;
} cycle[] = { { 18, 'f' }, { 900, 'x' }, { 5000, PASS }, { 0, 'x' }, { 64, PASS }, { 20000, PASS }, { KEEP + WORTH - 1, PASS }, { 0, PASS },
	      { KEEP + WORTH, PASS }, { 1, PASS }, { 70000, PASS }, { 3000, 'y' }, { 16384, PASS } };

struct place { /* in which frame, and which of its bytes */
	int frame;
	uint32_t at;
};

static struct place place_of(uint64_t off)
{
	uint64_t whole = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cycle); i++)
		whole += HEADER + cycle[i].length;
	off %= whole;
	for (size_t i = 0; i < ARRAY_SIZE(cycle); i++) {
		if (off < HEADER + cycle[i].length)
			return (struct place){ (int)i, (uint32_t)off };
		off -= HEADER + cycle[i].length;
	}
	return (struct place){ 0 };
}

uint8_t framed_byte(uint32_t salt, uint64_t off)
{
	struct place p;

	if (salt & 1 && off < MAGIC_LEN)
		return frames_framing.magic.bytes[off];
	p = place_of(off - (salt & 1 ? MAGIC_LEN : 0));
	if (!p.at)
		return (uint8_t)cycle[p.frame].type;
	if (p.at < 5)
		return (uint8_t)((cycle[p.frame].length + 6) >> 8 * (p.at - 1));
	return (uint8_t)(salt + off * 131 + (off >> 8) * 29);
}

bool framed_passed(uint32_t salt, uint64_t off)
{
	struct place p;

	if (salt & 1 && off < MAGIC_LEN)
		return false;
	p = place_of(off - (salt & 1 ? MAGIC_LEN : 0));
	return cycle[p.frame].type == PASS && cycle[p.frame].length >= KEEP + WORTH && p.at >= HEADER + KEEP;
}
