// SPDX-License-Identifier: Apache-2.0
/*
 * The code of RFC 7541 appendix B is canonical: codes of one length are consecutive numbers, and so are the symbols in
 * the order of their codes. Codes of up to eight bits, which is nearly all text, are found by the next byte; the others begin
 * with 0xfe or 0xff and are found by their length.
 */
#include "proto/hpack_huffman.h"

#include <errno.h>

#include "base/scope.h"

#define LONG_CODES 0xfe /* a code that begins with this byte or a greater one is longer than eight bits */
#define EOS 256

static const struct {
	uint8_t symbol, bits;
} short_codes[LONG_CODES] = {
	[0x00 ... 0x07] = { '0', 5 }, [0x08 ... 0x0f] = { '1', 5 }, [0x10 ... 0x17] = { '2', 5 },
	[0x18 ... 0x1f] = { 'a', 5 }, [0x20 ... 0x27] = { 'c', 5 }, [0x28 ... 0x2f] = { 'e', 5 },
	[0x30 ... 0x37] = { 'i', 5 }, [0x38 ... 0x3f] = { 'o', 5 }, [0x40 ... 0x47] = { 's', 5 },
	[0x48 ... 0x4f] = { 't', 5 }, [0x50 ... 0x53] = { ' ', 6 }, [0x54 ... 0x57] = { '%', 6 },
	[0x58 ... 0x5b] = { '-', 6 }, [0x5c ... 0x5f] = { '.', 6 }, [0x60 ... 0x63] = { '/', 6 },
	[0x64 ... 0x67] = { '3', 6 }, [0x68 ... 0x6b] = { '4', 6 }, [0x6c ... 0x6f] = { '5', 6 },
	[0x70 ... 0x73] = { '6', 6 }, [0x74 ... 0x77] = { '7', 6 }, [0x78 ... 0x7b] = { '8', 6 },
	[0x7c ... 0x7f] = { '9', 6 }, [0x80 ... 0x83] = { '=', 6 }, [0x84 ... 0x87] = { 'A', 6 },
	[0x88 ... 0x8b] = { '_', 6 }, [0x8c ... 0x8f] = { 'b', 6 }, [0x90 ... 0x93] = { 'd', 6 },
	[0x94 ... 0x97] = { 'f', 6 }, [0x98 ... 0x9b] = { 'g', 6 }, [0x9c ... 0x9f] = { 'h', 6 },
	[0xa0 ... 0xa3] = { 'l', 6 }, [0xa4 ... 0xa7] = { 'm', 6 }, [0xa8 ... 0xab] = { 'n', 6 },
	[0xac ... 0xaf] = { 'p', 6 }, [0xb0 ... 0xb3] = { 'r', 6 }, [0xb4 ... 0xb7] = { 'u', 6 },
	[0xb8 ... 0xb9] = { ':', 7 }, [0xba ... 0xbb] = { 'B', 7 }, [0xbc ... 0xbd] = { 'C', 7 },
	[0xbe ... 0xbf] = { 'D', 7 }, [0xc0 ... 0xc1] = { 'E', 7 }, [0xc2 ... 0xc3] = { 'F', 7 },
	[0xc4 ... 0xc5] = { 'G', 7 }, [0xc6 ... 0xc7] = { 'H', 7 }, [0xc8 ... 0xc9] = { 'I', 7 },
	[0xca ... 0xcb] = { 'J', 7 }, [0xcc ... 0xcd] = { 'K', 7 }, [0xce ... 0xcf] = { 'L', 7 },
	[0xd0 ... 0xd1] = { 'M', 7 }, [0xd2 ... 0xd3] = { 'N', 7 }, [0xd4 ... 0xd5] = { 'O', 7 },
	[0xd6 ... 0xd7] = { 'P', 7 }, [0xd8 ... 0xd9] = { 'Q', 7 }, [0xda ... 0xdb] = { 'R', 7 },
	[0xdc ... 0xdd] = { 'S', 7 }, [0xde ... 0xdf] = { 'T', 7 }, [0xe0 ... 0xe1] = { 'U', 7 },
	[0xe2 ... 0xe3] = { 'V', 7 }, [0xe4 ... 0xe5] = { 'W', 7 }, [0xe6 ... 0xe7] = { 'Y', 7 },
	[0xe8 ... 0xe9] = { 'j', 7 }, [0xea ... 0xeb] = { 'k', 7 }, [0xec ... 0xed] = { 'q', 7 },
	[0xee ... 0xef] = { 'v', 7 }, [0xf0 ... 0xf1] = { 'w', 7 }, [0xf2 ... 0xf3] = { 'x', 7 },
	[0xf4 ... 0xf5] = { 'y', 7 }, [0xf6 ... 0xf7] = { 'z', 7 }, [0xf8] = { '&', 8 },
	[0xf9] = { '*', 8 }, [0xfa] = { ',', 8 }, [0xfb] = { ';', 8 },
	[0xfc] = { 'X', 8 }, [0xfd] = { 'Z', 8 },
};

/* Symbols of the longer codes in the order of their codes. */
static const uint16_t long_symbols[] = {
	33, 34, 40, 41, 63, 39, 43, 124, 35, 62, 0, 36, 64, 91, 93, 126,
	94, 125, 60, 96, 123, 92, 195, 208, 128, 130, 131, 162, 184, 194, 224, 226,
	153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230, 129, 132, 133,
	134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187,
	189, 190, 196, 198, 228, 232, 233, 1, 135, 137, 138, 139, 140, 141, 143, 147,
	149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183, 188,
	191, 197, 231, 239, 9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237,
	199, 207, 234, 235, 192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240,
	242, 243, 255, 203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247,
	248, 250, 251, 252, 253, 254, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14,
	15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31,
	127, 220, 249, 10, 13, 22, EOS,
};

/* One row a length: its first code, as the top bits of 32, and where its symbols begin. Longest first. */
static const struct {
	uint32_t first;
	uint8_t bits, symbols;
} lengths[] = {
	{ 0xfffffff0u, 30, 179 },
	{ 0xfffffe20u, 28, 150 },
	{ 0xfffffbc0u, 27, 131 },
	{ 0xfffff800u, 26, 116 },
	{ 0xfffff600u, 25, 112 },
	{ 0xffffea00u, 24, 100 },
	{ 0xffffb000u, 23, 71 },
	{ 0xffff4800u, 22, 45 },
	{ 0xfffee000u, 21, 32 },
	{ 0xfffe6000u, 20, 24 },
	{ 0xfffe0000u, 19, 21 },
	{ 0xfff80000u, 15, 18 },
	{ 0xfff00000u, 14, 16 },
	{ 0xffc00000u, 13, 10 },
	{ 0xffa00000u, 12, 8 },
	{ 0xff400000u, 11, 5 },
	{ 0xfe000000u, 10, 0 },
};

/* The symbol of the long code at the top of `window`, and its length. */
static unsigned long_code(uint32_t window, unsigned *bits)
{
	size_t row = 0;

	while (row < ARRAY_SIZE(lengths) - 1 && window < lengths[row].first)
		row++;
	*bits = lengths[row].bits;
	return long_symbols[lengths[row].symbols + ((window - lengths[row].first) >> (32 - *bits))];
}

/* What is left is padding: the beginning of EOS, shorter than a byte. */
static bool padding_valid(uint64_t window, unsigned have)
{
	return have < 8 && (!have || window >> (64 - have) == (1u << have) - 1);
}

ptrdiff_t hpack_huffman_decode(char *to, struct slice in)
{
	const unsigned char *p = (const unsigned char *)in.p, *end = p + in.n;
	uint64_t window = 0; /* bits not decoded yet, from the top */
	unsigned have = 0, bits, symbol;
	char *start = to;

	for (;;) {
		while (have <= 56 && p < end) {
			window |= (uint64_t)*p++ << (56 - have);
			have += 8;
		}
		if (window >> 56 < LONG_CODES) {
			bits = short_codes[window >> 56].bits;
			symbol = short_codes[window >> 56].symbol;
		} else {
			symbol = long_code((uint32_t)(window >> 32), &bits);
		}
		if (bits > have)
			return padding_valid(window, have) ? to - start : -EPROTO;
		if (symbol == EOS)
			return -EPROTO;
		*to++ = (char)symbol;
		window <<= bits;
		have -= bits;
	}
}
