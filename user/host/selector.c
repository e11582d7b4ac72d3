// SPDX-License-Identifier: Apache-2.0
#include "host/selector.h"

#include <stdlib.h>

#include "base/scope.h"
#include "glob.h"

struct words { /* of one kind; owned */
	char **v;
	size_t n;
};

struct selector {
	struct words want[SELECT_KINDS], not[SELECT_KINDS];
};

enum answer { NO, YES, OPEN };

/* ---- the lists ---- */

static bool words_copy(struct words *w, const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	w->v = calloc(n + 1, sizeof(*w->v));
	while (w->v && w->n < n && (w->v[w->n] = strdup(list[w->n])))
		w->n++;
	return w->v && w->n == n;
}

static void words_free(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
}

void selector_free(struct selector *s)
{
	for (int kind = 0; s && kind < SELECT_KINDS; kind++) {
		words_free(&s->want[kind]);
		words_free(&s->not[kind]);
	}
	free(s);
}

static void free_selector(struct selector **s)
{
	selector_free(*s);
}

struct selector *selector_new(const struct selector_lists *lists)
{
	_cleanup_(free_selector) struct selector *s = calloc(1, sizeof(*s));

	for (int kind = 0; s && kind < SELECT_KINDS; kind++)
		if (!words_copy(&s->want[kind], lists->want[kind]) || !words_copy(&s->not[kind], lists->not[kind]))
			return NULL;
	return TAKE_PTR(s);
}

bool selector_wants(const struct selector *s, enum selector_kind kind)
{
	return s->want[kind].n || s->not[kind].n;
}

bool selector_excludes(const struct selector *s)
{
	bool any = false;

	for (int kind = 0; kind < SELECT_KINDS; kind++)
		any |= s->not[kind].n > 0;
	return any;
}

/* ---- one word ---- */

static bool like(struct slice pattern, struct slice text)
{
	return glob_match(pattern.p, (uint32_t)pattern.n, text.p, (uint32_t)text.n);
}

/* The pattern and anything behind it. */
static bool begins_like(struct slice pattern, struct slice text)
{
	for (size_t n = 0; n <= text.n; n++)
		if (like(pattern, slice_to(text, n)))
			return true;
	return false;
}

static bool label_like(const struct pod *p, struct slice word)
{
	struct slice rest = word, key = SLICE_NONE, value;

	slice_split(&rest, '=', &key);
	value = pod_label(p, key);
	return rest.p && value.p && like(rest, value);
}

static bool word_fits(struct slice word, enum selector_kind kind, const struct subject *of)
{
	switch (kind) {
	case SELECT_CONTAINER:
		return of->container ? like(word, of->container->name) : begins_like(word, of->id);
	case SELECT_SPACE:
		return like(word, of->pod->namespace);
	case SELECT_POD:
		return like(word, of->pod->name);
	default:
		return label_like(of->pod, word);
	}
}

/* ---- a kind ---- */

/* Can it be said at all? NO: it has nothing of the kind, and never will. */
static enum answer known(enum selector_kind kind, const struct subject *of)
{
	if (kind != SELECT_CONTAINER)
		return of->pod ? YES : of->in_pod ? OPEN : NO;
	if (of->container)
		return YES;
	if (!of->id.n || of->pod)
		return OPEN;
	return of->in_pod && !of->nameless ? OPEN : YES;
}

static enum answer ask(const struct words *w, enum selector_kind kind, const struct subject *of)
{
	enum answer can = known(kind, of);

	if (can != YES)
		return can;
	for (size_t i = 0; i < w->n; i++)
		if (word_fits(slice_str(w->v[i]), kind, of))
			return YES;
	return kind == SELECT_LABEL && of->pod->labels_cut ? OPEN : NO; /* it may be among those */
}

enum choice selector_choose(const struct selector *s, const struct subject *of)
{
	bool open = false, wanted = false, no = false;

	for (int kind = 0; kind < SELECT_KINDS; kind++) {
		enum answer not = s->not[kind].n ? ask(&s->not[kind], kind, of) : NO;
		enum answer want = s->want[kind].n ? ask(&s->want[kind], kind, of) : YES;

		if (not == YES)
			return CHOICE_EXCLUDED;
		wanted |= s->want[kind].n > 0;
		open |= not == OPEN || want == OPEN;
		no |= want == NO;
	}
	if (no || (!open && !wanted))
		return CHOICE_NO;
	return open ? CHOICE_OPEN : CHOICE_YES;
}
