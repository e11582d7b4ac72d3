// SPDX-License-Identifier: Apache-2.0
/* The file: what it is, where its addresses are, what it says of how it was built. */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/scope.h"
#include "probe/go_inner.h"

#define SECTIONS_MAX 256

/* ---- headers ---- */

static int read_head(struct go_scan *s, Elf64_Ehdr *h)
{
	int err = read_exactly(s->fd, h, sizeof(*h), 0);

	if (err)
		return err == -EBADMSG ? -ENOEXEC : err;
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB ||
	    place_arch_of(h->e_machine, &s->arch))
		return -ENOEXEC;
	return 0;
}

static int read_segments(struct go_scan *s, const Elf64_Ehdr *h)
{
	if (h->e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	for (unsigned i = 0; i < h->e_phnum && s->n_segments < SEGMENTS_MAX; i++) {
		Elf64_Phdr p;
		int err = read_exactly(s->fd, &p, sizeof(p), h->e_phoff + i * sizeof(p));

		if (err)
			return err == -EBADMSG ? -ENOEXEC : err;
		if (p.p_type == PT_LOAD)
			s->segments[s->n_segments++] = (struct segment){ p.p_vaddr, p.p_offset, p.p_filesz, p.p_flags & PF_X };
	}
	return 0;
}

static void add_region(struct go_scan *s, uint64_t at, uint64_t size)
{
	struct extent e = { at, size };

	if (s->n_regions < REGIONS_MAX && size && size <= GO_TABLE_MAX && extent_inside(&e, s->size))
		s->regions[s->n_regions++] = e;
}

static void read_version(struct go_scan *s, uint64_t at, uint64_t size);

static void note_section(struct go_scan *s, const Elf64_Shdr *h, const char *name)
{
	if (!strcmp(name, ".text"))
		s->text = h->sh_addr;
	else if (!strcmp(name, ".go.buildinfo") && h->sh_type != SHT_NOBITS)
		read_version(s, h->sh_offset, h->sh_size);
	else if (!strcmp(name, ".gopclntab") || !strcmp(name, ".data.rel.ro.gopclntab"))
		add_region(s, h->sh_offset, h->sh_size);
	else if (!strcmp(name, ".data.rel.ro"))
		s->constant = (struct extent){ h->sh_offset, h->sh_size };
}

static void read_sections(struct go_scan *s, const Elf64_Ehdr *h)
{
	unsigned n = MIN(h->e_shnum, (uint16_t)SECTIONS_MAX);
	Elf64_Shdr strings, section;

	if (h->e_shentsize != sizeof(section) || h->e_shstrndx >= h->e_shnum ||
	    read_exactly(s->fd, &strings, sizeof(strings), h->e_shoff + h->e_shstrndx * sizeof(strings)))
		return;
	for (unsigned i = 0; i < n; i++) {
		char name[32] = { 0 };
		ssize_t got;

		if (read_exactly(s->fd, &section, sizeof(section), h->e_shoff + i * sizeof(section)))
			return;
		got = section.sh_name < strings.sh_size && strings.sh_offset < s->size ?
			      pread(s->fd, name, sizeof(name) - 1, (off_t)(strings.sh_offset + section.sh_name)) : 0;
		if (got > 0)
			note_section(s, &section, name);
	}
}

/* ---- the build information: Go's src/debug/buildinfo ---- */

static uint64_t offset_of(const struct go_scan *s, uint64_t address, bool code)
{
	uint64_t at;

	for (size_t i = 0; i < s->n_segments; i++)
		if ((s->segments[i].code || !code) && segment_find(&s->segments[i], address, s->size, &at))
			return at;
	return UINT64_MAX;
}

/* Since 1.18 the text is right behind the head; before, the head has the address of a string. */
static void read_version(struct go_scan *s, uint64_t at, uint64_t size)
{
	char head[33 + GO_VERSION_MAX] = { 0 }, string[16];
	uint64_t n, from = at + 33;

	if (size < 32 || read_exactly(s->fd, head, 32, at) || memcmp(head, "\xff Go buildinf:", 14))
		return;
	if (head[15] & 2) {
		if (read_exactly(s->fd, head + 32, 1, at + 32))
			return;
		n = (uint8_t)head[32];
	} else {
		uint64_t where = offset_of(s, get64(head + 16), false);

		if (where == UINT64_MAX || read_exactly(s->fd, string, sizeof(string), where))
			return;
		n = get64(string + 8);
		from = offset_of(s, get64(string), false);
	}
	if (n > GO_VERSION_MAX || from == UINT64_MAX || read_exactly(s->fd, s->version, n, from))
		n = 0;
	s->version[n] = '\0';
}

int go_scan_new(struct go_scan **out, int fd)
{
	_cleanup_(go_scan_free) struct go_scan *s = calloc(1, sizeof(*s));
	struct stat st;
	Elf64_Ehdr h;
	int err;

	if (!s)
		return -ENOMEM;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	s->fd = fd;
	s->size = (uint64_t)st.st_size;
	err = read_head(s, &h);
	if (!err)
		err = read_segments(s, &h);
	if (err)
		return err;
	read_sections(s, &h);
	if (!s->n_regions && s->version[0])
		add_region(s, s->constant.at, s->constant.size);
	if (!s->n_regions)
		return -ENOEXEC;
	for (size_t i = 0; i < GO_NAMES; i++)
		s->name_at[i] = -1;
	*out = TAKE_PTR(s);
	return 0;
}

void go_scan_free(struct go_scan **s)
{
	free(*s);
	*s = NULL;
}

/* ---- what was found ---- */

const char *go_version(const struct go_scan *s)
{
	return s->version;
}

bool go_has_tls(const struct go_scan *s)
{
	return s->found[GO_READ].end && s->found[GO_WRITE].end;
}

struct go_function go_function(const struct go_scan *s, enum go_name name)
{
	return s->found[name];
}

enum place_arch go_arch(const struct go_scan *s)
{
	return s->arch;
}

size_t go_texts(const struct go_scan *s, uint64_t *out, size_t max)
{
	size_t n = 0;

	if (s->table.version == V116) {
		if (n < max)
			out[n++] = 0; /* the entries are addresses */
		return n;
	}
	if (s->table.text && n < max)
		out[n++] = s->table.text;
	if (s->text && s->text != s->table.text && n < max)
		out[n++] = s->text;
	return n;
}

long go_code(const struct go_scan *s, uint64_t address, void *to, size_t max, uint64_t *offset)
{
	uint64_t at = offset_of(s, address, true);
	ssize_t got;

	if (at > (uint64_t)INT64_MAX)
		return -EBADMSG;
	got = pread(s->fd, to, max, (off_t)at);
	if (got < 0)
		return -errno;
	if (offset)
		*offset = at;
	return got;
}
