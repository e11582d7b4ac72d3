// SPDX-License-Identifier: Apache-2.0
#include "base/crc32c.h"

#include <string.h>

#include "tap.h"

/* RFC 3720, appendix B.4. */
static void test_crc32c__vectors(void)
{
	uint8_t zeros[32] = { 0 }, ones[32], up[32], down[32];

	memset(ones, 0xff, sizeof(ones));
	for (int i = 0; i < 32; i++) {
		up[i] = (uint8_t)i;
		down[i] = (uint8_t)(31 - i);
	}
	CHECK(crc32c(0, zeros, 32) == 0x8a9136aa);
	CHECK(crc32c(0, ones, 32) == 0x62a8ab43);
	CHECK(crc32c(0, up, 32) == 0x46dd794e);
	CHECK(crc32c(0, down, 32) == 0x113fdb5c);
	CHECK(crc32c(0, "123456789", 9) == 0xe3069283);
}

/* The instruction gives what the definition gives, whatever the length and alignment; so do pieces and pairs. */
static void test_crc32c__ways_agree(void)
{
	uint8_t bytes[300];
	bool same = true, split = true, pair = true;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37 + i / 7);
	for (size_t n = 0; n <= 140; n++) {
		uint32_t want = crc32c_portable(0, bytes + n % 9, n), both[2] = { 0 };

		same &= crc32c(0, bytes + n % 9, n) == want;
		split &= crc32c(crc32c(0, bytes + n % 9, n / 3), bytes + n % 9 + n / 3, n - n / 3) == want;
		crc32c_pair(both, bytes + n % 9, bytes + 150, n);
		pair &= both[0] == want && both[1] == crc32c_portable(0, bytes + 150, n);
	}
	CHECK(same);
	CHECK(split);
	CHECK(pair);
}

int main(void)
{
	RUN(test_crc32c__vectors);
	RUN(test_crc32c__ways_agree);
	return tap_done();
}
