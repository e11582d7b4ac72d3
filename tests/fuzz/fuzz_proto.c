// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target for a protocol's row: the name of the program says which (build/…/fuzz/http1). The input is a conversation
 * as tests/conversation.h reads it; it is played whole and again in small pieces, and both must be understood alike.
 */
#include <libgen.h>
#include <stddef.h>
#include <stdint.h>

#include "conversation.h"

static const struct proto_ops *ops;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	ops = proto_find(slice_str(basename((*argv)[0])));
	if (!ops) {
		fprintf(stderr, "%s: no such protocol\n", (*argv)[0]);
		exit(2);
	}
	return 0;
}

static void play(const struct conversation *c, size_t step, struct buf *text)
{
	struct player p;

	buf_init(text, 8 << 20);
	player_init(&p, ops);
	for (size_t i = 0; i < c->n; i++)
		for (size_t at = 0; at < c->turns[i].n; at += step)
			player_feed(&p, c->turns[i].from,
				    slice_of(c->turns[i].bytes + at, MIN(step, c->turns[i].n - at)), (unsigned)i);
	player_end(&p);
	if (!p.errors) /* what is dropped after an error is what was at hand: that depends on the pieces */
		transcript(text, &p);
	player_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conversation c;
	struct buf whole, pieces;

	if (!size || size > 1 << 16)
		return 0;
	conversation_parse(&c, slice_of((const char *)data, size));
	play(&c, SIZE_MAX / 2, &whole);
	play(&c, 1 + data[0] % 7, &pieces);
	if (whole.n && pieces.n && !slice_eq(buf_slice(&whole), buf_slice(&pieces)))
		abort();
	buf_fini(&whole);
	buf_fini(&pieces);
	conversation_fini(&c);
	return 0;
}
