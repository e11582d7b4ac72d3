// SPDX-License-Identifier: Apache-2.0
#include "export/ring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/scope.h"

#define POSITIONS 36000
#define WEIGHT 100 /* points of one end point */
#define NAME_MAX_BYTES 300

struct ring {
	uint32_t owner[POSITIONS]; /* of each position: the end point of the next point, itself included */
};

struct named {
	char text[NAME_MAX_BYTES];
	uint32_t index;
};

static void name_of(struct named *to, const char *url, uint32_t index)
{
	const char *host = strstr(url, "://"), *at, *port;
	size_t n;

	to->index = index;
	if (!host || !strncmp(url, "unix:", 5)) {
		snprintf(to->text, sizeof(to->text), "%s", url);
		return;
	}
	host += 3;
	n = strcspn(host, "/?#");
	at = memrchr(host, '@', n);
	if (at) {
		n -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	port = memrchr(host, ':', n);
	if (port && memchr(port, ']', n - (size_t)(port - host)))
		port = NULL; /* inside [v6] */
	snprintf(to->text, sizeof(to->text), "%.*s%s", (int)n, host, port ? "" : ":4317");
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->text, ((const struct named *)b)->text);
}

static uint32_t position(const void *p, size_t n, const uint8_t *last)
{
	uLong crc = crc32(0, p, (uInt)n);

	return (uint32_t)((last ? crc32(crc, last, 1) : crc) % POSITIONS);
}

/* A position that is taken keeps its owner. */
static void put_points(struct ring *r, const struct named *end_point)
{
	for (unsigned i = 0; i < WEIGHT; i++) {
		uint8_t last = (uint8_t)i;
		uint32_t *owner = &r->owner[position(end_point->text, strlen(end_point->text), &last)];

		if (*owner == UINT32_MAX)
			*owner = end_point->index;
	}
}

/* From each point back to the one before it; the last point's way leads round to the first. */
static void fill(struct ring *r)
{
	uint32_t next = UINT32_MAX;

	for (uint32_t i = 0; i < POSITIONS && next == UINT32_MAX; i++)
		next = r->owner[i];
	for (uint32_t i = POSITIONS; i-- > 0;) {
		if (r->owner[i] == UINT32_MAX)
			r->owner[i] = next;
		next = r->owner[i];
	}
}

int ring_new(struct ring **out, const char *const *urls, uint32_t n)
{
	_free_ struct named *names = calloc(n, sizeof(*names));
	struct ring *r = malloc(sizeof(*r));

	if (!names || !r) {
		free(r);
		return -ENOMEM;
	}
	memset(r->owner, 0xff, sizeof(r->owner));
	for (uint32_t i = 0; i < n; i++)
		name_of(&names[i], urls[i], i);
	qsort(names, n, sizeof(*names), by_text);
	for (uint32_t i = 0; i < n; i++)
		put_points(r, &names[i]);
	fill(r);
	*out = r;
	return 0;
}

void ring_free(struct ring *r)
{
	free(r);
}

uint32_t ring_owner(const struct ring *r, const uint8_t trace_id[16])
{
	return r->owner[position(trace_id, 16, NULL)];
}
