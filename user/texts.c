// SPDX-License-Identifier: Apache-2.0
#include "texts.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/scope.h"

/* Index of the name, which is added if need be; -E2BIG (said), -ENOMEM. */
static int capture_index(struct texts *t, struct slice name)
{
	char *copy;

	for (size_t i = 0; i < t->n_capture; i++)
		if (slice_eq_nocase(t->capture[i], name))
			return (int)i;
	if (t->n_capture == CAPTURE_MAX)
		return log_ret(-E2BIG, "--capture-header: expected at most %d names", CAPTURE_MAX);
	copy = strndup(name.p, name.n);
	if (!copy)
		return -ENOMEM;
	for (char *c = copy; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	t->capture[t->n_capture] = slice_str(copy);
	return (int)t->n_capture++;
}

/* NAME or NAME:plain */
static int capture_add(struct texts *t, const char *text)
{
	struct slice name = slice_str(text);
	bool plain = config_header_plain(&name);
	int i = capture_index(t, name);

	if (i >= 0 && plain && t->n_plain < CAPTURE_MAX)
		t->plain[t->n_plain++] = t->capture[i];
	return MIN(i, 0);
}

static int capture_add_all(struct texts *t, const struct strlist *l)
{
	int r = 0;

	for (size_t i = 0; i < l->n && !r; i++)
		r = capture_add(t, l->v[i]);
	return r;
}

static int as_slices(const struct strlist *l, struct slice **out)
{
	struct slice *v = calloc(l->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < l->n; i++)
		v[i] = slice_str(l->v[i]);
	*out = v;
	return 0;
}

int texts_init(struct texts *t, const struct config *c)
{
	int r = capture_add(t, "x-request-id");

	if (!r)
		r = capture_add(t, "x-correlation-id");
	if (!r)
		r = capture_add_all(t, &c->trace.correlation_header);
	if (!r)
		r = capture_add_all(t, &c->protocols.capture_header);
	if (!r)
		r = as_slices(&c->protocols.keep_query, &t->keep_query);
	if (!r)
		r = as_slices(&c->identity.resource, &t->resource);
	return r;
}

void texts_fini(struct texts *t)
{
	for (size_t i = 0; i < t->n_capture; i++)
		free((char *)t->capture[i].p);
	free(t->keep_query);
	free(t->resource);
}
