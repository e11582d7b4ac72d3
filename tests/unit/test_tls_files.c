// SPDX-License-Identifier: Apache-2.0
#include "probe/tls_files.h"

#include <errno.h>

#include "tap.h"

static struct file_id id(uint64_t ino)
{
	return (struct file_id){ .ino = ino, .dev = 5, .size = 100, .mtime = 1 };
}

static struct tls_file *add(struct tls_files *f, uint64_t ino)
{
	struct file_id i = id(ino);
	struct tls_file *file = NULL;

	return tls_files_add(f, &i, 0, &file) ? NULL : file;
}

static unsigned n_gone;

static void gone(void *arg, const struct file_id *i)
{
	(void)arg;
	(void)i;
	n_gone++;
}

static void test_tls_files__once_a_process(void)
{
	struct tls_files f;
	struct tls_file *a, *b;

	tls_files_init(&f);
	a = add(&f, 1);
	b = add(&f, 2);
	REQUIRE(a && b);
	tls_files_hold(&f, 10, a);
	tls_files_hold(&f, 10, a);
	tls_files_hold(&f, 10, b);
	tls_files_hold(&f, 11, a);
	CHECK_INT(a->processes, 2);
	CHECK_INT(b->processes, 1);
	tls_files_drop(&f, 10, 50);
	CHECK_INT(a->processes, 1);
	CHECK_INT(b->processes, 0);
	CHECK(!tls_files_idle(&f, 59, 10));
	CHECK(tls_files_idle(&f, 60, 10) == b);
	tls_files_drop(&f, 10, 70);
	CHECK_INT(a->processes, 1);
	tls_files_drop(&f, 11, 80);
	CHECK_INT(a->idle_since, 80);
	tls_files_fini(&f);
}

/* A storm of short-lived processes: the file is never idle for long enough. */
static void test_tls_files__grace(void)
{
	struct tls_files f;
	struct tls_file *a;

	tls_files_init(&f);
	a = add(&f, 1);
	REQUIRE(a);
	for (uint32_t i = 0; i < 1000; i++) {
		tls_files_hold(&f, i + 1, a);
		CHECK(!tls_files_idle(&f, i * 9, 10));
		tls_files_drop(&f, i + 1, i * 9);
		CHECK(!tls_files_idle(&f, i * 9 + 9, 10));
	}
	CHECK(tls_files_idle(&f, 999 * 9 + 10, 10) == a);
	tls_files_fini(&f);
}

static void test_tls_files__ten_thousand(void)
{
	struct tls_files f;
	struct tls_file *a;

	tls_files_init(&f);
	a = add(&f, 1);
	REQUIRE(a);
	tls_files_hold(&f, 1, a);
	for (uint32_t pid = 2; pid <= 10000; pid++)
		tls_files_fork(&f, pid / 2, pid, 0);
	CHECK_INT(a->processes, 10000);
	for (uint32_t pid = 10000; pid > 1; pid--)
		tls_files_drop(&f, pid, 5);
	CHECK_INT(a->processes, 1);
	CHECK(!tls_files_idle(&f, 1000, 10));
	tls_files_drop(&f, 1, 6);
	CHECK(tls_files_idle(&f, 1000, 10) == a);
	CHECK(!a->pinned);
	tls_files_fini(&f);
}

/* The number of a process whose end was not told is given again. */
static void test_tls_files__number_again(void)
{
	struct tls_files f;
	struct tls_file *a, *b;

	tls_files_init(&f);
	a = add(&f, 1);
	b = add(&f, 2);
	REQUIRE(a && b);
	tls_files_hold(&f, 10, a);
	tls_files_hold(&f, 20, b);
	tls_files_fork(&f, 20, 10, 1);
	CHECK_INT(a->processes, 0);
	CHECK_INT(b->processes, 2);
	tls_files_fork(&f, 20, 20, 1);
	CHECK_INT(b->processes, 2);
	tls_files_fork(&f, 99, 20, 1); /* a parent that maps nothing */
	CHECK_INT(b->processes, 1);
	tls_files_fini(&f);
}

static void test_tls_files__names(void)
{
	struct tls_files f;
	struct tls_file *a;
	struct file_id one = id(1), two = id(2), changed = id(1);

	tls_files_init(&f);
	a = add(&f, 1);
	REQUIRE(a);
	CHECK_INT(tls_files_name(&f, &two, a), 0);
	CHECK_INT(tls_files_name(&f, &two, a), 0);
	CHECK(tls_files_find(&f, &one) == a);
	CHECK(tls_files_find(&f, &two) == a);
	changed.size++;
	CHECK(!tls_files_find(&f, &changed));
	CHECK(tls_files_version(&f, &changed) == a);
	CHECK(!tls_files_version(&f, &one));
	n_gone = 0;
	tls_files_remove(&f, a, gone, NULL);
	CHECK_INT(n_gone, 2);
	CHECK(!tls_files_find(&f, &one) && !tls_files_find(&f, &two));
	tls_files_fini(&f);
}

static bool is_even(void *arg, uint32_t pid)
{
	(void)arg;
	return !(pid & 1);
}

static void test_tls_files__check(void)
{
	struct tls_files f;
	struct tls_file *a;

	tls_files_init(&f);
	a = add(&f, 1);
	REQUIRE(a);
	for (uint32_t pid = 1; pid <= 5000; pid++)
		tls_files_hold(&f, pid, a);
	tls_files_check(&f, is_even, NULL, 7);
	CHECK_INT(a->processes, 2500);
	tls_files_drop_all(&f, 8);
	CHECK_INT(a->processes, 0);
	CHECK_INT(a->idle_since, 8);
	tls_files_fini(&f);
}

/* What cannot be counted must not be let go. */
static void test_tls_files__limits(void)
{
	struct tls_files f;
	struct tls_file *a, *last = NULL, *none = NULL;
	struct file_id more = id(TLS_FILES_MAX + 1);

	tls_files_init(&f);
	a = add(&f, 1);
	REQUIRE(a);
	for (uint32_t pid = 1; pid <= TLS_PROCESSES_MAX; pid++)
		tls_files_hold(&f, pid, a);
	CHECK(!a->pinned);
	tls_files_hold(&f, TLS_PROCESSES_MAX + 1, a);
	CHECK(a->pinned);
	tls_files_drop_all(&f, 0);
	CHECK_INT(a->processes, 0);
	CHECK(!tls_files_idle(&f, 1000, 10));
	for (uint64_t i = 2; i <= TLS_FILES_MAX; i++) {
		last = add(&f, i);
		REQUIRE(last);
		tls_files_hold(&f, 7, last);
	}
	CHECK_INT(tls_files_add(&f, &more, 0, &none), -ENOSPC);
	CHECK(last->pinned && !last->processes); /* too many for one process */
	tls_files_fini(&f);
}

int main(void)
{
	RUN(test_tls_files__once_a_process);
	RUN(test_tls_files__grace);
	RUN(test_tls_files__ten_thousand);
	RUN(test_tls_files__number_again);
	RUN(test_tls_files__names);
	RUN(test_tls_files__check);
	RUN(test_tls_files__limits);
	return tap_done();
}
