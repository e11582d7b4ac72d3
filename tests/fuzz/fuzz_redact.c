// SPDX-License-Identifier: Apache-2.0
/* Fuzz target for the gate that secrets do not pass: through it a second time changes nothing, and no query value is left. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "proto/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool truth)
{
	if (!truth)
		abort();
}

static void check_query(struct slice url)
{
	ptrdiff_t mark = slice_find(url, '?'), hash = slice_find(url, '#');
	struct slice s = mark >= 0 && (hash < 0 || mark < hash) ? slice_from(url, (size_t)mark + 1) : SLICE_NONE;

	hash = slice_find(s, '#');
	s = hash >= 0 ? slice_to(s, (size_t)hash) : s;
	while (s.n) {
		size_t n = 0;
		ptrdiff_t eq;

		while (n < s.n && s.p[n] != '&' && s.p[n] != ';')
			n++;
		eq = slice_find(slice_to(s, n), '=');
		need(!n || slice_eq(slice_from(slice_to(s, n), (size_t)(eq + 1)), SLICE("REDACTED")));
		s = slice_from(s, n + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct describe_config config = { 0 };
	struct slice text = slice_of((const char *)data, size), once;
	struct arena_pool pool;
	struct arena arena;
	struct description d;

	arena_pool_init(&pool, 64 << 20);
	arena_init(&arena, &pool);
	if (!describe_init(&d, &arena, &config)) {
		describe_str(&d, "url.full", text);
		describe_strs(&d, SLICE("http.request.header.referer"), &text, 1);
		describe_strs(&d, SLICE("http.request.header.cookie"), &text, 1);
		redact_description(&d);
		once = d.n_attrs ? d.attrs[0].s : SLICE_NONE;
		check_query(once);
		redact_description(&d);
		need(d.n_attrs != 3 || slice_eq(once, d.attrs[0].s));
		need(d.n_attrs != 3 || slice_eq(d.attrs[2].strings.v[0], SLICE("REDACTED")));
	}
	arena_fini(&arena);
	arena_pool_fini(&pool);
	return 0;
}
