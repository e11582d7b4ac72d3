// SPDX-License-Identifier: Apache-2.0
#include <bpf/libbpf.h>
#include <errno.h>

#include "probe/inner.h"
#include "spandrel.skel.h"
#include "tap.h"

/* A kernel that has everything, and sockets with storage. */
static struct features all_features(void)
{
	struct features f = { 0 };

	memset(f.has, true, sizeof(f.has));
	return f;
}

static size_t row_of(const char *prog, const char *func)
{
	for (size_t i = 0; i < n_probe_rows; i++)
		if (!strcmp(probe_rows[i].prog, prog) && (!func || (probe_rows[i].func && !strcmp(probe_rows[i].func, func))))
			return i;
	return n_probe_rows;
}

/* Every row names a program of the object; those that attach by themselves say to what. */
static void test_table__programs(void)
{
	struct spandrel_bpf *skel = spandrel_bpf__open();

	REQUIRE(skel);
	for (size_t i = 0; i < n_probe_rows; i++) {
		const struct bpf_program *prog = bpf_object__find_program_by_name(skel->obj, probe_rows[i].prog);

		REQUIRE(prog);
		CHECK((probe_rows[i].func != NULL) == (bpf_program__section_name(prog)[0] == 'k'));
		if (probe_rows[i].ways == WAY_FENTRY)
			CHECK(strstr(bpf_program__section_name(prog), probe_rows[i].name));
	}
	spandrel_bpf__destroy(skel);
}

/* Every program of the object has a row: none is forgotten. */
static void test_table__rows(void)
{
	struct spandrel_bpf *skel = spandrel_bpf__open();
	struct bpf_program *prog;

	REQUIRE(skel);
	bpf_object__for_each_program(prog, skel->obj)
		CHECK(row_of(bpf_program__name(prog), NULL) < n_probe_rows);
	spandrel_bpf__destroy(skel);
}

static void test_features__missing(void)
{
	struct features f = all_features();

	CHECK(!features_missing(&f, WAY_FENTRY) && !features_missing(&f, WAY_SOCKTP) && !features_missing(&f, WAY_KPROBE));
	f.has[row_of("on_recv", NULL)] = false;
	CHECK(!features_missing(&f, WAY_FENTRY) && features_missing(&f, WAY_SOCKTP) == &probe_rows[row_of("on_recv", NULL)]);
	f.has[row_of("on_exec", NULL)] = false;
	CHECK(features_missing(&f, WAY_FENTRY) && features_missing(&f, WAY_KPROBE));
}

static void test_features__optional(void)
{
	struct features f = all_features();

	for (size_t i = 0; i < n_probe_rows; i++)
		f.has[i] = probe_rows[i].need != NEED_OPTIONAL && probe_rows[i].need != NEED_IF_THERE;
	CHECK(!features_missing(&f, WAY_FENTRY) && !features_missing(&f, WAY_SOCKTP) && !features_missing(&f, WAY_KPROBE));
}

/* The ends of sockets are needed exactly where their state is in a table. */
static void test_features__hashed(void)
{
	size_t inet = row_of("fentry_inet_sock_destruct", NULL), un = row_of("fentry_unix_sock_destructor", NULL);
	size_t probe = row_of("enter_destruct", "inet_sock_destruct");
	struct features f = all_features();

	CHECK(!probe_wanted(&f, inet, WAY_FENTRY) && probe_wanted(&f, un, WAY_FENTRY) && !probe_required(&f, un, WAY_FENTRY));
	CHECK(probe_required(&f, probe, WAY_KPROBE) && !probe_wanted(&f, probe, WAY_FENTRY));
	f.way.hashed = 1;
	CHECK(probe_required(&f, inet, WAY_FENTRY) && probe_required(&f, un, WAY_FENTRY) && !probe_wanted(&f, un, WAY_SOCKTP));
	f.has[un] = false;
	CHECK(features_missing(&f, WAY_FENTRY) == &probe_rows[un]);
}

static void test_backend__names(void)
{
	CHECK(!backend_check(NULL) && !backend_check("auto") && !backend_check("fentry") && !backend_check("kprobe"));
	CHECK(backend_allows("auto", &way_rows[1]) && backend_allows("socktp", &way_rows[1]) && !backend_allows("socktp", &way_rows[0]));
}

int main(void)
{
	RUN(test_table__programs);
	RUN(test_table__rows);
	RUN(test_features__missing);
	RUN(test_features__optional);
	RUN(test_features__hashed);
	RUN(test_backend__names);
	return tap_done();
}
