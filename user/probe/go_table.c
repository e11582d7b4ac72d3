// SPDX-License-Identifier: Apache-2.0
/* The table of functions: Go's src/debug/gosym/pclntab.go. */
#include <errno.h>
#include <string.h>

#include "base/scope.h"
#include "probe/go_inner.h"

#define NAME_BYTES   63
#define HEAD_SIZE    72 /* of the table */

static const char *const names[GO_NAMES] = {
	[GO_READ] = "crypto/tls.(*Conn).Read",
	[GO_WRITE] = "crypto/tls.(*Conn).Write",
	[GO_WRITE_RECORD] = "crypto/tls.(*Conn).writeRecordLocked",
	[GO_CLIENT_HANDSHAKE] = "crypto/tls.(*Conn).clientHandshake",
	[GO_SERVER_HANDSHAKE] = "crypto/tls.(*Conn).serverHandshake",
	[GO_MEMMOVE] = "runtime.memmove",
};

/* The n bytes at `at`, which then stay until the window moves; NULL: outside the file. */
static const char *window_get(const struct go_scan *s, struct go_window *w, uint64_t at, size_t n)
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

/* ---- the table ---- */

static bool is_version(uint32_t magic)
{
	return magic == V116 || magic == V118 || magic == V120;
}

/* Does a table begin here? Fills it if so. */
static bool read_table(const struct go_scan *s, const char *p, uint64_t at, uint64_t room, struct go_table *out)
{
	struct go_table t = { .at = at, .size = room, .version = get32(p) };
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
