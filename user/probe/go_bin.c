// SPDX-License-Identifier: Apache-2.0
#include "probe/go_bin.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/scope.h"
#include "probe/extent.h"

#define SEGMENTS_MAX 32
#define SECTIONS_MAX 256
#define REGIONS_MAX  8
#define NAME_BYTES   63
#define HEAD_SIZE    72 /* of the table */

enum { V116 = 0xfffffffa, V118 = 0xfffffff0, V120 = 0xfffffff1 }; /* magic numbers of the table */

struct table { /* offsets in the file */
	uint64_t at, size;
	uint32_t version, n;
	uint64_t text;
	struct extent names;
	uint64_t functions;
};

struct window { /* a piece of the file */
	uint64_t at;
	size_t n;
	char bytes[GO_PIECE];
};

enum phase { FIND, NAMES, FUNCTIONS, DONE };

struct go_scan {
	int fd;
	uint64_t size, text; /* text: the section's address */
	enum place_arch arch;
	struct segment segments[SEGMENTS_MAX];
	size_t n_segments;
	struct extent constant;		    /* the section that other linkers put the table into */
	struct extent regions[REGIONS_MAX]; /* where it may be */
	size_t n_regions, region;
	struct table table;
	enum phase phase;
	uint64_t done; /* bytes of the region, of the names; functions */
	uint64_t last; /* description of the one before */
	int64_t name_at[GO_NAMES];
	struct go_function found[GO_NAMES];
	char version[GO_VERSION_MAX + 1];
	struct window entries, functions;
};

static const char *const names[GO_NAMES] = {
	[GO_READ] = "crypto/tls.(*Conn).Read",
	[GO_WRITE] = "crypto/tls.(*Conn).Write",
	[GO_WRITE_RECORD] = "crypto/tls.(*Conn).writeRecordLocked",
	[GO_CLIENT_HANDSHAKE] = "crypto/tls.(*Conn).clientHandshake",
	[GO_SERVER_HANDSHAKE] = "crypto/tls.(*Conn).serverHandshake",
	[GO_MEMMOVE] = "runtime.memmove",
};

/* ---- reading ---- */

static uint32_t get32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The n bytes at `at`, which then stay until the window moves; NULL: outside the file. */
static const char *window_get(const struct go_scan *s, struct window *w, uint64_t at, size_t n)
{
	ssize_t got;

	if (at >= w->at && at - w->at <= w->n && n <= w->n - (at - w->at))
		return w->bytes + (at - w->at);
	if (at > s->size)
		return NULL;
	got = pread(s->fd, w->bytes, sizeof(w->bytes), (off_t)at);
	w->at = at;
	w->n = got > 0 ? (size_t)got : 0;
	return n <= w->n ? w->bytes : NULL;
}

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

/* ---- the table ---- */

static bool is_version(uint32_t magic)
{
	return magic == V116 || magic == V118 || magic == V120;
}

/* Does a table begin here? Fills it if so. */
static bool read_table(const struct go_scan *s, const char *p, uint64_t at, uint64_t room, struct table *out)
{
	struct table t = { .at = at, .size = room, .version = get32(p) };
	const char *fields;
	uint64_t n = get64(p + 8), from, to, functions;

	if (!is_version(t.version) || p[4] || p[5] || p[6] != (s->arch == PLACE_ARM64 ? 4 : 1) || p[7] != 8)
		return false;
	t.text = t.version == V116 ? 0 : get64(p + 24);
	fields = p + (t.version == V116 ? 24 : 32);
	from = get64(fields);
	to = get64(fields + 8);
	functions = get64(fields + 32);
	if (!n || n > GO_FUNCTIONS_MAX || from >= to || to > functions || functions >= room || room > GO_TABLE_MAX)
		return false;
	t.n = (uint32_t)n;
	t.names = (struct extent){ at + from, to - from };
	t.functions = at + functions;
	*out = t;
	return true;
}

/* One piece of a region, at every eighth byte. */
static int step_find(struct go_scan *s)
{
	const struct extent *r = &s->regions[s->region];
	uint64_t left = r->size - s->done;
	size_t n = (size_t)MIN(left, (uint64_t)GO_PIECE);
	const char *p = window_get(s, &s->entries, r->at + s->done, n);

	if (!p)
		return -EBADMSG;
	for (size_t i = 0; i + HEAD_SIZE <= n; i += 8) {
		if (!read_table(s, p + i, r->at + s->done + i, left - i, &s->table))
			continue;
		s->phase = NAMES;
		s->done = 0;
		return 1;
	}
	s->done += GO_PIECE - HEAD_SIZE;
	if (left > GO_PIECE)
		return 1;
	s->done = 0;
	if (++s->region == s->n_regions)
		s->phase = DONE;
	return s->phase != DONE;
}

/* Offset in [p, p + n) of the name with its terminator, behind another one's or at the beginning (`first`); or -1. */
static int64_t name_find(const char *p, size_t n, bool first, const char *name)
{
	size_t len = strlen(name) + 1;
	const char *at = p;

	while ((at = memmem(at, n - (size_t)(at - p), name, len))) {
		if (at == p ? first : !at[-1])
			return at - p;
		at++;
	}
	return -1;
}

/* One piece of the names; what is cut by its end comes again with the next one. */
static int step_names(struct go_scan *s)
{
	uint64_t left = s->table.names.size - s->done;
	size_t n = (size_t)MIN(left, (uint64_t)GO_PIECE);
	const char *p = window_get(s, &s->entries, s->table.names.at + s->done, n);

	if (!p)
		return -EBADMSG;
	for (size_t i = 0; i < GO_NAMES; i++) {
		int64_t at = s->name_at[i] < 0 ? name_find(p, n, !s->done, names[i]) : -1;

		if (at >= 0)
			s->name_at[i] = (int64_t)s->done + at;
	}
	if (left > GO_PIECE) {
		s->done += GO_PIECE - NAME_BYTES - 2;
		return 1;
	}
	s->done = 0;
	s->phase = s->name_at[GO_READ] >= 0 && s->name_at[GO_WRITE] >= 0 ? FUNCTIONS : DONE;
	return s->phase != DONE;
}

struct entry {
	uint64_t start, end; /* of the function; the end is where the next one begins */
	uint64_t at;	     /* of its description, from the beginning of the entries */
};

static bool read_entry(struct go_scan *s, uint64_t i, struct entry *out)
{
	size_t word = s->table.version == V116 ? 8 : 4;
	const char *p = window_get(s, &s->entries, s->table.functions + i * 2 * word, 3 * word);

	if (!p)
		return false;
	*out = word == 8 ? (struct entry){ get64(p), get64(p + 16), get64(p + 8) } :
			   (struct entry){ get32(p), get32(p + 8), get32(p + 4) };
	return true;
}

/* The first one of the name counts. */
static void note_function(struct go_scan *s, uint32_t name, const struct entry *e)
{
	for (size_t i = 0; i < GO_NAMES; i++) {
		if (s->name_at[i] == (int64_t)name && !s->found[i].end && e->end > e->start)
			s->found[i] = (struct go_function){ e->start, e->end };
	}
}

/* As many functions as are described in one piece. The descriptions ascend, or a lie could have us read a piece for each. */
static int step_functions(struct go_scan *s)
{
	size_t word = s->table.version == V116 ? 8 : 4;
	uint64_t piece = s->functions.at;

	for (; s->done < s->table.n; s->done++) {
		struct entry e;
		const char *p;

		if (!read_entry(s, s->done, &e) || e.at < s->last || e.at > s->table.size)
			return -EBADMSG;
		s->last = e.at;
		p = window_get(s, &s->functions, s->table.functions + e.at, word + 4);
		if (!p)
			return -EBADMSG;
		if (s->functions.at != piece)
			return 1;
		note_function(s, get32(p + word), &e);
	}
	s->phase = DONE;
	return 0;
}

int go_scan_step(struct go_scan *s)
{
	switch (s->phase) {
	case FIND:
		return step_find(s);
	case NAMES:
		return step_names(s);
	case FUNCTIONS:
		return step_functions(s);
	default:
		return 0;
	}
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
