// SPDX-License-Identifier: Apache-2.0
/* Functions and places in Go programs: made-up ones in each layout, each obligation broken once, and the go command itself. */
#include "probe/go_bin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/scope.h"
#include "go_kit.h"
#include "tap.h"

static char file[KIT_SIZE];

static int file_fd(size_t n)
{
	int fd = memfd_create("go", MFD_CLOEXEC);

	return fd >= 0 && pwrite(fd, file, n, 0) == (ssize_t)n ? fd : -1;
}

/* What go_sites() says of the file, or what the scan said. */
static int sites_of(struct uprobe_site out[GO_SITES_MAX])
{
	_cleanup_(close_fd) int fd = file_fd(sizeof(file));
	_cleanup_(go_scan_free) struct go_scan *s = NULL;
	int r = go_scan_new(&s, fd);

	if (r)
		return r;
	while ((r = go_scan_step(s)) > 0)
		;
	return r ? r : go_sites(s, out);
}

static int sites(void)
{
	struct uprobe_site out[GO_SITES_MAX];

	return sites_of(out);
}

static void check_sites(void)
{
	static const struct uprobe_site want[] = {
		{ KIT_TEXT + KIT_READ * KIT_FUNC + 0x08, UPROBE_GO_READ, false },
		{ KIT_TEXT + KIT_READ * KIT_FUNC + 0x10, UPROBE_GO_BYTES, false },
		{ KIT_TEXT + KIT_WRITE * KIT_FUNC + 0x10, UPROBE_GO_BYTES, false },
		{ KIT_TEXT + KIT_CLIENT * KIT_FUNC + 0x04, UPROBE_GO_HANDSHAKE, false },
		{ KIT_TEXT + KIT_SERVER * KIT_FUNC + 0x04, UPROBE_GO_HANDSHAKE, false },
	};
	struct uprobe_site got[GO_SITES_MAX];
	int n = sites_of(got);

	CHECK_INT(n, ARRAY_SIZE(want));
	for (int i = 0; i < n && i < (int)ARRAY_SIZE(want); i++)
		CHECK(got[i].offset == want[i].offset && got[i].program == want[i].program && !got[i].ret);
}

static void test_go_bin__layouts(void)
{
	kit_make(file, KIT_116, true);
	check_sites();
	kit_make(file, KIT_118, true);
	check_sites();
	kit_make(file, KIT_120, true);
	check_sites();
	kit_make(file, KIT_120, false); /* the section's address is the text's */
	check_sites();
}

/* Other code before Go's own, and a table that does not say where it begins. */
static void test_go_bin__text_is_searched(void)
{
	Elf64_Shdr *text = (void *)(file + KIT_ENDS + 64 + sizeof(*text));

	kit_make(file, KIT_120, false);
	text->sh_addr -= 0x90;
	text->sh_offset -= 0x90;
	check_sites();
}

static void test_go_bin__not_proven(void)
{
	kit_make(file, KIT_120, true);
	kit_call(file, KIT_READ, 0x18, KIT_MEMMOVE); /* two copies */
	CHECK_INT(sites(), -ENOTSUP);
	kit_make(file, KIT_120, true);
	kit_call(file, KIT_READ, 0x10, KIT_RECORD); /* none */
	CHECK_INT(sites(), -ENOTSUP);
	kit_make(file, KIT_120, true);
	memcpy(kit_code(file, KIT_READ) + 7, "\x58", 1); /* pop %rax: the receiver is gone */
	CHECK_INT(sites(), -ENOTSUP);
	kit_make(file, KIT_120, true);
	memcpy(kit_code(file, KIT_READ) + 0x15, "\x75\xee", 2); /* a loop over the line */
	CHECK_INT(sites(), -ENOTSUP);
	kit_make(file, KIT_120, true);
	memcpy(kit_code(file, KIT_WRITE), "\x49\x3b\x66\x18", 4); /* another word of the goroutine's */
	CHECK_INT(sites(), -ENOTSUP);
	kit_make(file, KIT_120, true);
	kit_call(file, KIT_WRITE, 0x10, KIT_CLIENT); /* writes nothing */
	CHECK_INT(sites(), -ENOTSUP);
}

static void test_go_bin__without_tls(void)
{
	kit_make(file, KIT_120, true);
	memcpy(memmem(file, sizeof(file), ".Read", 5), ".Raed", 5);
	CHECK_INT(sites(), 0);
	kit_make(file, KIT_120, true);
	memcpy(memmem(file, sizeof(file), ".clientH", 8), ".klientH", 8); /* a program that is never the client */
	CHECK_INT(sites(), 4);
}

static void test_go_bin__lies(void)
{
	char *table = file + KIT_TABLE;

	kit_make(file, KIT_120, true);
	kit_put(table + 8, 8, 1 << 20); /* more functions than there is room for */
	CHECK(sites() < 0);
	kit_make(file, KIT_120, true);
	kit_put(table + 64, 8, 1ull << 40);
	CHECK_INT(sites(), 0); /* no such table */
	kit_make(file, KIT_120, true);
	kit_put(table + 64, 8, 0x5f0); /* it ends before its functions do */
	CHECK(sites() <= 0);
	kit_make(file, KIT_120, true);
	file[4] = ELFCLASS32;
	CHECK_INT(sites(), -ENOEXEC);
}

/* Nothing is searched that is longer than any table: a file may have holes of any size. */
static void test_go_bin__too_long(void)
{
	Elf64_Shdr *table = (void *)(file + KIT_ENDS + 64 + 2 * sizeof(*table));
	_cleanup_(close_fd) int fd = -1;
	struct go_scan *s = NULL;

	kit_make(file, KIT_120, true);
	table->sh_size = 1ull << 40;
	fd = file_fd(sizeof(file));
	REQUIRE(!ftruncate(fd, 1ll << 41));
	CHECK_INT(go_scan_new(&s, fd), -ENOEXEC);
	go_scan_free(&s);
}

static void test_go_bin__cut_short(void)
{
	for (size_t n = 0; n < KIT_SIZE; n += 7) {
		struct uprobe_site out[GO_SITES_MAX];
		struct go_scan *s = NULL;
		int fd, r;

		kit_make(file, KIT_118, true);
		fd = file_fd(n);
		r = go_scan_new(&s, fd);
		for (int i = 0; !r && i < 1000 && (r = go_scan_step(s)) > 0; i++)
			r = 0;
		if (s && !r)
			CHECK(go_sites(s, out) <= GO_SITES_MAX);
		go_scan_free(&s);
		close_fd(&fd);
	}
}

static void test_go_bin__the_go_command(void)
{
	_cleanup_(close_fd) int fd = open("/usr/local/go/bin/go", O_RDONLY | O_CLOEXEC);
	_cleanup_(go_scan_free) struct go_scan *s = NULL;
	struct uprobe_site out[GO_SITES_MAX];

	REQUIRE(!go_scan_new(&s, fd));
	while (go_scan_step(s) > 0)
		;
	CHECK(!strncmp(go_version(s), "go1.", 4));
	CHECK(go_has_tls(s));
	CHECK(go_sites(s, out) >= 4);
}

int main(void)
{
	RUN(test_go_bin__layouts);
	RUN(test_go_bin__text_is_searched);
	RUN(test_go_bin__not_proven);
	RUN(test_go_bin__without_tls);
	RUN(test_go_bin__lies);
	RUN(test_go_bin__too_long);
	RUN(test_go_bin__cut_short);
	if (access("/usr/local/go/bin/go", R_OK))
		SKIP("test_go_bin__the_go_command", "/usr/local/go/bin/go is not there");
	else
		RUN(test_go_bin__the_go_command);
	return tap_done();
}
