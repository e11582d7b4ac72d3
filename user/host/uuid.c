// SPDX-License-Identifier: Apache-2.0
#include "host/uuid.h"

#include "base/hex.h"
#include "base/scope.h"

static uint32_t rotate(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

/* One block of SHA-1 (RFC 3174 §6.1). */
static void sha1_block(uint32_t h[5], const uint8_t *p)
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
			     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
			     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
				      : (b ^ c ^ d) + 0xca62c1d6;
		uint32_t t = rotate(a, 5) + f + e + w[i];

		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = t;
	}
	h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

static void sha1(uint8_t out[20], const uint8_t *p, size_t n)
{
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	uint8_t tail[128] = {0};
	size_t rest = n % 64, end = rest < 56 ? 64 : 128;

	for (size_t i = 0; i + 64 <= n; i += 64)
		sha1_block(h, p + i);
	memcpy(tail, p + n - rest, rest);
	tail[rest] = 0x80;
	for (int i = 0; i < 8; i++)
		tail[end - 1 - (size_t)i] = (uint8_t)((uint64_t)n * 8 >> (8 * i));
	for (size_t i = 0; i < end; i += 64)
		sha1_block(h, tail + i);
	for (int i = 0; i < 20; i++)
		out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

void uuid_v5(char *to, const uint8_t name_space[16], struct slice name)
{
	static const uint8_t groups[] = {4, 2, 2, 2, 6};
	uint8_t text[16 + 1024], hash[20];
	const uint8_t *from = hash;

	name = slice_to(name, sizeof(text) - 16);
	memcpy(text, name_space, 16);
	if (name.n)
		memcpy(text + 16, name.p, name.n);
	sha1(hash, text, 16 + name.n);
	hash[6] = (hash[6] & 0x0f) | 0x50;
	hash[8] = (hash[8] & 0x3f) | 0x80;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		if (i)
			*to++ = '-';
		hex_put(to, from, groups[i]);
		to += 2 * groups[i];
		from += groups[i];
	}
}
