// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include "host/selector.h"

#define HEX "3f2a9c00000000000000000000000000000000000000000000000000000000ab"

static const struct pod_container app = { .name = { "app", 3 }, .id = { HEX, 64 } };
static const struct pod_pair labels[] = { { { "app", 3 }, { "web", 3 } }, { { "tier", 4 }, { "", 0 } } };
static const struct pod web = { .namespace = { "shop", 4 }, .name = { "web-7d4b9-x2", 12 }, .labels = labels, .n_labels = 2,
				.containers = &app, .n_containers = 1 };

#define IN_POD  .id = { HEX, 64 }, .in_pod = true
static const struct subject known = { .pod = &web, .container = &app, IN_POD };
static const struct subject fresh = { .pod = &web, IN_POD };	  /* its status does not name the container yet */
static const struct subject unknown = { IN_POD };		  /* nor is there a pod */
static const struct subject nameless = { IN_POD, .nameless = true };
static const struct subject whole = { .pod = &web, .in_pod = true };
static const struct subject whole_unknown = { .in_pod = true };
static const struct subject plain = { .id = { HEX, 64 } };

/* One option as it stands on the command line: kind, pattern. */
struct word {
	enum selector_kind kind;
	const char *pattern;
	bool not;
};

static enum choice choose(const struct word *words, size_t n, const struct subject *of)
{
	const char *want[SELECT_KINDS][4] = { { NULL } }, *not[SELECT_KINDS][4] = { { NULL } };
	size_t n_want[SELECT_KINDS] = { 0 }, n_not[SELECT_KINDS] = { 0 };
	struct selector_lists l = { { NULL }, { NULL } };
	enum choice got;
	struct selector *s;

	for (size_t i = 0; i < n; i++) {
		enum selector_kind k = words[i].kind;

		*(words[i].not ? &not[k][n_not[k]++] : &want[k][n_want[k]++]) = words[i].pattern;
	}
	for (int k = 0; k < SELECT_KINDS; k++) {
		l.want[k] = n_want[k] ? want[k] : NULL;
		l.not[k] = n_not[k] ? not[k] : NULL;
	}
	s = selector_new(&l);
	got = selector_choose(s, of);
	selector_free(s);
	return got;
}

#define WORDS(...) (const struct word[]){ __VA_ARGS__ }, sizeof((const struct word[]){ __VA_ARGS__ }) / sizeof(struct word)
#define C(p) { SELECT_CONTAINER, p, false }
#define S(p) { SELECT_SPACE, p, false }
#define P(p) { SELECT_POD, p, false }
#define L(p) { SELECT_LABEL, p, false }
#define NC(p) { SELECT_CONTAINER, p, true }
#define NS(p) { SELECT_SPACE, p, true }
#define NP(p) { SELECT_POD, p, true }
#define NL(p) { SELECT_LABEL, p, true }

/* What each subject is to one command line. */
#define ROW(k, f, u, n, w, wu, p, ...)                                                                     \
	do {                                                                                               \
		CHECK_INT(choose(WORDS(__VA_ARGS__), &known), CHOICE_##k);                                 \
		CHECK_INT(choose(WORDS(__VA_ARGS__), &fresh), CHOICE_##f);                                 \
		CHECK_INT(choose(WORDS(__VA_ARGS__), &unknown), CHOICE_##u);                               \
		CHECK_INT(choose(WORDS(__VA_ARGS__), &nameless), CHOICE_##n);                              \
		CHECK_INT(choose(WORDS(__VA_ARGS__), &whole), CHOICE_##w);                                 \
		CHECK_INT(choose(WORDS(__VA_ARGS__), &whole_unknown), CHOICE_##wu);                        \
		CHECK_INT(choose(WORDS(__VA_ARGS__), &plain), CHOICE_##p);                                 \
	} while (0)

static void test_selector__one_kind(void)
{
	/*  known     fresh     unknown nameless  whole     whole_unknown plain */
	ROW(YES, OPEN, OPEN, NO, OPEN, OPEN, NO, C("app"));
	ROW(YES, OPEN, OPEN, NO, OPEN, OPEN, NO, C("a?p*"));
	ROW(NO, OPEN, OPEN, NO, OPEN, OPEN, NO, C("ap"));
	ROW(NO, OPEN, OPEN, YES, OPEN, OPEN, YES, C("3f2a9c"));
	ROW(NO, OPEN, OPEN, YES, OPEN, OPEN, YES, C("3f*9c"));
	ROW(NO, OPEN, OPEN, NO, OPEN, OPEN, NO, C("f2a9c"));
	ROW(YES, YES, OPEN, OPEN, YES, OPEN, NO, S("shop"));
	ROW(YES, YES, OPEN, OPEN, YES, OPEN, NO, S("sh*"));
	ROW(NO, NO, OPEN, OPEN, NO, OPEN, NO, S("sho"));
	ROW(YES, YES, OPEN, OPEN, YES, OPEN, NO, P("web-*"));
	ROW(NO, NO, OPEN, OPEN, NO, OPEN, NO, P("web"));
	ROW(YES, YES, OPEN, OPEN, YES, OPEN, NO, L("app=web"));
	ROW(YES, YES, OPEN, OPEN, YES, OPEN, NO, L("app=*"));
	ROW(NO, NO, OPEN, OPEN, NO, OPEN, NO, L("app=we"));
	ROW(YES, YES, OPEN, OPEN, YES, OPEN, NO, L("tier="));
	ROW(NO, NO, OPEN, OPEN, NO, OPEN, NO, L("other="));
}

static void test_selector__alternatives_and_kinds(void)
{
	ROW(YES, YES, OPEN, OPEN, YES, OPEN, NO, S("other"), S("shop"));
	ROW(YES, YES, OPEN, OPEN, YES, OPEN, NO, S("shop"), L("app=web"));
	ROW(NO, NO, OPEN, OPEN, NO, OPEN, NO, S("shop"), L("app=db"));
	ROW(YES, OPEN, OPEN, NO, OPEN, OPEN, NO, S("shop"), C("app"));
	ROW(NO, NO, OPEN, OPEN, NO, OPEN, NO, S("other"), C("3f"));
}

static void test_selector__an_exclusion_wins(void)
{
	ROW(EXCLUDED, EXCLUDED, OPEN, OPEN, EXCLUDED, OPEN, NO, S("shop"), NP("web-*"));
	ROW(YES, YES, OPEN, OPEN, YES, OPEN, NO, S("shop"), NP("db-*"));
	ROW(EXCLUDED, EXCLUDED, OPEN, OPEN, EXCLUDED, OPEN, NO, S("shop"), NS("*"));
	ROW(EXCLUDED, OPEN, OPEN, OPEN, OPEN, OPEN, NO, S("shop"), NC("app"));
	ROW(EXCLUDED, EXCLUDED, OPEN, OPEN, EXCLUDED, OPEN, NO, S("other"), NL("app=web"));
}

/* Alone: what is not ruled out is simply not. */
static void test_selector__exclusions_alone(void)
{
	ROW(EXCLUDED, EXCLUDED, OPEN, OPEN, EXCLUDED, OPEN, NO, NS("shop"));
	ROW(NO, NO, OPEN, OPEN, NO, OPEN, NO, NS("kube-system"));
	ROW(EXCLUDED, OPEN, OPEN, NO, OPEN, OPEN, NO, NC("app"));
	ROW(NO, OPEN, OPEN, EXCLUDED, OPEN, OPEN, EXCLUDED, NC("3f2a"));
}

static void test_selector__what_it_wants(void)
{
	const char *list[] = { "a", NULL };
	struct selector_lists l = { { NULL }, { NULL } };
	struct selector *s;

	l.want[SELECT_POD] = list;
	s = selector_new(&l);
	CHECK(selector_wants(s, SELECT_POD) && !selector_wants(s, SELECT_SPACE) && !selector_excludes(s));
	selector_free(s);
	l.not[SELECT_SPACE] = list;
	s = selector_new(&l);
	CHECK(selector_wants(s, SELECT_SPACE) && selector_excludes(s));
	selector_free(s);
	selector_free(NULL);
}

/* Of a pod with more labels than are kept nobody knows that it has one not. */
static void test_selector__labels_that_were_cut(void)
{
	struct pod cut = web;
	struct subject of = known;

	cut.labels_cut = true;
	of.pod = &cut;
	CHECK_INT(choose(WORDS(NL("secret=yes")), &known), CHOICE_NO);
	CHECK_INT(choose(WORDS(NL("secret=yes")), &of), CHOICE_OPEN);
	CHECK_INT(choose(WORDS(S("shop"), NL("secret=yes")), &of), CHOICE_OPEN);
	CHECK_INT(choose(WORDS(L("secret=yes")), &of), CHOICE_OPEN);
	CHECK_INT(choose(WORDS(L("app=web")), &of), CHOICE_YES);
	CHECK_INT(choose(WORDS(NL("app=web")), &of), CHOICE_EXCLUDED);
}

int main(void)
{
	RUN(test_selector__one_kind);
	RUN(test_selector__alternatives_and_kinds);
	RUN(test_selector__an_exclusion_wins);
	RUN(test_selector__exclusions_alone);
	RUN(test_selector__what_it_wants);
	RUN(test_selector__labels_that_were_cut);
	return tap_done();
}
