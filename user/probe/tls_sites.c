// SPDX-License-Identifier: Apache-2.0
#include "probe/tls_sites.h"

#include <errno.h>
#include <string.h>

#include "base/scope.h"
#include "probe/disasm.h"
#include "probe/place.h"

static const char *row_symbol(size_t i)
{
	return tls_rows[i].symbol;
}

static size_t row_count(void)
{
	return n_tls_rows;
}

const struct elf_names tls_names = { row_symbol, row_count };

/* How the end of a call is seen. */
enum ending { END_NONE, END_POSITIVE, END_EVERY };

static enum ending ending_of(uint8_t program)
{
	switch (program) {
	case UPROBE_SET_FD:
	case UPROBE_FREE:
	case UPROBE_CLOSE:
	case UPROBE_CIPHER:
		return END_NONE;
	case UPROBE_WRITE_ALL:
	case UPROBE_CALL:
	case UPROBE_INSIDE:
	case UPROBE_ALPN:
	case UPROBE_ALPN_DATUM:
		return END_EVERY;
	default:
		return END_POSITIVE;
	}
}

static void add(struct tls_sites *out, uint64_t offset, uint16_t program, bool ret)
{
	out->site[out->n++] = (struct uprobe_site){ .offset = offset, .program = program, .ret = ret };
}

static void add_function(struct tls_sites *out, const struct elf_function *f, const struct place *p)
{
	const struct tls_row *row = &tls_rows[f->name];
	enum ending ending = ending_of(row->program);
	struct tls_place *place = &out->place[out->n_places++];

	*place = (struct tls_place){ .row = f->name, .entry = p->entry, .cheap = p->entry_emulated };
	if (row->program == UPROBE_NEW) {
		place->ret = true;
		add(out, f->offset, row->program, true);
		return;
	}
	if (tls_row_aside(row)) {
		if (out->n_aside < TLS_ASIDE_MAX)
			out->aside[out->n_aside++] = (struct uprobe_site){ .offset = f->offset + p->entry, .program = row->program };
		return;
	}
	add(out, f->offset + p->entry, row->program, false);
	if (ending == END_NONE)
		return;
	place->n_rets = ending == END_POSITIVE ? p->n_rets : 0;
	for (int i = 0; i < place->n_rets; i++)
		add(out, f->offset + p->rets[i], UPROBE_RETURN, false);
	place->ret = !place->n_rets;
	if (place->ret)
		add(out, f->offset, UPROBE_DONE, true);
}

/* An alias: it has been seen under another name. */
static bool seen_before(const struct elf_function *found, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (found[j].offset == found[i].offset)
			return true;
	return false;
}

/* The first instruction, where nothing better is proven. */
static struct place place_of(const struct elf_scan *scan, const struct elf_function *f, char *code)
{
	struct place p = { 0 };
	enum place_arch arch;
	long n;

	if (!tls_rows[f->name].args || !f->size || f->size > PLACE_CODE_MAX || place_arch_of(elf_machine(scan), &arch))
		return p;
	n = elf_code(scan, f, code, PLACE_CODE_MAX);
	if (n > 0 && (uint64_t)n == f->size)
		place_function(slice_of(code, (size_t)n), f->address, arch, tls_rows[f->name].args, &p);
	return p;
}

int tls_sites_find(struct tls_sites *out, const struct elf_scan *scan, bool plain)
{
	_cleanup_(disasm_unload) struct disasm held = { 0 }; /* for all functions of the file */
	_free_ char *code = malloc(PLACE_CODE_MAX);
	size_t n;
	const struct elf_function *found = elf_found(scan, &n);

	if (!code)
		return -ENOMEM;
	*out = (struct tls_sites){ 0 };
	if (!plain)
		disasm_load(&held);
	for (size_t i = 0; i < n; i++)
		if (tls_rows[found[i].name].moves)
			out->libraries |= 1u << tls_rows[found[i].name].library;
	for (size_t i = 0; i < n && out->n + 1 + PLACE_RETS <= TLS_SITES_MAX; i++) {
		const struct tls_row *row = &tls_rows[found[i].name];
		struct place p = { 0 };

		if ((!tls_row_aside(row) && !(out->libraries & 1u << row->library)) || seen_before(found, i))
			continue;
		if (!plain)
			p = place_of(scan, &found[i], code);
		add_function(out, &found[i], &p);
	}
	return 0;
}
