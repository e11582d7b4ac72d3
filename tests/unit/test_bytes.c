// SPDX-License-Identifier: Apache-2.0
/* Every length and every place, with nothing readable right before and right behind the text. */
#include "tap.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/hex.h"

#define LONGEST 50

static char *page; /* the pages before and after it cannot be touched */
static size_t page_size;

static bool page_open(void)
{
	char *p;

	page_size = (size_t)sysconf(_SC_PAGESIZE);
	p = mmap(NULL, 3 * page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mprotect(p + page_size, page_size, PROT_READ | PROT_WRITE))
		return false;
	page = p + page_size;
	return true;
}

/* n bytes at the page's beginning or at its end. */
static char *text_at(bool end, size_t n)
{
	return end ? page + page_size - n : page;
}

static inline bytes marks(bytes b)
{
	return b == '?';
}

static void test_bytes__hit_finds_a_byte_wherever_it_is(void)
{
	for (int end = 0; end < 2; end++)
		for (size_t n = 0; n <= LONGEST; n++) {
			char *p = text_at(end, n);

			memset(page, '?', page_size); /* around the text: not looked at */
			memset(p, 'x', n);
			CHECK(!bytes_hit(slice_of(p, n), marks, 'x'));
			for (size_t i = 0; i < n; i++) {
				p[i] = '?';
				CHECK(bytes_hit(slice_of(p, n), marks, 'x'));
				p[i] = 'x';
			}
		}
}

static void test_bytes__first_is_the_first(void)
{
	char text[BYTES];

	for (size_t i = 0; i < BYTES; i++)
		for (size_t k = i; k < BYTES; k++) {
			memset(text, 'x', sizeof(text));
			text[i] = text[k] = '?';
			CHECK_INT(bytes_first(marks(bytes_load(text))), i);
		}
}

static void test_bytes__short_texts_are_filled_up(void)
{
	char want[BYTES], got[BYTES];

	for (int end = 0; end < 2; end++)
		for (size_t n = 1; n < BYTES; n++) {
			char *p = text_at(end, n);
			bytes v;

			for (size_t i = 0; i < n; i++)
				p[i] = (char)(0x80 + i);
			v = bytes_load_short(p, n, ' ');
			memcpy(got, &v, sizeof(got));
			memset(want, ' ', sizeof(want));
			memcpy(want, p, n);
			if (n < 8)
				CHECK(!memcmp(got, want, sizeof(want)));
			else /* its first eight and its last eight */
				CHECK(!memcmp(got, p, 8) && !memcmp(got + 8, p + n - 8, 8));
		}
}

static void test_bytes__copy_writes_just_the_text(void)
{
	char to[LONGEST + 2], want[LONGEST + 2];

	for (int end = 0; end < 2; end++)
		for (size_t n = 0; n <= LONGEST; n++) {
			char *p = text_at(end, n);

			for (size_t i = 0; i < n; i++)
				p[i] = (char)(i + 1);
			memset(to, '#', sizeof(to));
			memset(want, '#', sizeof(want));
			memcpy(want + 1, p, n);
			bytes_copy(to + 1, p, n);
			CHECK(!memcmp(to, want, sizeof(want)));
		}
}

static void test_hex__every_byte_and_every_length(void)
{
	uint8_t from[9];
	char to[20], want[20];

	for (unsigned v = 0; v < 256; v++)
		for (size_t n = 0; n <= sizeof(from); n++) {
			for (size_t i = 0; i < n; i++) {
				from[i] = (uint8_t)(v + 37 * i);
				snprintf(want + 2 * i, 3, "%02x", from[i]);
			}
			memset(to, '#', sizeof(to));
			hex_put(to, from, n);
			CHECK(!memcmp(to, want, 2 * n) && to[2 * n] == '#');
		}
}

int main(void)
{
	if (!page_open()) {
		printf("not ok 1 - no page\n");
		return 1;
	}
	RUN(test_bytes__hit_finds_a_byte_wherever_it_is);
	RUN(test_bytes__first_is_the_first);
	RUN(test_bytes__short_texts_are_filled_up);
	RUN(test_bytes__copy_writes_just_the_text);
	RUN(test_hex__every_byte_and_every_length);
	return tap_done();
}
