// SPDX-License-Identifier: Apache-2.0
/* Header blocks: integers, strings and the representations of RFC 7541 §6. What is unknown, and why: see the header. */
#include "proto/hpack.h"

#include <errno.h>

#include "base/scope.h"
#include "proto/hpack_huffman.h"
#include "proto/hpack_table.h"

#define INTEGER_BYTES 5		    /* after the prefix: 32 bits and more, §7.4 lets us stop there */
#define TABLE_PLAUSIBLE (64U << 20) /* an index that needs a larger table is none */
#define SCRATCH_KEPT 4096	    /* between blocks */

struct reader {
	const unsigned char *p, *end;
};

/* A string as it stands in the block. */
struct coded {
	struct slice raw;
	bool huffman;
};

int hpack_init(struct hpack *h)
{
	*h = (struct hpack){ .table.max = HPACK_LIMIT_DEFAULT, .limit = HPACK_LIMIT_DEFAULT, .max_proven = true };
	buf_init(&h->scratch, HPACK_SCRATCH_MAX);
	return 0;
}

void hpack_fini(struct hpack *h)
{
	hpack_table_fini(&h->table);
	buf_fini(&h->scratch);
}

/* A smaller limit bounds the table: a larger one would have to be reduced first thing in the next block (§4.2). */
void hpack_limit(struct hpack *h, uint32_t limit)
{
	h->limit = limit;
	if (!h->max_proven && limit < h->table.max)
		hpack_table_set_max(&h->table, limit);
}

void hpack_lost(struct hpack *h)
{
	h->table.max = MAX(h->table.max, h->limit);
	h->max_proven = false;
	hpack_table_clear(&h->table, true);
}

bool hpack_exact(const struct hpack *h)
{
	struct hpack_field f;

	if (h->table.old)
		return false;
	for (uint32_t i = 1; hpack_table_get(&h->table, i, &f); i++)
		if (f.flags)
			return false;
	return true;
}

/* ---- integers and strings, §5 ---- */

static int read_more(struct reader *r, uint32_t max, uint32_t *out)
{
	uint64_t v = max;

	for (unsigned i = 0; i < INTEGER_BYTES && r->p < r->end; i++) {
		unsigned char b = *r->p++;

		v += (uint64_t)(b & 0x7f) << (7 * i);
		if (b & 0x80)
			continue;
		if (v > UINT32_MAX)
			return -EPROTO;
		*out = (uint32_t)v;
		return 0;
	}
	return -EPROTO;
}

static inline int read_integer(struct reader *r, uint32_t prefix, uint32_t *out)
{
	*out = *r->p++ & prefix;
	return *out < prefix ? 0 : read_more(r, prefix, out);
}

static int read_string(struct reader *r, struct coded *s)
{
	uint32_t n;

	if (r->p == r->end)
		return -EPROTO;
	s->huffman = *r->p & 0x80;
	if (read_integer(r, 0x7f, &n) || n > (size_t)(r->end - r->p))
		return -EPROTO;
	s->raw = slice_of((const char *)r->p, n);
	r->p += n;
	return 0;
}

/* In the scratch buffer, which has the room. */
static int decode_string(struct buf *scratch, const struct coded *s, struct slice *out)
{
	char *to = scratch->p + scratch->n;
	ptrdiff_t n = hpack_huffman_decode(to, s->raw);

	if (n < 0)
		return (int)n;
	*out = slice_of(to, (size_t)n);
	scratch->n += (size_t)n;
	return 0;
}

/* ---- fields, §6 ---- */

/* An index beyond what is known. That it can be used says how large the table is at least. */
static int beyond(struct hpack *h, uint32_t index, struct hpack_field *f)
{
	struct hpack_table *t = &h->table;
	uint64_t proof = t->size + (uint64_t)(index - t->n) * HPACK_ENTRY_SIZE;

	if ((!t->old && h->max_proven) || proof > TABLE_PLAUSIBLE)
		return -EPROTO;
	if (proof > t->max) {
		if (h->max_proven)
			return -EPROTO;
		t->max = h->limit >= proof ? h->limit : UINT32_MAX;
	}
	t->old = true;
	*f = (struct hpack_field){ .flags = HPACK_NAME_UNKNOWN | HPACK_VALUE_UNKNOWN };
	return 0;
}

static inline int look_up(struct hpack *h, uint32_t index, struct hpack_field *f)
{
	if (!index)
		return -EPROTO;
	if (index <= HPACK_STATIC_N) {
		*f = hpack_static[index];
		return 0;
	}
	index -= HPACK_STATIC_N;
	return hpack_table_get(&h->table, index, f) ? 0 : beyond(h, index, f);
}

/* Larger than the real table it empties that; larger than what is kept, or than a bound that is none, it may be in it. */
static int insert(struct hpack *h, const struct hpack_field *f)
{
	uint64_t size = (uint64_t)HPACK_ENTRY_SIZE + f->name.n + f->value.n;

	if (size <= MIN(h->table.max, (uint32_t)HPACK_KEEP_MAX))
		return hpack_table_insert(&h->table, f);
	hpack_table_clear(&h->table, !(h->max_proven && size > h->table.max && size > h->limit));
	return 0;
}

/* What is to be decoded, or copied because it is the table's own and the insertion may move or evict it, is left in *name. */
static int read_name(struct hpack *h, struct reader *r, uint32_t index, struct hpack_field *f, struct coded *name)
{
	int err = index ? look_up(h, index, f) : read_string(r, name);

	if (err)
		return err;
	if (!index) {
		f->name = name->raw;
		name->raw.n = name->huffman ? name->raw.n : 0;
	} else {
		name->raw = index > HPACK_STATIC_N ? f->name : SLICE_NONE;
	}
	f->flags &= HPACK_NAME_UNKNOWN;
	return 0;
}

static size_t room_of(const struct coded *s)
{
	return s->huffman ? HPACK_HUFFMAN_ROOM(s->raw.n) : s->raw.n;
}

/* -E2BIG: the strings are longer than what we decode. */
static int decode_strings(struct buf *scratch, const struct coded *name, const struct coded *value, struct hpack_field *f)
{
	size_t room = room_of(name) + (value->huffman ? room_of(value) : 0);
	int err = 0;

	buf_reset(scratch);
	if (room > HPACK_SCRATCH_MAX)
		return -E2BIG;
	if (room && !buf_room(scratch, room))
		return -ENOMEM;
	if (name->huffman) {
		err = decode_string(scratch, name, &f->name);
	} else if (name->raw.n) {
		f->name = slice_of(scratch->p, name->raw.n);
		err = buf_str(scratch, name->raw);
	}
	f->value = value->raw;
	return err || !value->huffman ? err : decode_string(scratch, value, &f->value);
}

static int read_literal(struct hpack *h, struct reader *r, bool incremental, struct hpack_field *f)
{
	bool never = !incremental && *r->p & 0x10;
	struct coded name = { 0 }, value;
	uint32_t index;
	int err;

	*f = (struct hpack_field){ 0 };
	if (read_integer(r, incremental ? 0x3f : 0x0f, &index))
		return -EPROTO;
	err = read_name(h, r, index, f, &name);
	if (!err)
		err = read_string(r, &value);
	if (!err)
		err = decode_strings(&h->scratch, &name, &value, f);
	if (err == -E2BIG) {
		*f = (struct hpack_field){ .flags = HPACK_NAME_UNKNOWN | HPACK_VALUE_UNKNOWN };
		err = 0;
	}
	if (never)
		f->flags |= HPACK_NEVER_INDEXED;
	return err;
}

/* The encoder's word; the limit only says what it may be (§6.3). */
static int read_size(struct hpack *h, struct reader *r)
{
	uint32_t max;

	if (read_integer(r, 0x1f, &max))
		return -EPROTO;
	if (!h->max_proven && max > h->table.max)
		h->table.old = true; /* it may have been that large before */
	h->max_proven = true;
	hpack_table_set_max(&h->table, max);
	return 0;
}

static int decode(struct hpack *h, struct reader *r, void (*field)(void *arg, const struct hpack_field *f), void *arg)
{
	bool begun = false;

	while (r->p < r->end) {
		unsigned char b = *r->p;
		struct hpack_field f;
		uint32_t index;
		int err;

		if ((b & 0xe0) == 0x20) {
			err = begun ? -EPROTO : read_size(h, r);
			if (err)
				return err;
			continue;
		}
		begun = true;
		if (b & 0x80)
			err = read_integer(r, 0x7f, &index) ? -EPROTO : look_up(h, index, &f);
		else
			err = read_literal(h, r, b & 0x40, &f);
		if (err)
			return err;
		field(arg, &f);
		if ((b & 0xc0) == 0x40)
			err = insert(h, &f);
		if (err)
			return err;
	}
	return 0;
}

int hpack_decode(struct hpack *h, struct slice block, void (*field)(void *arg, const struct hpack_field *f), void *arg)
{
	struct reader r = { (const unsigned char *)block.p, (const unsigned char *)block.p + block.n };
	int err = decode(h, &r, field, arg);

	if (err)
		hpack_lost(h);
	if (h->scratch.cap > SCRATCH_KEPT) {
		buf_fini(&h->scratch);
		buf_init(&h->scratch, HPACK_SCRATCH_MAX);
	}
	return err;
}
