// SPDX-License-Identifier: Apache-2.0
#include "probe/tls_look.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/scope.h"
#include "probe/tls_sites.h"
#include "tap.h"

/* The files that fuzzing begins with, which are of x86-64. */
static enum look_result look_at(const char *path, struct tls_look **out)
{
	struct tls_opened file = { .fd = open(path, O_RDONLY | O_CLOEXEC) };
	enum look_result r;

	if (tls_look_new(out, &file))
		return LOOK_MORE;
	do
		r = tls_look_step(*out);
	while (r == LOOK_MORE || r == LOOK_LATER);
	return r;
}

/* Four names for one function: it gets the probes of the first, once. */
static void test_tls_look__aliases(void)
{
	_cleanup_(tls_look_free) struct tls_look *l = NULL;
	_free_ struct tls_sites *s = malloc(sizeof(*s));

	REQUIRE(look_at("tests/fuzz/seeds/elf/dynamic", &l) == LOOK_TLS);
	REQUIRE(!tls_sites_find(s, l->scan, true));
	CHECK_INT(s->libraries, 1u << TLS_OPENSSL);
	CHECK_INT(s->n_places, 1);
	CHECK_INT(s->n, 2);
	CHECK_INT(s->site[0].program, UPROBE_READ);
	CHECK_INT(s->site[0].offset, 0x200);
	CHECK(!s->site[0].ret);
	CHECK_INT(s->site[1].program, UPROBE_DONE);
	CHECK_INT(s->site[1].offset, 0x200);
	CHECK(s->site[1].ret);
	REQUIRE(!tls_sites_find(s, l->scan, false));
	CHECK_INT(s->site[0].offset, 0x204); /* its call, behind sub $0x18,%rsp */
}

static void test_tls_look__static_symbols(void)
{
	_cleanup_(tls_look_free) struct tls_look *l = NULL;

	CHECK_INT(look_at("tests/fuzz/seeds/elf/static", &l), LOOK_TLS);
}

static void test_tls_look__without_symbols(void)
{
	_cleanup_(tls_look_free) struct tls_look *l = NULL;

	CHECK_INT(look_at("tests/fuzz/seeds/elf/stripped", &l), LOOK_UNREADABLE);
	CHECK(l && !strcmp(tls_look_guess(l), "openssl"));
}

/* It has the words, but takes the functions from a library. */
static void test_tls_look__imports(void)
{
	_cleanup_(tls_look_free) struct tls_look *l = NULL;

	CHECK_INT(look_at("tests/fuzz/seeds/elf/imports", &l), LOOK_PLAIN);
}

/* Every row can be found by its name, and no name is there twice. */
static void test_tls_look__rows(void)
{
	for (size_t i = 0; i < n_tls_rows; i++) {
		CHECK(strlen(tls_rows[i].symbol) <= ELF_NAME_MAX && tls_rows[i].program < UPROBE_DONE && tls_rows[i].args <= 6);
		for (size_t j = 0; j < i; j++)
			CHECK(strcmp(tls_rows[i].symbol, tls_rows[j].symbol));
	}
}

int main(void)
{
#ifdef __x86_64__
	RUN(test_tls_look__aliases);
	RUN(test_tls_look__static_symbols);
	RUN(test_tls_look__without_symbols);
	RUN(test_tls_look__imports);
#else
	SKIP("test_tls_look__files", "the files are of x86-64");
#endif
	RUN(test_tls_look__rows);
	return tap_done();
}
