// SPDX-License-Identifier: Apache-2.0
#include "probe/elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scope.h"
#include "tap.h"

/* ---- a file is put together ---- */

#define CODE_AT	   0x1000 /* offset of the executable segment, which lies at ADDRESS */
#define ADDRESS	   0x401000
#define CODE_SIZE  0x1000
#define NAMES_AT   0x400
#define STRINGS_AT 0x3000

struct image {
	char bytes[0x40000];
	size_t size;
	Elf64_Ehdr *h;
	Elf64_Shdr *s;
	size_t strings, symbols; /* bytes */
	Elf64_Sym *sym;
};

static const char *const wanted[] = { "SSL_read", "SSL_write", "SSL_write_ex", "wolfSSL_read" };

static const char *get(size_t i)
{
	return wanted[i];
}

static size_t count(void)
{
	return ARRAY_SIZE(wanted);
}

static const struct elf_names names = { get, count };

enum { S_NONE, S_NAMES, S_STRINGS, S_SYMBOLS, S_DATA, SECTIONS };

static struct image *image_new(uint32_t table, size_t strings_size)
{
	static const char section_names[] = "\0.shstrtab\0.strtab\0.symtab\0.rodata";
	struct image *i = calloc(1, sizeof(*i));
	Elf64_Phdr *p = (Elf64_Phdr *)(i->bytes + sizeof(Elf64_Ehdr));

	i->h = (Elf64_Ehdr *)i->bytes;
	i->s = (Elf64_Shdr *)(i->bytes + 0x800);
	*i->h = (Elf64_Ehdr){ .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
			      .e_type = ET_DYN,
#ifdef __x86_64__
			      .e_machine = EM_X86_64,
#else
			      .e_machine = EM_AARCH64,
#endif
			      .e_phoff = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
			      .e_shoff = 0x800, .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = SECTIONS, .e_shstrndx = S_NAMES };
	p[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R, .p_vaddr = 0x400000, .p_filesz = 0x1000 };
	p[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = CODE_AT, .p_vaddr = ADDRESS, .p_filesz = CODE_SIZE };
	memcpy(i->bytes + NAMES_AT, section_names, sizeof(section_names));
	i->s[S_NAMES] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = NAMES_AT, .sh_size = sizeof(section_names) };
	i->s[S_STRINGS] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = STRINGS_AT, .sh_size = strings_size };
	i->s[S_SYMBOLS] = (Elf64_Shdr){ .sh_type = table, .sh_offset = STRINGS_AT + strings_size, .sh_link = S_STRINGS,
					.sh_entsize = sizeof(Elf64_Sym) };
	i->sym = (Elf64_Sym *)(i->bytes + STRINGS_AT + strings_size);
	i->strings = 1;
	i->size = sizeof(i->bytes);
	return i;
}

static uint32_t image_string(struct image *i, const char *s)
{
	uint32_t at = (uint32_t)i->strings;

	memcpy(i->bytes + STRINGS_AT + at, s, strlen(s) + 1);
	i->strings += strlen(s) + 1;
	return at;
}

static void image_symbol(struct image *i, uint32_t name, uint64_t value, unsigned type, uint16_t section)
{
	*i->sym++ = (Elf64_Sym){ .st_name = name, .st_info = ELF64_ST_INFO(STB_GLOBAL, type), .st_shndx = section, .st_value = value,
				 .st_size = 16 };
	i->s[S_SYMBOLS].sh_size += sizeof(Elf64_Sym);
}

static int image_fd(const struct image *i)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	return write(fd, i->bytes, i->size) == (ssize_t)i->size ? fd : -1;
}

static int search(struct elf_scan *s, enum elf_part part)
{
	int r;

	do
		r = elf_table_step(s, part);
	while (r > 0);
	return r;
}

static const struct elf_function *function(const struct elf_scan *s, uint32_t name)
{
	size_t n;
	const struct elf_function *f = elf_found(s, &n);

	for (size_t i = 0; i < n; i++)
		if (f[i].name == name)
			return &f[i];
	return NULL;
}

/* ---- what is found ---- */

static void test_elf__both_tables(void)
{
	for (int part = ELF_DYNAMIC; part <= ELF_STATIC; part++) {
		_free_ struct image *i = image_new(part == ELF_DYNAMIC ? SHT_DYNSYM : SHT_SYMTAB, 0x100);
		_cleanup_(elf_scan_free) struct elf_scan *s = NULL;
		_close_ int fd = -1;

		image_symbol(i, image_string(i, "SSL_write"), ADDRESS + 0x20, STT_FUNC, 1);
		image_symbol(i, image_string(i, "other"), ADDRESS + 0x40, STT_FUNC, 1);
		image_symbol(i, image_string(i, "SSL_read"), 0, STT_FUNC, SHN_UNDEF);
		fd = image_fd(i);
		REQUIRE(!elf_scan_new(&s, fd, &names));
		CHECK_INT(search(s, part == ELF_DYNAMIC ? ELF_STATIC : ELF_DYNAMIC), 0);
		CHECK(!function(s, 1) && !elf_imports(s));
		CHECK_INT(search(s, (enum elf_part)part), 0);
		REQUIRE(function(s, 1));
		CHECK_INT(function(s, 1)->offset, CODE_AT + 0x20);
		CHECK_INT(function(s, 1)->size, 16);
		CHECK(!function(s, 0));
		CHECK(elf_imports(s));
	}
}

/* Linkers let a short name stand at the end of a longer one. */
static void test_elf__shared_ends(void)
{
	_free_ struct image *i = image_new(SHT_SYMTAB, 0x100);
	_cleanup_(elf_scan_free) struct elf_scan *s = NULL;
	uint32_t at = image_string(i, "wolfSSL_read");
	_close_ int fd = -1;

	image_symbol(i, at, ADDRESS, STT_FUNC, 1);
	image_symbol(i, at + 4, ADDRESS + 0x40, STT_FUNC, 1);
	fd = image_fd(i);
	REQUIRE(!elf_scan_new(&s, fd, &names) && !search(s, ELF_STATIC));
	REQUIRE(function(s, 0) && function(s, 3));
	CHECK_INT(function(s, 3)->offset, CODE_AT);
	CHECK_INT(function(s, 0)->offset, CODE_AT + 0x40);
}

static void test_elf__not_functions(void)
{
	_free_ struct image *i = image_new(SHT_SYMTAB, 0x100);
	_cleanup_(elf_scan_free) struct elf_scan *s = NULL;
	uint32_t at = image_string(i, "SSL_read");
	_close_ int fd = -1;
	size_t n;

	image_symbol(i, at, ADDRESS, STT_OBJECT, 1);
	image_symbol(i, at, ADDRESS - 1, STT_FUNC, 1);
	image_symbol(i, at, ADDRESS + CODE_SIZE, STT_FUNC, 1);
	image_symbol(i, at, UINT64_MAX, STT_FUNC, 1);
	image_symbol(i, 0xfffffff0, ADDRESS, STT_FUNC, 1);
	fd = image_fd(i);
	REQUIRE(!elf_scan_new(&s, fd, &names) && !search(s, ELF_STATIC));
	elf_found(s, &n);
	CHECK_INT(n, 0);
}

/* Wherever the name stands to the border between two pieces. */
static void test_elf__borders(void)
{
	for (size_t shift = 0; shift < 24; shift++) {
		size_t room = ELF_PIECE + 256;
		_free_ struct image *i = image_new(SHT_SYMTAB, room);
		_cleanup_(elf_scan_free) struct elf_scan *s = NULL;
		_close_ int fd = -1;

		i->strings = ELF_PIECE - 16 + shift;
		memset(i->bytes + STRINGS_AT + 1, 'x', i->strings - 2);
		image_symbol(i, image_string(i, "SSL_write_ex"), ADDRESS, STT_FUNC, 1);
		fd = image_fd(i);
		REQUIRE(!elf_scan_new(&s, fd, &names) && !search(s, ELF_STATIC));
		CHECK(function(s, 2));
		CHECK(!function(s, 1));
	}
}

static void test_elf__many_symbols(void)
{
	_free_ struct image *i = image_new(SHT_SYMTAB, 0x100);
	_cleanup_(elf_scan_free) struct elf_scan *s = NULL;
	uint32_t at = image_string(i, "SSL_read");
	_close_ int fd = -1;
	int steps = 0;

	for (int k = 0; k < 5000; k++)
		image_symbol(i, 0, ADDRESS, STT_FUNC, 1);
	image_symbol(i, at, ADDRESS + 0x80, STT_FUNC, 1);
	fd = image_fd(i);
	REQUIRE(!elf_scan_new(&s, fd, &names));
	while (elf_table_step(s, ELF_STATIC) > 0)
		steps++;
	CHECK_INT(steps, 2); /* the strings, then two pieces of symbols of which the last one ends it */
	CHECK(function(s, 0));
}

static void test_elf__words(void)
{
	static const char *const words[] = { "c ap traffic", "nowhere" };
	_free_ struct image *i = image_new(SHT_SYMTAB, 0x100);
	_cleanup_(elf_scan_free) struct elf_scan *s = NULL;
	_close_ int fd = -1;
	uint32_t seen = 0;
	int r;

	i->s[S_DATA] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC, .sh_offset = 0x5000, .sh_size = ELF_PIECE + 100,
				     .sh_name = 27 };
	memcpy(i->bytes + 0x5000 + ELF_PIECE - 5, "c ap traffic", 12);
	fd = image_fd(i);
	REQUIRE(!elf_scan_new(&s, fd, &names));
	while ((r = elf_words_step(s, words, 2, &seen)) > 0)
		;
	CHECK_INT(r, 0);
	CHECK_INT(seen, 1);
}

/* ---- what lies ---- */

static int open_with(void (*spoil)(struct image *i), int *search_result)
{
	_free_ struct image *i = image_new(SHT_SYMTAB, 0x100);
	_cleanup_(elf_scan_free) struct elf_scan *s = NULL;
	_close_ int fd = -1;
	int err;

	image_symbol(i, image_string(i, "SSL_read"), ADDRESS, STT_FUNC, 1);
	spoil(i);
	fd = image_fd(i);
	err = elf_scan_new(&s, fd, &names);
	*search_result = err ? err : search(s, ELF_STATIC);
	return err;
}

static void spoil_magic(struct image *i) { i->h->e_ident[0] = 0; }
static void spoil_class(struct image *i) { i->h->e_ident[EI_CLASS] = ELFCLASS32; }
static void spoil_machine(struct image *i) { i->h->e_machine = EM_S390; }
static void spoil_type(struct image *i) { i->h->e_type = ET_REL; }
static void spoil_short(struct image *i) { i->size = 40; }
static void spoil_segments(struct image *i) { i->h->e_phnum = 0xffff; }
static void spoil_segments_at(struct image *i) { i->h->e_phoff = UINT64_MAX - 8; }
static void spoil_sections_at(struct image *i) { i->h->e_shoff = (uint64_t)1 << 62; }
static void spoil_section_size(struct image *i) { i->h->e_shentsize = 1; }
static void spoil_no_sections(struct image *i) { i->h->e_shoff = 0; }
static void spoil_table_at(struct image *i) { i->s[S_SYMBOLS].sh_offset = UINT64_MAX - 4; }
static void spoil_table_size(struct image *i) { i->s[S_SYMBOLS].sh_size = (uint64_t)4 << 30; }
static void spoil_strings_size(struct image *i) { i->s[S_STRINGS].sh_size = UINT64_MAX; }
static void spoil_link(struct image *i) { i->s[S_SYMBOLS].sh_link = 0xffffffff; }
static void spoil_names(struct image *i) { i->h->e_shstrndx = 0xfffe; }

static void test_elf__lies(void)
{
	static const struct {
		void (*spoil)(struct image *i);
		int open;
	} rows[] = {
		{ spoil_magic, -ENOEXEC }, { spoil_class, -ENOEXEC }, { spoil_machine, -ENOEXEC }, { spoil_type, -ENOEXEC },
		{ spoil_short, -ENOEXEC }, { spoil_segments, -EBADMSG }, { spoil_segments_at, -EBADMSG },
		{ spoil_sections_at, -EBADMSG }, { spoil_section_size, -EBADMSG }, { spoil_no_sections, 0 }, { spoil_table_at, 0 },
		{ spoil_table_size, 0 }, { spoil_strings_size, 0 }, { spoil_link, 0 }, { spoil_names, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int found;

		CHECK_INT(open_with(rows[i].spoil, &found), rows[i].open);
		CHECK_INT(found, rows[i].open);
	}
}

/* The file becomes shorter between two steps. */
static void test_elf__shrinks(void)
{
	_free_ struct image *i = image_new(SHT_SYMTAB, 0x100);
	_cleanup_(elf_scan_free) struct elf_scan *s = NULL;
	_close_ int fd = -1;

	image_symbol(i, image_string(i, "SSL_read"), ADDRESS, STT_FUNC, 1);
	fd = image_fd(i);
	REQUIRE(!elf_scan_new(&s, fd, &names));
	CHECK_INT(elf_table_step(s, ELF_STATIC), 1);
	REQUIRE(!ftruncate(fd, STRINGS_AT));
	CHECK_INT(elf_table_step(s, ELF_STATIC), -EBADMSG);
}

/* A table that is as large as it says, in a file that is mostly holes. */
static void test_elf__sparse(void)
{
	_free_ struct image *i = image_new(SHT_SYMTAB, 0x100);
	_cleanup_(elf_scan_free) struct elf_scan *s = NULL;
	_close_ int fd = -1;

	image_symbol(i, image_string(i, "SSL_read"), ADDRESS, STT_FUNC, 1);
	i->s[S_SYMBOLS].sh_size = ((uint64_t)4 << 30) / sizeof(Elf64_Sym) * sizeof(Elf64_Sym);
	fd = image_fd(i);
	REQUIRE(!ftruncate(fd, (off_t)5 << 30));
	REQUIRE(!elf_scan_new(&s, fd, &names));
	CHECK_INT(elf_table_step(s, ELF_STATIC), -E2BIG);
}

static void test_elf__not_files(void)
{
	_cleanup_(elf_scan_free) struct elf_scan *s = NULL;
	int ends[2];

	REQUIRE(!pipe(ends));
	CHECK_INT(elf_scan_new(&s, ends[0], &names), -ENOEXEC);
	close(ends[0]);
	close(ends[1]);
	CHECK_INT(elf_scan_new(&s, -1, &names), -EBADF);
	CHECK(!s);
}

/* Our own executable is one, and its functions are where the symbols say. */
static void test_elf__itself(void)
{
	_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	_cleanup_(elf_scan_free) struct elf_scan *s = NULL;

	REQUIRE(!elf_scan_new(&s, fd, &names));
	CHECK(elf_executable(s));
	CHECK_INT(search(s, ELF_DYNAMIC), 0);
	CHECK_INT(search(s, ELF_STATIC), 0);
}

int main(void)
{
	RUN(test_elf__both_tables);
	RUN(test_elf__shared_ends);
	RUN(test_elf__not_functions);
	RUN(test_elf__borders);
	RUN(test_elf__many_symbols);
	RUN(test_elf__words);
	RUN(test_elf__lies);
	RUN(test_elf__shrinks);
	RUN(test_elf__sparse);
	RUN(test_elf__not_files);
	RUN(test_elf__itself);
	return tap_done();
}
