// SPDX-License-Identifier: Apache-2.0
#include "probe/elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/scope.h"
#include "probe/extent.h"

#define SEGMENTS_MAX 64
#define SECTIONS_MAX 65535
#define DATA_MAX     8
#define STRINGS_MAX  1024 /* places in a table of strings where a name stands */

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#define MACHINE EM_NONE
#endif

struct table {
	struct extent symbols, strings;
	uint64_t done;	 /* bytes of the strings, then of the symbols behind them */
	bool there, ready; /* ready: the strings were read, `at` is in order */
};

struct string_at { /* a name's place in the strings */
	uint32_t at, name;
};

struct elf_scan {
	int fd;
	uint64_t size;
	uint16_t machine;
	bool program;
	const struct elf_names *names;
	uint64_t tails[1024]; /* bit per hash of a name's last two characters */
	struct segment segments[SEGMENTS_MAX];
	size_t n_segments;
	struct table tables[2];
	struct extent data[DATA_MAX];
	size_t n_data, data_now;
	uint64_t data_done;
	struct string_at at[STRINGS_MAX];
	size_t n_at;
	struct elf_function found[ELF_FOUND_MAX];
	size_t n_found;
	bool imports;
	char piece[ELF_NAME_MAX + 1 + ELF_PIECE]; /* the end of the piece before stays in front */
};

/* ---- headers ---- */

static int read_head(struct elf_scan *s, Elf64_Ehdr *h)
{
	int err = read_exactly(s->fd, h, sizeof(*h), 0);

	if (err == -EBADMSG)
		return -ENOEXEC;
	if (err)
		return err;
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_machine != MACHINE ||
	    h->e_ident[EI_DATA] != (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB) ||
	    (h->e_type != ET_EXEC && h->e_type != ET_DYN))
		return -ENOEXEC;
	s->machine = h->e_machine;
	s->program = h->e_type == ET_EXEC;
	return 0;
}

static int read_segments(struct elf_scan *s, const Elf64_Ehdr *h)
{
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum > SEGMENTS_MAX)
		return -EBADMSG;
	for (unsigned i = 0; i < h->e_phnum; i++) {
		Elf64_Phdr p;
		int err = read_exactly(s->fd, &p, sizeof(p), h->e_phoff + i * sizeof(p));

		if (err)
			return err;
		s->program |= p.p_type == PT_INTERP;
		if (p.p_type == PT_LOAD && (p.p_flags & PF_X))
			s->segments[s->n_segments++] = (struct segment){ p.p_vaddr, p.p_offset, p.p_filesz, true };
	}
	return 0;
}

/* The name's first bytes; none where there is no such name. */
static void section_name(const struct elf_scan *s, const struct extent *names, uint32_t at, char to[16])
{
	size_t n = at < names->size ? MIN(names->size - at, (uint64_t)15) : 0;

	memset(to, 0, 16);
	if (n && read_exactly(s->fd, to, n, names->at + at))
		*to = '\0';
}

static bool is_constant(const struct elf_scan *s, const Elf64_Shdr *h, const struct extent *names)
{
	char name[16];

	if (h->sh_type != SHT_PROGBITS || !(h->sh_flags & SHF_ALLOC) || (h->sh_flags & SHF_EXECINSTR))
		return false;
	section_name(s, names, h->sh_name, name);
	return !strncmp(name, ".rodata", 7) || !strncmp(name, ".data.rel.ro", 12);
}

struct sections {
	uint64_t at;
	uint32_t n;
	struct extent names;
};

static int read_section(const struct elf_scan *s, const struct sections *all, uint32_t i, Elf64_Shdr *out)
{
	return i < all->n ? read_exactly(s->fd, out, sizeof(*out), all->at + i * sizeof(*out)) : -EBADMSG;
}

/* Absent, or not inside the file: there is no such table. */
static void note_table(struct elf_scan *s, const struct sections *all, const Elf64_Shdr *h, struct table *t)
{
	Elf64_Shdr strings;

	if (t->there || h->sh_entsize != sizeof(Elf64_Sym) || read_section(s, all, h->sh_link, &strings) ||
	    strings.sh_type != SHT_STRTAB)
		return;
	t->symbols = (struct extent){ h->sh_offset, h->sh_size - h->sh_size % sizeof(Elf64_Sym) };
	t->strings = (struct extent){ strings.sh_offset, strings.sh_size };
	t->there = extent_inside(&t->symbols, s->size) && extent_inside(&t->strings, s->size) && t->symbols.size && t->strings.size &&
		   t->strings.size <= UINT32_MAX;
}

static void note_section(struct elf_scan *s, const struct sections *all, const Elf64_Shdr *h)
{
	struct extent e = { h->sh_offset, h->sh_size };

	if (h->sh_type == SHT_DYNSYM)
		note_table(s, all, h, &s->tables[ELF_DYNAMIC]);
	else if (h->sh_type == SHT_SYMTAB)
		note_table(s, all, h, &s->tables[ELF_STATIC]);
	else if (s->n_data < DATA_MAX && is_constant(s, h, &all->names) && extent_inside(&e, s->size))
		s->data[s->n_data++] = e;
}

/* Large numbers stand in the first section's header. */
static int read_section_heads(const struct elf_scan *s, const Elf64_Ehdr *h, struct sections *all)
{
	Elf64_Shdr first, names;
	uint32_t index = h->e_shstrndx;
	int err;

	*all = (struct sections){ .at = h->e_shoff, .n = h->e_shnum };
	if (h->e_shentsize != sizeof(Elf64_Shdr))
		return -EBADMSG;
	err = read_exactly(s->fd, &first, sizeof(first), all->at);
	if (err)
		return err;
	if (!all->n)
		all->n = (uint32_t)MIN(first.sh_size, (uint64_t)SECTIONS_MAX);
	if (index == SHN_XINDEX)
		index = first.sh_link;
	if (!read_section(s, all, index, &names))
		all->names = (struct extent){ names.sh_offset, names.sh_size };
	if (!extent_inside(&all->names, s->size))
		all->names.size = 0;
	return 0;
}

/* A file without sections has no tables that can be found: nothing is wrong with it. */
static int read_sections(struct elf_scan *s, const Elf64_Ehdr *h)
{
	struct sections all;
	Elf64_Shdr some[64];
	int err;

	if (!h->e_shoff)
		return 0;
	err = read_section_heads(s, h, &all);
	for (uint32_t i = 0; !err && i < all.n; i += ARRAY_SIZE(some)) {
		size_t n = MIN(ARRAY_SIZE(some), (size_t)(all.n - i));

		err = read_exactly(s->fd, some, n * sizeof(some[0]), all.at + i * sizeof(some[0]));
		for (size_t j = 0; !err && j < n; j++)
			note_section(s, &all, &some[j]);
	}
	return err;
}

static uint32_t tail_hash(const char *end)
{
	return (uint8_t)end[-1] | (uint32_t)(uint8_t)end[-2] << 8;
}

static void note_tails(struct elf_scan *s)
{
	for (size_t i = 0; i < s->names->count(); i++) {
		const char *name = s->names->get(i);
		uint32_t hash = tail_hash(name + strlen(name));

		s->tails[hash / 64] |= 1ull << hash % 64;
	}
}

int elf_scan_new(struct elf_scan **out, int fd, const struct elf_names *names)
{
	_cleanup_(elf_scan_free) struct elf_scan *s = calloc(1, sizeof(*s));
	struct stat st;
	Elf64_Ehdr h;
	int err;

	if (!s)
		return -ENOMEM;
	if (fstat(fd, &st))
		return -errno;
	s->fd = fd;
	s->size = S_ISREG(st.st_mode) && st.st_size > 0 ? (uint64_t)st.st_size : 0;
	s->names = names;
	if (!s->size)
		return -ENOEXEC;
	err = read_head(s, &h);
	if (!err)
		err = read_segments(s, &h);
	if (!err)
		err = read_sections(s, &h);
	if (err)
		return err;
	note_tails(s);
	*out = TAKE_PTR(s);
	return 0;
}

void elf_scan_free(struct elf_scan **s)
{
	free(*s);
	*s = NULL;
}

/* ---- strings: where do the names stand? ---- */

static bool ends_with(const char *begin, const char *end, const char *name)
{
	size_t n = strlen(name);

	return (size_t)(end - begin) >= n && !memcmp(end - n, name, n);
}

/* A string ends at `end`, which is offset `at` of the table: every name that it ends with begins inside. */
static void note_string(struct elf_scan *s, const char *begin, const char *end, uint64_t at)
{
	uint32_t hash;

	if (end - begin < 2)
		return;
	hash = tail_hash(end);
	if (!(s->tails[hash / 64] & 1ull << hash % 64))
		return;
	for (size_t i = 0; i < s->names->count() && s->n_at < STRINGS_MAX; i++) {
		const char *name = s->names->get(i);

		if (ends_with(begin, end, name))
			s->at[s->n_at++] = (struct string_at){ (uint32_t)(at - strlen(name)), (uint32_t)i };
	}
}

static int order_strings(const void *a, const void *b)
{
	const struct string_at *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

/* The next piece of an extent, behind the last ELF_NAME_MAX bytes of the one before. How many new bytes, or -errno. */
static long read_piece(struct elf_scan *s, const struct extent *e, uint64_t done)
{
	char *to = s->piece + ELF_NAME_MAX;
	size_t n = (size_t)MIN(e->size - done, (uint64_t)ELF_PIECE);
	int err;

	if (done)
		memmove(s->piece, s->piece + ELF_PIECE, ELF_NAME_MAX);
	else
		memset(s->piece, 0, ELF_NAME_MAX);
	err = read_exactly(s->fd, to, n, e->at + done);
	return err ? err : (long)n;
}

static int strings_step(struct elf_scan *s, struct table *t)
{
	long n = read_piece(s, &t->strings, t->done);
	const char *from = s->piece + ELF_NAME_MAX, *end = from + n;

	if (n < 0)
		return (int)n;
	for (const char *p = from; (p = memchr(p, '\0', (size_t)(end - p))); p++)
		note_string(s, s->piece, p, t->done + (uint64_t)(p - from));
	t->done += (uint64_t)n;
	return 0;
}

/* ---- symbols ---- */

static bool function_offset(const struct elf_scan *s, const Elf64_Sym *sym, uint64_t *out)
{
	for (size_t i = 0; i < s->n_segments; i++)
		if (segment_find(&s->segments[i], sym->st_value, s->size, out))
			return true;
	return false;
}

static void note_symbol(struct elf_scan *s, const Elf64_Sym *sym, uint32_t name)
{
	struct elf_function f = { .address = sym->st_value, .size = sym->st_size, .name = name };

	if (sym->st_shndx == SHN_UNDEF) {
		s->imports = true;
		return;
	}
	if (ELF64_ST_TYPE(sym->st_info) != STT_FUNC || s->n_found == ELF_FOUND_MAX || !function_offset(s, sym, &f.offset))
		return;
	for (size_t i = 0; i < s->n_found; i++)
		if (s->found[i].offset == f.offset && s->found[i].name == name)
			return;
	s->found[s->n_found++] = f;
}

static const struct string_at *find_string(const struct elf_scan *s, uint32_t at)
{
	struct string_at key = { .at = at };

	return bsearch(&key, s->at, s->n_at, sizeof(s->at[0]), order_strings);
}

static int symbols_step(struct elf_scan *s, struct table *t)
{
	uint64_t from = t->done - t->strings.size;
	size_t n = (size_t)MIN(t->symbols.size - from, (uint64_t)(ELF_PIECE - ELF_PIECE % sizeof(Elf64_Sym)));
	int err = read_exactly(s->fd, s->piece, n, t->symbols.at + from);

	if (err)
		return err;
	for (size_t i = 0; i + sizeof(Elf64_Sym) <= n; i += sizeof(Elf64_Sym)) {
		const struct string_at *string;
		Elf64_Sym sym;

		memcpy(&sym, s->piece + i, sizeof(sym));
		string = sym.st_name ? find_string(s, sym.st_name) : NULL;
		if (string)
			note_symbol(s, &sym, string->name);
	}
	t->done += n;
	return 0;
}

uint64_t elf_table_size(const struct elf_scan *s, enum elf_part part)
{
	const struct table *t = &s->tables[part];

	return t->there ? t->strings.size + t->symbols.size : 0;
}

int elf_table_step(struct elf_scan *s, enum elf_part part)
{
	struct table *t = &s->tables[part];
	int err;

	if (!t->there)
		return 0;
	if (t->strings.size > ELF_TABLE_MAX || t->symbols.size > ELF_TABLE_MAX)
		return -E2BIG;
	if (!t->done)
		s->n_at = 0;
	err = t->done < t->strings.size ? strings_step(s, t) : symbols_step(s, t);
	if (err)
		return err;
	if (t->done >= t->strings.size && !t->ready) {
		qsort(s->at, s->n_at, sizeof(s->at[0]), order_strings);
		t->ready = true;
	}
	/* no name of ours among the strings: no symbol has one */
	return t->done < t->strings.size || (s->n_at && t->done < t->strings.size + t->symbols.size);
}

const struct elf_function *elf_found(const struct elf_scan *s, size_t *n)
{
	*n = s->n_found;
	return s->found;
}

bool elf_imports(const struct elf_scan *s)
{
	return s->imports;
}

uint16_t elf_machine(const struct elf_scan *s)
{
	return s->machine;
}

bool elf_executable(const struct elf_scan *s)
{
	return s->program;
}

long elf_code(const struct elf_scan *s, const struct elf_function *f, void *to, size_t max)
{
	uint64_t there = MIN(f->size, s->size - f->offset);
	size_t n = (size_t)MIN(there, (uint64_t)max);
	int err = read_exactly(s->fd, to, n, f->offset);

	return err ? err : (long)n;
}

/* ---- words ---- */

int elf_words_step(struct elf_scan *s, const char *const *words, size_t n, uint32_t *seen)
{
	const struct extent *e = &s->data[s->data_now];
	long got;

	if (s->data_now == s->n_data)
		return 0;
	if (e->size > ELF_DATA_MAX)
		return -E2BIG;
	got = read_piece(s, e, s->data_done);
	if (got < 0)
		return (int)got;
	for (size_t i = 0; i < n; i++)
		if (!(*seen & 1u << i) && memmem(s->piece, ELF_NAME_MAX + (size_t)got, words[i], strlen(words[i])))
			*seen |= 1u << i;
	s->data_done += (uint64_t)got;
	if (s->data_done >= e->size) {
		s->data_done = 0;
		s->data_now++;
	}
	return s->data_now < s->n_data;
}
