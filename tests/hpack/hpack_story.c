// SPDX-License-Identifier: Apache-2.0
/*
 * Stories of header blocks against the decoder: read whole, joined before every block, and with every block lost.
 *
 * Input, a line each: `story NAME`, `limit N` (announced before the next block), `block HEX`, `field HEX HEX` (of that block;
 * `-` is empty). Output, a line a story and way (whole, joined, lost):
 * NAME WAY runs fields known wrong exact-after-median exact-after-max never-exact claims-broken
 * wrong counts fields that differ from the story, are too few or too many, and blocks refused; claims-broken counts unknown fields
 * while the table was said to be exact. Blocks until exact are those decoded after the start, never-exact the runs that
 * ended before.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "proto/hpack.h"

#define BLOCKS_MAX 4096
#define FIELDS_MAX (1 << 16)

struct block {
	struct slice wire;
	long limit; /* -1: none */
	size_t first, n;
};

static struct story {
	char name[256];
	size_t n_blocks, n_fields;
	struct block blocks[BLOCKS_MAX];
	struct hpack_field fields[FIELDS_MAX];
} story;

struct result {
	unsigned long runs, fields, known, wrong, broken, never, n_exact;
	unsigned exact[BLOCKS_MAX];
};

struct reading {
	const struct block *block;
	size_t at;
	bool exact; /* the decoder said so */
	struct result *result;
};

static bool part_wrong(struct slice got, struct slice want, bool unknown)
{
	return unknown ? got.n != 0 : !slice_eq(got, want);
}

static void on_field(void *arg, const struct hpack_field *f)
{
	struct reading *r = arg;
	const struct hpack_field *want = &story.fields[r->block->first + r->at];
	bool name_unknown = f->flags & HPACK_NAME_UNKNOWN, value_unknown = f->flags & HPACK_VALUE_UNKNOWN;

	if (r->at++ >= r->block->n || part_wrong(f->name, want->name, name_unknown) ||
	    part_wrong(f->value, want->value, value_unknown))
		r->result->wrong++;
	r->result->fields++;
	r->result->known += !name_unknown && !value_unknown;
	r->result->broken += (name_unknown || value_unknown) && r->exact;
}

static void read_block(struct hpack *h, const struct block *b, bool exact, struct result *result)
{
	struct reading r = { b, 0, exact, result };

	if (hpack_decode(h, b->wire, on_field, &r) || r.at != b->n)
		result->wrong++;
}

/* From block `from` on; what is before `lost` was read, SETTINGS included. Joined: nothing was. */
static void run(size_t seen, size_t from, struct result *result)
{
	struct result before = { 0 };
	unsigned long exact_after = 0;
	bool exact = false;
	struct hpack h;

	hpack_init(&h);
	for (size_t i = 0; i < story.n_blocks; i++) {
		const struct block *b = &story.blocks[i];

		if (i == from && from)
			hpack_lost(&h);
		if (b->limit >= 0 && (seen || i > from || !from))
			hpack_limit(&h, (uint32_t)b->limit);
		if (i < seen)
			read_block(&h, b, false, &before);
		if (i < from)
			continue;
		read_block(&h, b, exact, result);
		exact_after += !exact;
		exact = exact || hpack_exact(&h);
	}
	result->runs++;
	if (exact)
		result->exact[result->n_exact++] = (unsigned)exact_after;
	else
		result->never++;
	hpack_fini(&h);
}

static int by_value(const void *a, const void *b)
{
	return *(const unsigned *)a < *(const unsigned *)b ? -1 : 1;
}

static void print_result(const char *way, struct result *r)
{
	qsort(r->exact, r->n_exact, sizeof(r->exact[0]), by_value);
	printf("%s %s %lu %lu %lu %lu %u %u %lu %lu\n", story.name, way, r->runs, r->fields, r->known, r->wrong,
	       r->n_exact ? r->exact[r->n_exact / 2] : 0, r->n_exact ? r->exact[r->n_exact - 1] : 0, r->never, r->broken);
}

static void run_story(void)
{
	static struct result whole, joined, lost;

	if (!story.n_blocks)
		return;
	whole = joined = lost = (struct result){ 0 };
	run(0, 0, &whole);
	for (size_t from = 1; from < story.n_blocks; from++) {
		run(0, from, &joined);
		run(from - 1, from, &lost);
	}
	print_result("whole", &whole);
	print_result("joined", &joined);
	print_result("lost", &lost);
}

static void clear_story(void)
{
	for (size_t i = 0; i < story.n_blocks; i++)
		free((char *)story.blocks[i].wire.p);
	for (size_t i = 0; i < story.n_fields; i++) {
		free((char *)story.fields[i].name.p);
		free((char *)story.fields[i].value.p);
	}
	story.n_blocks = story.n_fields = 0;
}

/* In memory of its own size, so that a sanitizer sees a read behind it. */
static struct slice from_hex(const char *hex)
{
	size_t n = hex && strcmp(hex, "-") ? strlen(hex) / 2 : 0;
	char *p = malloc(n + !n);
	unsigned byte;

	for (size_t i = 0; i < n && sscanf(hex + 2 * i, "%2x", &byte) == 1; i++)
		p[i] = (char)byte;
	return slice_of(p, n);
}

static int read_line(char *line, long *limit)
{
	char *rest = line, *word = strsep(&rest, " "), *first = strsep(&rest, " "), *second = strsep(&rest, " ");

	if (!strcmp(word, "story") && first) {
		run_story();
		clear_story();
		snprintf(story.name, sizeof(story.name), "%s", first);
	} else if (!strcmp(word, "limit") && first) {
		*limit = atol(first);
	} else if (!strcmp(word, "block") && first && story.n_blocks < BLOCKS_MAX) {
		story.blocks[story.n_blocks++] = (struct block){ from_hex(first), *limit, story.n_fields, 0 };
		*limit = -1;
	} else if (!strcmp(word, "field") && second && story.n_blocks && story.n_fields < FIELDS_MAX) {
		story.fields[story.n_fields++] = (struct hpack_field){ from_hex(first), from_hex(second), 0 };
		story.blocks[story.n_blocks - 1].n++;
	} else {
		return -EINVAL;
	}
	return 0;
}

int main(void)
{
	_free_ char *line = NULL;
	size_t cap = 0;
	long limit = -1;

	while (getline(&line, &cap, stdin) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (read_line(line, &limit)) {
			fprintf(stderr, "not understood: %.100s\n", line);
			return 1;
		}
	}
	run_story();
	clear_story();
	return 0;
}
