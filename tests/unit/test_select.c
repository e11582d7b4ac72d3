// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "glob.h"
#include "probe/inner.h"
#include "tap.h"

static bool globs(const char *pattern, const char *text)
{
	return glob_match(pattern, (uint32_t)strlen(pattern), text, (uint32_t)strlen(text));
}

static void test_glob__table(void)
{
	CHECK(globs("", "") && !globs("", "a") && globs("*", "") && globs("*", "a/b") && !globs("?", ""));
	CHECK(globs("nginx", "nginx") && !globs("nginx", "nginx2") && !globs("nginx", "ngin"));
	CHECK(globs("/usr/*/nginx", "/usr/local/sbin/nginx") && !globs("/usr/*/nginx", "/opt/nginx"));
	CHECK(globs("a*b*c", "aXbXbYc") && !globs("a*b*c", "aXbXbY") && globs("*ab", "aab") && globs("**a**", "a"));
	CHECK(globs("a?c", "abc") && !globs("a?c", "ac") && globs("[a]", "[a]") && !globs("[a]", "a"));
}

/* A plain recursion says what is right for every short pattern and string over a small alphabet. */
static bool plain(const char *p, const char *s)
{
	if (*p == '*')
		return plain(p + 1, s) || (*s && plain(p, s + 1));
	if (!*p || !*s)
		return !*p && !*s;
	return (*p == '?' || *p == *s) && plain(p + 1, s + 1);
}

static void nth_word(char *to, int n, const char *alphabet)
{
	int base = (int)strlen(alphabet);

	for (; n; n = (n - 1) / base)
		*to++ = alphabet[(n - 1) % base];
	*to = '\0';
}

static void test_glob__all_short_ones(void)
{
	char p[8], s[8];
	int wrong = 0;

	for (int i = 0; i < 1365; i++) /* up to five of four letters */
		for (int k = 0; k < 127; k++) { /* up to six of two */
			nth_word(p, i, "ab*?");
			nth_word(s, k, "ab");
			wrong += globs(p, s) != plain(p, s);
		}
	CHECK_INT(wrong, 0);
}

static struct knobs knobs;
static char error[256];

static int select_one(struct select s)
{
	error[0] = '\0';
	return select_knobs(&knobs, &s, error, sizeof(error));
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static bool port_bit(const uint8_t *bits, int port)
{
	return bits[port / 8] >> (port % 8) & 1;
}

static void test_select__ports(void)
{
	CHECK_INT(select_one((struct select){ .port = LIST("8080", "1-3", "65535"), .not_port = LIST("9-9") }), 0);
	CHECK(knobs.port_need && knobs.port_exclude && !knobs.need && !knobs.check);
	CHECK(port_bit(knobs.port_bits, 8080) && port_bit(knobs.port_bits, 1) && port_bit(knobs.port_bits, 3));
	CHECK(port_bit(knobs.port_bits, 65535) && !port_bit(knobs.port_bits, 4) && !port_bit(knobs.port_bits, 9));
	CHECK(port_bit(knobs.port_not, 9) && !port_bit(knobs.port_not, 8080));
}

static void test_select__kinds_and_exclusions(void)
{
	CHECK_INT(select_one((struct select){ .exe = LIST("nginx", "/usr/*"), .not_comm = LIST("sh"), .pid = LIST("12") }), 0);
	CHECK_INT(knobs.need, SEL_EXE | SEL_PID);
	CHECK_INT(knobs.check, SEL_EXE | SEL_PID | SEL_COMM);
	CHECK(knobs.n_exe == 2 && knobs.exe[0].last && !knobs.exe[1].last && knobs.n_comm == 1 && knobs.comm[0].exclude);
	CHECK(knobs.n_pid == 1 && knobs.pid[0].id == 12 && !knobs.pid[0].exclude);
	CHECK_INT(select_one((struct select){ .all = true, .not_exe = LIST("a") }), 0); /* nothing is left of the one before */
	CHECK(!knobs.need && knobs.check == SEL_EXE && knobs.n_exe == 1 && !knobs.n_pid && !knobs.port_need);
}

/* What pods and containers are called is user space's to say; until it has, nothing is selected that could be ruled out. */
static void test_select__by_container(void)
{
	CHECK_INT(select_one((struct select){ .kube = true, .exe = LIST("a") }), 0);
	CHECK(knobs.need == (SEL_KUBE | SEL_EXE) && knobs.check == (SEL_KUBE | SEL_EXE));
	CHECK_INT(select_one((struct select){ .all = true, .not_kube = true, .wait = true }), 0);
	CHECK(knobs.need == SEL_KUBE && knobs.check == SEL_KUBE);
	CHECK_INT(select_one((struct select){ .all = true, .not_kube = true }), 0);
	CHECK(!knobs.need && knobs.check == SEL_KUBE);
	CHECK_INT(select_one((struct select){ .kube = true, .all = true }), -EINVAL);
	CHECK_INT(select_one((struct select){ .not_kube = true }), -EINVAL);
}

static void refused(struct select s, const char *names)
{
	CHECK_INT(select_one(s), -EINVAL);
	CHECK(strstr(error, names) && !strchr(error, '\n'));
}

static void test_select__refusals_name_the_option(void)
{
	char *long_glob = malloc(SEL_GLOB_MAX + 2);
	const char *many[SEL_MAX + 2] = { 0 };

	memset(long_glob, 'a', SEL_GLOB_MAX + 1);
	long_glob[SEL_GLOB_MAX + 1] = '\0';
	for (int i = 0; i <= SEL_MAX; i++)
		many[i] = "1";
	refused((struct select){ 0 }, "--all");
	refused((struct select){ .not_exe = LIST("a") }, "--pid");
	refused((struct select){ .all = true, .port = LIST("1") }, "--all");
	for (const char *const *p = LIST("", "0", "65536", "1-", "-1", "3-2", "a", "1-2-3", "1 "); *p; p++)
		refused((struct select){ .port = LIST(*p) }, "--port");
	refused((struct select){ .pid = LIST("0") }, "--pid");
	refused((struct select){ .pid = LIST("1x") }, "--pid");
	refused((struct select){ .not_pid = LIST("-1"), .all = true }, "--exclude-pid");
	refused((struct select){ .pid = many }, "--pid");
	refused((struct select){ .exe = LIST("") }, "--exe");
	refused((struct select){ .comm = LIST(long_glob) }, "--comm");
	refused((struct select){ .cgroup = LIST("/no/such/group") }, "--cgroup");
	free(long_glob);
}

int main(void)
{
	RUN(test_glob__table);
	RUN(test_glob__all_short_ones);
	RUN(test_select__ports);
	RUN(test_select__kinds_and_exclusions);
	RUN(test_select__by_container);
	RUN(test_select__refusals_name_the_option);
	return tap_done();
}
