// SPDX-License-Identifier: Apache-2.0
/* Executables of our own making: an ELF header, a section table, contents. */
#include "tap.h"

#include <elf.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/scope.h"
#include "host/binary.h"

#define FILE_MAX 4096

struct made_section {
	const char *name, *bytes;
};

/* Section 0 is empty, the last one holds the names. */
static size_t make_elf(unsigned char *to, const struct made_section *s, size_t n)
{
	Elf64_Ehdr h = { .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = (uint16_t)(n + 2), .e_shstrndx = (uint16_t)(n + 1) };
	Elf64_Shdr table[8] = { 0 };
	size_t at = sizeof(h), names = 1024, name = 1;

	memset(to, 0, FILE_MAX);
	for (size_t i = 0; i < n; i++) {
		table[i + 1] = (Elf64_Shdr){ .sh_name = (uint32_t)name, .sh_offset = at, .sh_size = strlen(s[i].bytes) };
		memcpy(to + at, s[i].bytes, strlen(s[i].bytes));
		at += strlen(s[i].bytes);
		strcpy((char *)to + names + name, s[i].name);
		name += strlen(s[i].name) + 1;
	}
	table[n + 1] = (Elf64_Shdr){ .sh_offset = names, .sh_size = name };
	h.e_shoff = 2048;
	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	memcpy(to, &h, sizeof(h));
	memcpy(to + h.e_shoff, table, sizeof(table));
	return FILE_MAX;
}

static struct binary inspect(const unsigned char *p, size_t n)
{
	_fclose_ FILE *f = tmpfile();
	struct binary out = { "untouched", NULL };

	if (!f || fwrite(p, 1, n, f) != n || fflush(f))
		return out;
	binary_inspect(fileno(f), &out);
	return out;
}

static const char *language_of(const struct made_section *s, size_t n)
{
	unsigned char file[FILE_MAX];
	struct binary b = inspect(file, make_elf(file, s, n));

	return b.language ? b.language : "";
}

#define LANGUAGE(...) \
	language_of((struct made_section[]){ __VA_ARGS__ }, sizeof((struct made_section[]){ __VA_ARGS__ }) / sizeof(struct made_section))

static void test_binary__languages(void)
{
	CHECK(!strcmp(LANGUAGE({ ".text", "x" }, { ".go.buildinfo", "\xff Go buildinf:" }), "go"));
	CHECK(!strcmp(LANGUAGE({ ".comment", "rustc version 1.70" }), "rust"));
	CHECK(!strcmp(LANGUAGE({ ".comment", "GCC: (Debian) 12" }), ""));
	CHECK(!strcmp(LANGUAGE({ ".dynstr", "libstdc++.so.6" }), "cpp"));
	CHECK(!strcmp(LANGUAGE({ ".dynstr", "libc.so.6" }), ""));
	CHECK(!strcmp(LANGUAGE({ ".dynstr", "libstdc++.so.6" }, { ".rodata", "libhostfxr.so" }), "dotnet"));
	CHECK(!strcmp(LANGUAGE({ ".dynstr", "libstdc++.so.6 DotNetRuntimeInfo" }), "dotnet"));
	CHECK(!strcmp(LANGUAGE({ ".dynstr", "libstdc++.so.6" }, { ".comment", "rustc version 1" }), "rust"));
	CHECK(!strcmp(LANGUAGE({ ".dynstr", "libstdc++.so.6" }, { ".go.buildinfo", "x" }), "go"));
}

static void test_binary__damaged(void)
{
	static const struct made_section s[] = { { ".dynstr", "libstdc++.so.6" }, { ".comment", "rustc version 1" } };
	unsigned char file[FILE_MAX];
	struct rng r;

	rng_seed(&r, 7, 8);
	for (int round = 0; round < 2000; round++) {
		size_t n = make_elf(file, s, 2);
		struct binary b;

		for (uint64_t k = rng_next(&r) % 8; k; k--)
			file[rng_next(&r) % 64 + (rng_next(&r) & 1 ? 2048 : 0)] = (unsigned char)rng_next(&r);
		b = inspect(file, rng_next(&r) % 4 ? n : rng_next(&r) % n);
		CHECK(!b.language || !strcmp(b.language, "rust") || !strcmp(b.language, "cpp"));
	}
}

int main(void)
{
	RUN(test_binary__languages);
	RUN(test_binary__damaged);
	return tap_done();
}
