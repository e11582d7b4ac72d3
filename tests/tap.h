/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small test harness. A test is a function `static void test_suite__case(void)`, listed in main:
 * int main(void) { RUN(test_suite__case); …; return tap_done(); }
 * CHECK goes on after a failure, REQUIRE leaves the test. Output is TAP; the exit status says whether all passed.
 */
#ifndef SPANDREL_TAP_H
#define SPANDREL_TAP_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_n, tap_failed;
static bool tap_bad;

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			tap_bad = true;                                                            \
			printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #cond);              \
		}                                                                                  \
	} while (0)

#define CHECK_INT(got, want)                                                                       \
	do {                                                                                       \
		long long _g = (long long)(got), _w = (long long)(want);                           \
		if (_g != _w) {                                                                    \
			tap_bad = true;                                                            \
			printf("# %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, _g, _w); \
		}                                                                                  \
	} while (0)

/* got: struct slice, want: C string */
#define CHECK_SLICE(got, want)                                                                     \
	do {                                                                                       \
		struct slice _s = (got);                                                           \
		const char *_w = (want);                                                           \
		if (_s.n != strlen(_w) || (_s.n && memcmp(_s.p, _w, _s.n))) {                      \
			tap_bad = true;                                                            \
			printf("# %s:%d: %s is \"%.*s\", not \"%s\"\n", __FILE__, __LINE__, #got,  \
			       (int)_s.n, _s.p ? _s.p : "", _w);                                   \
		}                                                                                  \
	} while (0)

#define REQUIRE(cond)                                                                              \
	do {                                                                                       \
		CHECK(cond);                                                                       \
		if (tap_bad)                                                                       \
			return;                                                                    \
	} while (0)

#define RUN(fn) tap_run(#fn, fn)
#define SKIP(name, why) printf("ok %d - %s # SKIP %s\n", ++tap_n, name, why)

static void tap_run(const char *name, void (*fn)(void))
{
	tap_bad = false;
	fn();
	tap_failed += tap_bad;
	printf("%s %d - %s\n", tap_bad ? "not ok" : "ok", ++tap_n, name);
	fflush(stdout);
}

static int tap_done(void)
{
	printf("1..%d\n", tap_n);
	return tap_failed ? 1 : 0;
}

#endif
