// SPDX-License-Identifier: Apache-2.0
/*
 * Plays one block of the llhttp corpus (standard input) to the http1 row and prints what was understood of it:
 * llhttp_block request|response|response-head NAME,NAME… — the names are headers to show. Fails when a prefix or a split
 * of the block is understood otherwise than the whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/scope.h"
#include "proto/http1.h"

#define BLOCK_MAX (256 << 10)
#define NAMES_MAX 64

static struct slice names[NAMES_MAX];
static struct proto_config config = { .capture = names };
static bool responses, to_head;

struct run {
	void *session;
	struct buf text;   /* what was understood: one line a message, one a header, one an end */
	size_t used;	   /* bytes consumed or passed over */
	uint64_t skip;	   /* bytes still to pass over */
	bool open, opaque; /* open: a message's end was not told yet */
	bool ends;	   /* it is when the skip is over */
	bool failed;
};

static void put_line(struct buf *b, const char *what, struct slice a, struct slice c)
{
	buf_printf(b, "%s\t%.*s\t", what, SLICE_ARG(a));
	for (size_t i = 0; i < c.n; i++)
		if (!memchr(" \t\r\n", c.p[i], 4)) /* folds are joined differently */
			buf_append(b, c.p + i, 1);
	buf_append(b, "\n", 1);
}

static void put_head(struct run *run, const struct message *m)
{
	const struct http1_head *h = (const struct http1_head *)m;
	char status[16];

	snprintf(status, sizeof(status), "%u", h->status);
	buf_printf(&run->text, "%zu", run->used);
	put_line(&run->text, "message", responses ? slice_str(status) : http1_part(h, h->method),
		 responses ? SLICE("") : http1_part(h, h->target));
	for (unsigned i = 0; i < h->notes.n_captures; i++)
		put_line(&run->text, "header", names[h->notes.captures[i].tag], http1_part(h, h->notes.captures[i].value));
}

static void end_if_over(struct run *run)
{
	if (!run->ends || run->skip)
		return;
	buf_printf(&run->text, "%zucomplete\t\t\n", run->used);
	run->open = run->ends = false;
}

static void ask(struct run *run)
{
	struct proto_out out;

	http1_ops.parse(run->session, DIR_RECV,
			to_head ? SLICE("HEAD / HTTP/1.1\r\n\r\n") : SLICE("GET / HTTP/1.1\r\n\r\n"), &out);
}

/* One message or part of one. False: it cannot go on. */
static bool parse(struct run *run, struct slice in)
{
	struct proto_out out = { 0 };
	int64_t r = http1_ops.parse(run->session, responses ? DIR_SEND : DIR_RECV, in, &out);

	if (r == -EAGAIN) {
		ask(run);
		return true;
	}
	run->failed = r < 0;
	if (r <= 0)
		return false;
	if (out.flags & OUT_HEAD) {
		put_head(run, out.msg);
		run->open = true;
	}
	run->used += (size_t)r;
	run->skip = out.skip;
	run->ends = out.flags & (OUT_END | OUT_INTERIM);
	run->opaque = out.flags & OUT_OPAQUE;
	end_if_over(run);
	return true;
}

static void feed(struct run *run, struct slice in)
{
	while (run->used < in.n && !run->opaque) {
		size_t left = in.n - run->used, n = run->skip < left ? (size_t)run->skip : left;

		if (run->skip) {
			run->used += n;
			run->skip -= run->skip == SKIP_TO_END ? 0 : n;
			end_if_over(run);
		} else if (!parse(run, slice_from(in, run->used))) {
			return;
		}
	}
}

static void play(struct run *run, struct slice in, size_t split)
{
	*run = (struct run){ .session = calloc(1, http1_ops.session_size) };
	buf_init(&run->text, 1 << 20);
	http1_ops.init(run->session, &config);
	feed(run, slice_to(in, split));
	if (!run->failed)
		feed(run, in);
}

static void run_fini(struct run *run)
{
	buf_fini(&run->text);
	free(run->session);
}

static bool check(struct slice in, const struct run *whole, size_t at)
{
	struct run split, prefix;
	bool ok;

	play(&split, in, at);
	play(&prefix, slice_to(in, at), at);
	ok = slice_eq(buf_slice(&split.text), buf_slice(&whole->text)) &&
	     slice_starts(buf_slice(&whole->text), buf_slice(&prefix.text));
	if (!ok)
		printf("split or prefix at %zu differs:\n%.*s--\n%.*s--\n", at, SLICE_ARG(buf_slice(&split.text)),
		       SLICE_ARG(buf_slice(&prefix.text)));
	run_fini(&split);
	run_fini(&prefix);
	return ok;
}

int main(int argc, char **argv)
{
	_free_ char *block = malloc(BLOCK_MAX);
	struct slice in, list = slice_str(argc > 2 ? argv[2] : NULL);
	struct run whole;
	bool ok = true;

	if (argc < 2 || !block)
		return 2;
	responses = argv[1][3] == 'p';
	to_head = strstr(argv[1], "head") != NULL;
	while (config.n_capture < NAMES_MAX && list.n && slice_split(&list, ',', &names[config.n_capture]))
		config.n_capture++;
	in = slice_of(block, fread(block, 1, BLOCK_MAX, stdin));
	play(&whole, in, in.n);
	for (size_t at = 1; at < in.n && ok; at++)
		ok = check(in, &whole, at);
	if (ok)
		printf("%.*s%s", SLICE_ARG(buf_slice(&whole.text)), whole.failed ? "error\t\t\n" : "");
	run_fini(&whole);
	return !ok;
}
