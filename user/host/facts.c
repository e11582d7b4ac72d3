// SPDX-License-Identifier: Apache-2.0
#include "host/facts.h"

#include "base/scope.h"
#include "base/stats.h"
#include "host/text.h"

#define LAYER_KEY SLICE("\1") /* no attribute has this name: the value is the layer of what follows */

struct item {
	uint8_t type; /* ATTR_STRING, ATTR_INT or ATTR_STRINGS */
	uint8_t key;
	uint16_t value;
};

void facts_begin(struct buf *b, uint64_t start, uint64_t exec)
{
	struct facts_head head = {.version = FACTS_VERSION, .start = start, .exec = exec};

	buf_reset(b);
	buf_append(b, &head, sizeof(head));
}

static void set_head(struct buf *b, size_t at, uint64_t value)
{
	if (b->n >= sizeof(struct facts_head))
		memcpy(b->p + at, &value, sizeof(value));
}

void facts_end(struct buf *b, uint64_t read)
{
	set_head(b, offsetof(struct facts_head, read), read);
}

void facts_answer(struct buf *b, uint64_t exec)
{
	set_head(b, offsetof(struct facts_head, exec), exec);
}

static void put(struct buf *b, uint8_t type, struct slice key, const void *value, size_t n)
{
	struct item item = {type, (uint8_t)key.n, (uint16_t)n};

	if (!key.n)
		return;
	if (key.n > UINT8_MAX || !buf_room(b, sizeof(item) + key.n + n)) {
		stat_inc(resource_cut);
		return;
	}
	buf_append(b, &item, sizeof(item));
	buf_str(b, key);
	buf_append(b, value, n);
}

static void put_text(struct buf *b, uint8_t type, struct slice key, struct slice value)
{
	if (value.n > TEXT_MAX)
		stat_inc(resource_cut);
	put(b, type, key, value.p, MIN(value.n, (size_t)TEXT_MAX));
}

void facts_text(struct buf *b, struct slice key, struct slice value)
{
	put_text(b, ATTR_STRING, key, value);
}

void facts_number(struct buf *b, struct slice key, int64_t value)
{
	put(b, ATTR_INT, key, &value, sizeof(value));
}

void facts_list(struct buf *b, struct slice key, struct slice value)
{
	put_text(b, ATTR_STRINGS, key, value);
}

void facts_layer(struct buf *b, enum facts_layer layer)
{
	facts_number(b, LAYER_KEY, layer);
}

bool facts_declarable(struct slice key)
{
	return !slice_starts(key, SLICE("process.")) && !slice_starts(key, SLICE("telemetry.sdk.")) && !slice_eq(key, LAYER_KEY);
}

void facts_declare(struct buf *b, struct slice key, struct slice value)
{
	if (!facts_declarable(key))
		return;
	if (value.n && memmem(value.p, value.n, "$(", 2))
		return;
	if (value.n || !slice_eq(key, SLICE("service.name")))
		facts_text(b, key, value);
}

bool facts_open(struct slice data, struct facts_head *head, struct slice *items)
{
	if (data.n < sizeof(*head))
		return false;
	memcpy(head, data.p, sizeof(*head));
	*items = slice_from(data, sizeof(*head));
	return head->version == FACTS_VERSION;
}

static bool next_item(struct slice *items, struct attr *out)
{
	struct slice rest = *items, value;
	struct item item;

	if (rest.n < sizeof(item))
		return false;
	memcpy(&item, rest.p, sizeof(item));
	rest = slice_from(rest, sizeof(item));
	if (!item.key || rest.n < (size_t)item.key + item.value)
		return false;
	value = slice_of(rest.p + item.key, item.value);
	if (item.type != ATTR_STRING && item.type != ATTR_STRINGS &&
	    (item.type != ATTR_INT || value.n != sizeof(out->i)))
		return false;
	*out = (struct attr){.key = slice_to(rest, item.key), .type = item.type};
	if (item.type == ATTR_INT)
		memcpy(&out->i, value.p, sizeof(out->i));
	else
		out->s = value;
	*items = slice_from(rest, (size_t)item.key + item.value);
	return true;
}

bool facts_next(struct slice *items, unsigned *layer, struct attr *out)
{
	struct attr a;

	while (next_item(items, &a)) {
		if (a.type != ATTR_INT || !slice_eq(a.key, LAYER_KEY)) {
			*out = a;
			return true;
		}
		*layer = a.i >= 0 && a.i < FACTS_LAYERS ? (unsigned)a.i : FACTS_FOUND;
	}
	return false;
}

struct slice facts_get(struct slice data, enum facts_layer layer, struct slice key)
{
	struct slice items, found = SLICE_NONE;
	struct facts_head head;
	unsigned at = FACTS_FOUND;
	struct attr a;

	if (!facts_open(data, &head, &items))
		return SLICE_NONE;
	while (facts_next(&items, &at, &a))
		if (at == layer && a.type == ATTR_STRING && slice_eq(a.key, key))
			found = a.s;
	return found;
}
