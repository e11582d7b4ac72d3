// SPDX-License-Identifier: Apache-2.0
#include "host/binary.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/scope.h"
#include "base/slice.h"

#define SECTIONS_MAX  512
#define SECTION_BYTES (64 * 1024)  /* of one section that are looked at */
#define SMALL_HOST    (256 * 1024) /* .NET's starter of an application is smaller */

/* A section of either class, as far as it matters here. */
struct section {
	uint64_t offset, size;
	uint32_t name;
};

struct elf {
	int fd;
	bool wide; /* ELFCLASS64 */
	uint64_t table;
	uint16_t entry, n, names;
};

static bool read_at(int fd, void *to, size_t n, uint64_t offset)
{
	return offset <= INT64_MAX && pread(fd, to, n, (off_t)offset) == (ssize_t)n;
}

static bool elf_open(struct elf *e, int fd)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr narrow;
		Elf64_Ehdr wide;
	} h = {0};
	uint16_t one = 1;
	int order = *(uint8_t *)&one ? ELFDATA2LSB : ELFDATA2MSB;

	if (!read_at(fd, &h, sizeof(h.narrow), 0) || memcmp(h.ident, ELFMAG, SELFMAG) ||
	    h.ident[EI_DATA] != order)
		return false;
	e->fd = fd;
	e->wide = h.ident[EI_CLASS] == ELFCLASS64;
	if (e->wide && !read_at(fd, &h, sizeof(h.wide), 0))
		return false;
	e->table = e->wide ? h.wide.e_shoff : h.narrow.e_shoff;
	e->entry = e->wide ? h.wide.e_shentsize : h.narrow.e_shentsize;
	e->n = e->wide ? h.wide.e_shnum : h.narrow.e_shnum;
	e->names = e->wide ? h.wide.e_shstrndx : h.narrow.e_shstrndx;
	return e->n <= SECTIONS_MAX && e->names < e->n &&
	       e->entry == (e->wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr));
}

static bool elf_section(const struct elf *e, uint16_t i, struct section *out)
{
	uint64_t at;
	union {
		Elf32_Shdr narrow;
		Elf64_Shdr wide;
	} s;

	if (__builtin_add_overflow(e->table, (uint64_t)i * e->entry, &at) ||
	    !read_at(e->fd, &s, e->entry, at))
		return false;
	if (e->wide)
		*out = (struct section){s.wide.sh_offset, s.wide.sh_size, s.wide.sh_name};
	else
		*out = (struct section){s.narrow.sh_offset, s.narrow.sh_size, s.narrow.sh_name};
	return true;
}

/* The section's first bytes into b; empty when it cannot be read. */
static struct slice elf_bytes(const struct elf *e, const struct section *s, struct buf *b)
{
	size_t n = MIN(s->size, (uint64_t)SECTION_BYTES);
	char *to;
	ssize_t got;

	buf_reset(b);
	if (!n)
		return SLICE_NONE;
	to = buf_room(b, n);
	got = to && s->offset <= INT64_MAX ? pread(e->fd, to, n, (off_t)s->offset) : 0;
	buf_added(b, got > 0 ? (size_t)got : 0);
	return buf_slice(b);
}

static bool holds(struct slice s, const char *word)
{
	return s.n && memmem(s.p, s.n, word, strlen(word));
}

static bool name_is(struct slice names, uint32_t at, const char *name)
{
	struct slice s = slice_from(names, at);
	size_t n = strlen(name) + 1; /* the terminator with it */

	return s.n >= n && !memcmp(s.p, name, n);
}

/* What the dynamic strings give away. The starter of a .NET application is C++ itself: it comes
 * first. */
static const char *linked_language(const struct elf *e, struct slice strings, struct buf *b)
{
	struct stat st;

	if (holds(strings, "DotNetRuntimeInfo"))
		return "dotnet";
	if (!holds(strings, "libstdc++.so") && !holds(strings, "libc++.so"))
		return NULL;
	if (!fstat(e->fd, &st) && st.st_size <= SMALL_HOST) {
		struct section all = {0, (uint64_t)st.st_size, 0};

		for (; all.offset < (uint64_t)st.st_size; all.offset += SECTION_BYTES / 2)
			if (holds(elf_bytes(e, &all, b), "hostfxr"))
				return "dotnet";
	}
	return "cpp";
}

void binary_inspect(int fd, struct binary *out)
{
	_cleanup_(buf_fini) struct buf names, bytes;
	struct section s;
	struct slice list;
	struct elf e;
	const char *linked = NULL;

	buf_init(&names, SECTION_BYTES);
	buf_init(&bytes, SECTION_BYTES);
	*out = (struct binary){0};
	if (!elf_open(&e, fd) || !elf_section(&e, e.names, &s))
		return;
	list = elf_bytes(&e, &s, &names);
	for (uint16_t i = 0; i < e.n; i++) {
		if (!elf_section(&e, i, &s))
			return;
		if (name_is(list, s.name, ".go.buildinfo")) {
			*out = (struct binary){"go", "gc"};
			return;
		}
		if (name_is(list, s.name, ".comment") &&
		    holds(elf_bytes(&e, &s, &bytes), "rustc version"))
			out->language = "rust";
		else if (name_is(list, s.name, ".dynstr"))
			linked = linked_language(&e, elf_bytes(&e, &s, &bytes), &bytes);
	}
	if (!out->language)
		out->language = linked;
}
