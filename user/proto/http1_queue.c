// SPDX-License-Identifier: Apache-2.0
/* Requests that wait for their answer. What frames a response is its request's kind: two bits each. */
#include "proto/http1.h"

static enum http1_kind kind_of(const struct http1_queue *q, uint64_t key)
{
	unsigned slot = key % HTTP1_QUEUE_MAX;

	if (key >= q->unknown_from && key <= q->unknown_to)
		return KIND_UNKNOWN;
	return (q->kinds[slot / 32] >> slot % 32 * 2) & 3;
}

static void push_unknown(struct http1_queue *q, uint64_t key)
{
	if (q->unknown_to < key - q->n) /* those of before are answered */
		q->unknown_from = key;
	q->unknown_to = key;
}

uint64_t http1_queue_push(struct http1_queue *q, enum http1_kind kind)
{
	uint64_t key = ++q->last;
	unsigned slot = key % HTTP1_QUEUE_MAX, shift = slot % 32 * 2;

	if (q->n >= HTTP1_QUEUE_MAX)
		push_unknown(q, key);
	else
		q->kinds[slot / 32] = (q->kinds[slot / 32] & ~(3ULL << shift)) | (uint64_t)kind << shift;
	q->n++;
	return key;
}

bool http1_queue_front(const struct http1_queue *q, uint64_t *key, enum http1_kind *kind)
{
	if (q->n <= q->stale)
		return false;
	*key = q->last - (q->n - q->stale) + 1;
	*kind = kind_of(q, *key);
	return true;
}

enum http1_kind http1_queue_newest(const struct http1_queue *q)
{
	return q->n > q->stale ? kind_of(q, q->last) : KIND_OTHER;
}

static void keep_newest(struct http1_queue *q, uint32_t n)
{
	q->n = n;
	q->stale = 0;
}

void http1_queue_pop(struct http1_queue *q)
{
	if (q->n > q->stale)
		keep_newest(q, q->n - q->stale - 1);
}

bool http1_queue_forget_before(struct http1_queue *q, uint64_t key)
{
	if (key > q->last || q->last - key >= q->n)
		return false;
	keep_newest(q, (uint32_t)(q->last - key) + 1);
	return true;
}
