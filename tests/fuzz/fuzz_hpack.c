// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target for the HPACK decoder. The input is blocks, each behind a byte: its length, or above 250 what happens before:
 * 255 a loss, 254 and 253 other limits. Two decoders see the same, one of them only after the first loss: what both know must
 * be the same, and the first to come knows all that the other does.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "proto/hpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIELDS_MAX 256

static struct {
	char text[1024];
	size_t name_n, value_n;
	uint8_t flags;
} fields[FIELDS_MAX];
static size_t n_fields, at;

static void need(bool truth)
{
	if (!truth)
		abort();
}

static void check_field(const struct hpack_field *f)
{
	need(!(f->flags & HPACK_NAME_UNKNOWN) || !f->name.n);
	need(!(f->flags & HPACK_VALUE_UNKNOWN) || !f->value.n);
	need(f->name.n <= HPACK_SCRATCH_MAX && f->value.n <= HPACK_SCRATCH_MAX);
}

static void first(void *arg, const struct hpack_field *f)
{
	(void)arg;
	check_field(f);
	if (n_fields == FIELDS_MAX || f->name.n + f->value.n > sizeof(fields[0].text)) {
		n_fields = FIELDS_MAX; /* not compared from here on */
		return;
	}
	fields[n_fields].name_n = f->name.n;
	fields[n_fields].value_n = f->value.n;
	fields[n_fields].flags = f->flags;
	if (f->name.n)
		memcpy(fields[n_fields].text, f->name.p, f->name.n);
	if (f->value.n)
		memcpy(fields[n_fields].text + f->name.n, f->value.p, f->value.n);
	n_fields++;
}

static void second(void *arg, const struct hpack_field *f)
{
	size_t i = at++;

	(void)arg;
	check_field(f);
	if (i >= n_fields || n_fields == FIELDS_MAX)
		return;
	if (!(f->flags & HPACK_NAME_UNKNOWN))
		need(!(fields[i].flags & HPACK_NAME_UNKNOWN) &&
		     slice_eq(f->name, slice_of(fields[i].text, fields[i].name_n)));
	if (!(f->flags & HPACK_VALUE_UNKNOWN))
		need(!(fields[i].flags & HPACK_VALUE_UNKNOWN) &&
		     slice_eq(f->value, slice_of(fields[i].text + fields[i].name_n, fields[i].value_n)));
}

static void check_table(const struct hpack *h)
{
	const struct hpack_table *t = &h->table;

	need(t->size <= HPACK_KEEP_MAX && t->size <= t->max && t->n * 32 <= t->size);
	need(t->cap <= 2 * HPACK_KEEP_MAX && t->slots <= HPACK_KEEP_MAX / 32 && h->scratch.cap <= HPACK_SCRATCH_MAX);
	(void)hpack_exact(h);
}

/* The late one may know less; an error of the first voids both alike, for a peer would have closed the connection. */
static void block(struct hpack *h, struct hpack *late, const uint8_t *p, size_t n)
{
	char *copy = malloc(n + 1); /* the sanitizer guards its end */

	memcpy(copy, p, n);
	n_fields = at = 0;
	if (hpack_decode(h, slice_of(copy, n), first, NULL)) {
		hpack_lost(late);
	} else {
		(void)hpack_decode(late, slice_of(copy, n), second, NULL);
	}
	check_table(h);
	check_table(late);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hpack h, late;

	hpack_init(&h);
	hpack_init(&late);
	hpack_lost(&late);
	for (size_t i = 0; i < size;) {
		uint8_t n = data[i++];

		if (n == 255) {
			hpack_lost(&late);
		} else if (n > 252) {
			hpack_limit(&h, n == 254 ? 65536 : 256);
			hpack_limit(&late, n == 254 ? 65536 : 256);
		} else {
			size_t left = size - i, take = n > 250 ? left : n < left ? n : left;

			block(&h, &late, data + i, take);
			i += take;
		}
	}
	hpack_fini(&h);
	hpack_fini(&late);
	return 0;
}
