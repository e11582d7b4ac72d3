// SPDX-License-Identifier: Apache-2.0
#include "host/container.h"

#include "base/hex.h"

#define ID_LENGTH 64

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The monitor of a container runs in a scope of its own, named after the container: it is not
 * inside. */
static bool is_monitor(struct slice before)
{
	struct slice name = SLICE("conmon-");

	return before.n >= name.n && !memcmp(before.p + before.n - name.n, name.p, name.n);
}

/* The last id of the path: an outer runtime's (kind, docker in docker) stands before it. */
static struct slice last_id(struct slice path)
{
	struct slice found = SLICE_NONE;
	size_t run = 0;

	for (size_t i = 0; i <= path.n; i++) {
		size_t start = i - run;

		if (i < path.n && hex_digit(path.p[i]) >= 0) {
			run++;
			continue;
		}
		if (run == ID_LENGTH && (i == path.n || !is_word(path.p[i])) &&
		    (!start || !is_word(path.p[start - 1])) && !is_monitor(slice_to(path, start)))
			found = slice_of(path.p + start, run);
		run = 0;
	}
	return found;
}

struct slice container_id(struct slice text)
{
	struct slice line, id, controllers;

	while (slice_split(&text, '\n', &line)) {
		/* hierarchy:controllers:path, and the path may hold colons itself */
		if (!slice_split(&line, ':', &id) || !slice_split(&line, ':', &controllers) ||
		    !line.p)
			continue;
		id = last_id(line);
		if (id.n)
			return id;
	}
	return SLICE_NONE;
}
