// SPDX-License-Identifier: Apache-2.0
#include "proto/hpack.h"

#include <errno.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/scope.h"
#include "proto/hpack_huffman.h"
#include "proto/hpack_table.h"
#include "tap.h"

/* ---- blocks as text: "name: value\n", `?` for what is unknown, `!` before a value that is never indexed ---- */

static char said[4096];

static void say(void *arg, const struct hpack_field *f)
{
	size_t at = strlen(said);
	bool name = !(f->flags & HPACK_NAME_UNKNOWN), value = !(f->flags & HPACK_VALUE_UNKNOWN);

	(void)arg;
	snprintf(said + at, sizeof(said) - at, "%.*s: %s%.*s\n", name ? (int)f->name.n : 1, name ? f->name.p : "?",
		 f->flags & HPACK_NEVER_INDEXED ? "!" : "", value ? (int)f->value.n : 1, value ? f->value.p : "?");
}

static struct slice unhex(const char *hex, char *to)
{
	unsigned byte, n = 0;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2 + (hex[2] == ' '))
		to[n++] = (char)byte;
	return slice_of(to, n);
}

static int decode(struct hpack *h, const char *hex)
{
	char wire[1024];
	struct slice block = unhex(hex, wire);
	_free_ char *copy = malloc(block.n + 1); /* a sanitizer guards its end */
	char *end = copy + 1;

	memcpy(end, block.p, block.n);
	said[0] = 0;
	return hpack_decode(h, slice_of(end, block.n), say, NULL);
}

#define CHECK_BLOCK(h, hex, want)                                                                  \
	do {                                                                                       \
		CHECK_INT(decode(h, hex), 0);                                                      \
		CHECK_SLICE(slice_str(said), want);                                                \
	} while (0)

#define CHECK_BAD(h, hex) CHECK_INT(decode(h, hex), -EPROTO)

/* RFC 7541 appendix C: C.2.1 to C.2.4, each with a table of its own. */
static void test_hpack__rfc_fields(void)
{
	static const struct {
		const char *hex, *want;
		uint32_t size;
	} rows[] = {
		{ "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "custom-key: custom-header\n", 55 },
		{ "040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path\n", 0 },
		{ "1008 7061 7373 776f 7264 0673 6563 7265 74", "password: !secret\n", 0 },
		{ "82", ":method: GET\n", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct hpack h;

		hpack_init(&h);
		CHECK_BLOCK(&h, rows[i].hex, rows[i].want);
		CHECK_INT(h.table.size, rows[i].size);
		hpack_fini(&h);
	}
}

/* C.3 and C.4: the same three requests plain and in Huffman code. */
static void test_hpack__rfc_requests(void)
{
	static const char *const want[3] = {
		":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n",
		":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache\n",
		":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value\n",
	};
	static const char *const wire[2][3] = {
		{ "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", "8286 84be 5808 6e6f 2d63 6163 6865",
		  "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65" },
		{ "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", "8286 84be 5886 a8eb 1064 9cbf",
		  "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf" },
	};
	static const uint32_t size[3] = { 57, 110, 164 };

	for (int coded = 0; coded < 2; coded++) {
		struct hpack h;

		hpack_init(&h);
		for (int i = 0; i < 3; i++) {
			CHECK_BLOCK(&h, wire[coded][i], want[i]);
			CHECK_INT(h.table.size, size[i]);
		}
		CHECK(hpack_exact(&h));
		hpack_fini(&h);
	}
}

/* C.5 and C.6: responses with a table of 256, so that entries leave it. */
static void test_hpack__rfc_responses(void)
{
	static const char *const want[3] = {
		":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n",
		":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n",
		(":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\nlocation: https://www.example.com\n"
		 "content-encoding: gzip\nset-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n"),
	};
	static const char *const wire[2][3] = {
		{ "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d "
		  "546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
		  "4803 3330 37c1 c0bf",
		  "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d "
		  "4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 "
		  "7369 6f6e 3d31" },
		{ "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b "
		  "97c8 e9ae 82ae 43d3",
		  "4883 640e ffc1 c0bf",
		  "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf "
		  "cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07" },
	};
	static const uint32_t size[3] = { 222, 222, 215 };

	for (int coded = 0; coded < 2; coded++) {
		struct hpack h;

		hpack_init(&h);
		CHECK_BLOCK(&h, "3fe1 01", ""); /* the table's size: 256 */
		for (int i = 0; i < 3; i++) {
			CHECK_BLOCK(&h, wire[coded][i], want[i]);
			CHECK_INT(h.table.size, size[i]);
		}
		hpack_fini(&h);
	}
}

static void test_hpack__huffman_padding(void)
{
	char to[64], wire[16];

	CHECK_INT(hpack_huffman_decode(to, unhex("", wire)), 0);
	CHECK_INT(hpack_huffman_decode(to, unhex("1f", wire)), 1);	  /* a and 111 */
	CHECK_INT(hpack_huffman_decode(to, unhex("1e", wire)), -EPROTO); /* a and 110 */
	CHECK_INT(hpack_huffman_decode(to, unhex("1fff", wire)), -EPROTO); /* more than seven bits */
	CHECK_INT(hpack_huffman_decode(to, unhex("ff", wire)), -EPROTO);
	CHECK_INT(hpack_huffman_decode(to, unhex("fffffffc", wire)), -EPROTO); /* EOS */
	CHECK_INT(hpack_huffman_decode(to, unhex("fffffff3", wire)), 1);       /* the longest code: \n and 11 */
	CHECK_INT(to[0], '\n');
}

static void test_hpack__bad_blocks(void)
{
	static const char *const bad[] = {
		"80",			/* index 0 */
		"be",			/* an empty table has no entry */
		"ff",			/* an integer without end */
		"ffffffffffffff",	/* one that is too long */
		"ffffffffff7f",		/* one above 32 bits */
		"0f",			/* an index without end */
		"00",			/* a literal without a name */
		"0003 6162",		/* a string shorter than it says */
		"007f ffffffff0f 61",	/* ... by nearly four gigabytes */
		"0001 61",		/* a name without a value */
		"0081 ff 00",		/* bad padding */
		"82 20",		/* a size update after a field */
		"40 0161 0162 bf",	/* one entry, the second asked for */
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct hpack h;

		hpack_init(&h);
		CHECK_BAD(&h, bad[i]);
		CHECK(!hpack_exact(&h));
		CHECK_BLOCK(&h, "82 be", ":method: GET\n?: ?\n"); /* as after a loss */
		hpack_fini(&h);
	}
}

static void test_hpack__joined(void)
{
	struct hpack h;

	hpack_init(&h);
	hpack_lost(&h);
	CHECK(!hpack_exact(&h));
	CHECK_BLOCK(&h, "82 be c3", ":method: GET\n?: ?\n?: ?\n");
	CHECK_BLOCK(&h, "40 0161 0162 be bf", "a: b\na: b\n?: ?\n");
	/* a value for an unknown name: the name stays unknown in what is inserted */
	CHECK_BLOCK(&h, "7f 01 0163 be bf", "?: c\n?: c\na: b\n");
	CHECK(!hpack_exact(&h));
	CHECK_BLOCK(&h, "20", ""); /* nothing is left in a table of size 0 */
	CHECK(hpack_exact(&h));
	CHECK_BAD(&h, "be");
	hpack_fini(&h);
}

/* 4,096 hold nothing old beside 4,065. */
static void test_hpack__heals(void)
{
	char block[128] = "\x40\x01x\x5d";
	struct hpack h;

	hpack_init(&h);
	hpack_lost(&h);
	for (int i = 0; i < 32; i++) { /* entries of 32 + 1 + 93 = 126 */
		memset(block + 4, 'v', 93);
		CHECK(!hpack_exact(&h));
		CHECK_INT(hpack_decode(&h, slice_of(block, 97), say, NULL), 0);
	}
	CHECK_INT(h.table.size, 32 * 126);
	CHECK(!hpack_exact(&h));
	CHECK_BLOCK(&h, "40 0161 0162", "a: b\n");
	CHECK(hpack_exact(&h));
	CHECK_BLOCK(&h, "be", "a: b\n");
	CHECK_BLOCK(&h, "ff 9f 01", "?: ?\n"); /* index 286: the table was larger than we thought */
	CHECK(!hpack_exact(&h));
	hpack_fini(&h);
}

static void test_hpack__huge_announcement(void)
{
	_free_ char *block = malloc(40000);
	struct hpack h;

	hpack_init(&h);
	hpack_limit(&h, 16 << 20);
	CHECK_BLOCK(&h, "3f e1ff ff07", ""); /* 16 MiB */
	for (int i = 0; i < 40000; i++) {
		int n = snprintf(block, 64, "%c%c%c%c%05d", 0x40, 1, 'n', 5, i);

		REQUIRE(!hpack_decode(&h, slice_of(block, (size_t)n), say, NULL));
		said[0] = 0;
	}
	CHECK(h.table.size <= HPACK_KEEP_MAX && h.table.cap <= 2 * HPACK_KEEP_MAX && h.table.slots <= 512);
	CHECK_BLOCK(&h, "be bf", "n: 39999\nn: 39998\n");
	CHECK_BLOCK(&h, "ff ff 7f", "?: ?\n"); /* there, but not kept */
	/* an entry above what is kept: the newer ones are exact all the same */
	memcpy(block, "\x40\x01n\x7f\xb1\xe9\x01", 7);
	memset(block + 7, 'v', 30000);
	CHECK_INT(hpack_decode(&h, slice_of(block, 30007), say, NULL), 0);
	CHECK_BLOCK(&h, "40 0161 0162 be bf c0", "a: b\na: b\n?: ?\n?: ?\n");
	hpack_fini(&h);
}

static void count(void *arg, const struct hpack_field *f)
{
	*(size_t *)arg += f->value.n;
}

/* Many references to one large entry cost nothing here; a Huffman string is decoded up to a limit only. */
static void test_hpack__bombs(void)
{
	_free_ char *block = malloc(1 << 20);
	size_t total = 0;
	struct hpack h;

	hpack_init(&h);
	memcpy(block, "\x40\x01n\x7f\xa1\x1e", 6); /* 4,000 bytes of value */
	memset(block + 6, 'v', 4000);
	memset(block + 4006, 0xbe, 60000);
	CHECK_INT(hpack_decode(&h, slice_of(block, 64006), count, &total), 0);
	CHECK_INT(total, 60001 * 4000);
	memcpy(block, "\x40\x01n\xff\x81\xff\x3e", 7); /* 1,032,065 bytes of Huffman code, zeros are the digit 0 */
	memset(block + 7, 0, 1032065);
	total = 0;
	CHECK_INT(hpack_decode(&h, slice_of(block, 7 + 1032065 - 65), count, &total), -EPROTO);
	memcpy(block, "\x40\x01n\xff\x81\xfe\x3b", 7); /* 982,912 */
	CHECK_INT(hpack_decode(&h, slice_of(block, 7 + 0x3b * 16384 + 0x7e * 128 + 0x80), count, &total), 0);
	CHECK_INT(total, 0);
	CHECK(h.scratch.cap <= HPACK_SCRATCH_MAX);
	hpack_fini(&h);
}

/* ---- a real encoder's table, and decoders that came late or missed blocks ---- */

#define MODEL_ENTRIES 2100
#define FIELDS 12
#define BLOCK_MAX (FIELDS * 70000)

struct model_entry {
	uint16_t name, value_n; /* the name's number and the value's length; the value repeats its own number */
	uint32_t value;
};

static struct model {
	struct model_entry entries[MODEL_ENTRIES]; /* newest first */
	uint32_t n, size, max, limit, serial;
	struct rng rng;
	unsigned char *wire;
	size_t wire_n;
	struct model_entry fields[FIELDS];
	uint32_t n_fields;
} m;

static uint32_t chance(uint32_t n)
{
	return (uint32_t)(rng_next(&m.rng) % n);
}

static void put_integer(uint8_t top, unsigned bits, uint32_t v)
{
	uint32_t prefix = (1u << bits) - 1;

	m.wire[m.wire_n++] = (uint8_t)(top | MIN(v, prefix));
	if (v < prefix)
		return;
	for (v -= prefix; v >= 128; v >>= 7)
		m.wire[m.wire_n++] = (uint8_t)(v | 0x80);
	m.wire[m.wire_n++] = (uint8_t)v;
}

static size_t name_text(uint16_t name, char *to)
{
	return (size_t)sprintf(to, "name-%u", name);
}

static void value_text(const struct model_entry *e, char *to)
{
	for (uint32_t i = 0; i < e->value_n; i++)
		to[i] = (char)('0' + (e->value >> (i % 8 * 4) & 15));
}

static void put_name(uint16_t name)
{
	char text[32];
	size_t n = name_text(name, text);

	put_integer(0, 7, (uint32_t)n);
	memcpy(m.wire + m.wire_n, text, n);
	m.wire_n += n;
}

static uint32_t size_of(const struct model_entry *e)
{
	char text[32];

	return (uint32_t)name_text(e->name, text) + e->value_n + 32;
}

static void model_evict(uint32_t room)
{
	while (m.n && m.size + room > m.max)
		m.size -= size_of(&m.entries[--m.n]);
}

static void model_insert(const struct model_entry *e)
{
	model_evict(size_of(e));
	if (size_of(e) > m.max)
		return;
	memmove(m.entries + 1, m.entries, m.n++ * sizeof(*e));
	m.entries[0] = *e;
	m.size += size_of(e);
}

static void put_literal(void)
{
	static const uint16_t large[] = { 300, 2000, 4000, 5000, 16300, 20000, 60000 };
	uint32_t kind = chance(8), index = m.n && chance(2) ? 1 + chance(m.n) : 0;
	struct model_entry e = { (uint16_t)chance(50), (uint16_t)chance(60), ++m.serial };

	if (!chance(40))
		e.value_n = large[chance(ARRAY_SIZE(large))];
	if (index)
		e.name = m.entries[index - 1].name;
	put_integer(kind < 5 ? 0x40 : kind < 7 ? 0 : 0x10, kind < 5 ? 6 : 4, index ? index + 61 : 0);
	if (!index)
		put_name(e.name);
	put_integer(0, 7, e.value_n);
	value_text(&e, (char *)m.wire + m.wire_n);
	m.wire_n += e.value_n;
	m.fields[m.n_fields++] = e;
	if (kind < 5)
		model_insert(&e);
}

static void model_block(bool resize)
{
	static const uint32_t sizes[] = { 0, 60, 300, 1000, 4096, 4096, 4096, 16384, 20000, 65536 };

	m.wire_n = m.n_fields = 0;
	if (resize && !chance(30)) {
		m.max = MIN(sizes[chance(ARRAY_SIZE(sizes))], m.limit);
		put_integer(0x20, 5, m.max);
		model_evict(0);
	}
	for (uint32_t i = chance(FIELDS); i > 0; i--) {
		uint32_t index = m.n ? chance(m.n) : 0;

		if (m.n && chance(2)) {
			put_integer(0x80, 7, index + 62);
			m.fields[m.n_fields++] = m.entries[index];
		} else {
			put_literal();
		}
	}
}

struct witness {
	struct hpack h;
	uint32_t at;
	unsigned long wrong, known, unknown;
};

static void compare(void *arg, const struct hpack_field *f)
{
	static char text[1 << 16];
	struct witness *w = arg;
	const struct model_entry *e = &m.fields[w->at++];
	size_t n = name_text(e->name, text);

	if (f->flags & HPACK_NAME_UNKNOWN ? f->name.n != 0 : !slice_eq(f->name, slice_of(text, n)))
		w->wrong++;
	value_text(e, text);
	if (f->flags & HPACK_VALUE_UNKNOWN ? f->value.n != 0 : !slice_eq(f->value, slice_of(text, e->value_n)))
		w->wrong++;
	if (f->flags & (HPACK_NAME_UNKNOWN | HPACK_VALUE_UNKNOWN))
		w->unknown++;
	else
		w->known++;
}

static void witness_block(struct witness *w)
{
	_free_ char *copy = malloc(m.wire_n + 1);

	w->at = 0;
	memcpy(copy, m.wire, m.wire_n);
	if (hpack_decode(&w->h, slice_of(copy, m.wire_n), compare, w) || w->at != m.n_fields)
		w->wrong++;
}

static void play(uint64_t seed, uint32_t limit, bool resize, struct witness *whole, struct witness *late, struct witness *deaf)
{
	m.n = m.size = 0;
	m.max = 4096;
	m.limit = limit;
	rng_seed(&m.rng, seed, limit);
	hpack_limit(&whole->h, limit);
	hpack_limit(&deaf->h, limit);
	for (int i = 0; i < 300; i++) {
		model_block(resize);
		witness_block(whole);
		if (i == 100)
			hpack_lost(&late->h);
		if (i >= 100)
			witness_block(late);
		if (chance(40))
			witness_block(deaf);
		else
			hpack_lost(&deaf->h);
	}
}

static void model(uint32_t limit, bool resize)
{
	unsigned long unknown = 0;

	m.wire = malloc(BLOCK_MAX);
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct witness whole = { 0 }, late = { 0 }, deaf = { 0 };

		hpack_init(&whole.h);
		hpack_init(&late.h);
		hpack_init(&deaf.h);
		play(seed, limit, resize, &whole, &late, &deaf);
		CHECK_INT(whole.wrong, 0);
		CHECK_INT(late.wrong, 0);
		CHECK_INT(deaf.wrong, 0);
		CHECK(whole.known && late.known && deaf.known);
		CHECK(limit > HPACK_KEEP_MAX || !whole.unknown);
		unknown += late.unknown + deaf.unknown;
		hpack_fini(&whole.h);
		hpack_fini(&late.h);
		hpack_fini(&deaf.h);
	}
	CHECK(unknown > 0);
	free(m.wire);
}

static void test_hpack__model(void)
{
	model(4096, false);
	model(4096, true);
	model(16384, true);
}

/* Tables above what is kept; the late one was told nothing of them. */
static void test_hpack__model_large(void)
{
	model(65536, true);
}

int main(void)
{
	RUN(test_hpack__rfc_fields);
	RUN(test_hpack__rfc_requests);
	RUN(test_hpack__rfc_responses);
	RUN(test_hpack__huffman_padding);
	RUN(test_hpack__bad_blocks);
	RUN(test_hpack__joined);
	RUN(test_hpack__heals);
	RUN(test_hpack__huge_announcement);
	RUN(test_hpack__bombs);
	RUN(test_hpack__model);
	RUN(test_hpack__model_large);
	return tap_done();
}
