// SPDX-License-Identifier: Apache-2.0
/*
 * What must hold for every protocol, on every sample conversation of tests/corpus/<name>/. The texts beside the samples
 * (.want) say what each must be understood as; `--write` makes them anew, to be read before they are committed.
 */
#include "tap.h"

#include <dirent.h>

#include "base/rng.h"
#include "conversation.h"
#include "proto/grpc.h"

/* ---- allocations that fail: linked with --wrap ---- */

static long fail_at = -1; /* allocations until one fails; below 0: none does */

static bool fails(void)
{
	return fail_at >= 0 && fail_at-- == 0;
}

#define WRAP(type, name, params, args)                                                             \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fails() ? NULL : __real_##name args;                                        \
	}

WRAP(void *, malloc, (size_t n), (n))
WRAP(void *, calloc, (size_t n, size_t m), (n, m))
WRAP(void *, arena_alloc, (struct arena *a, size_t n), (a, n))
WRAP(void *, arena_zalloc, (struct arena *a, size_t n), (a, n))

struct slice __real_arena_copy(struct arena *a, struct slice s);
struct slice __wrap_arena_copy(struct arena *a, struct slice s);
struct slice __wrap_arena_copy(struct arena *a, struct slice s)
{
	return fails() ? SLICE_NONE : __real_arena_copy(a, s);
}

/* ---- one sample ---- */

static const struct proto_ops *ops;
static struct conversation sample;
static struct buf whole;	/* transcript of the undisturbed run */
static struct buf whole_calls;	/* its answered calls */
static const char *sample_name;
static bool pipelined; /* it has several requests open at a time */

static struct { /* its calls one by one */
	uint64_t key;
	struct buf text;
} texts[CALLS_MAX];
static size_t n_texts;

static void begin(struct player *p)
{
	player_init(p, ops);
}

static void end(struct player *p, struct buf *text)
{
	player_end(p);
	if (text)
		transcript(text, p);
}

static bool same(struct player *p)
{
	struct buf text;
	bool r;

	buf_init(&text, 1 << 22);
	end(p, &text);
	r = !text.failed && slice_eq(buf_slice(&text), buf_slice(&whole));
	if (!r)
		printf("# %s: differs: %.*s\n", sample_name, SLICE_ARG(buf_slice(&text)));
	buf_fini(&text);
	player_fini(p);
	return r;
}

/* The same call of the undisturbed run, as server. */
static struct slice undisturbed(uint64_t key)
{
	for (size_t i = 0; i < n_texts; i++)
		if (texts[i].key == key)
			return buf_slice(&texts[i].text);
	return SLICE("");
}

/*
 * Of a call that says it is truncated nothing but what is missing may differ: each line is one of the undisturbed run's. Of the
 * first line name, kind and status may be missing. What is not known to be gRPC is described as HTTP.
 */
static bool has(struct slice text, struct slice begin)
{
	struct slice line;

	while (slice_split(&text, '\n', &line))
		if (slice_starts(line, begin))
			return true;
	return false;
}

static bool is_part(struct slice text, struct slice of)
{
	struct slice line, have, rest;
	bool found = true, other = !has(text, SLICE("  rpc.system")) && has(of, SLICE("  rpc.system"));

	(void)slice_split(&text, '\n', &line);
	while (found && slice_split(&text, '\n', &line)) {
		found = !line.n || (other && !slice_starts(line, SLICE("  server.")));
		rest = of;
		while (!found && slice_split(&rest, '\n', &have))
			found = slice_eq(line, have);
	}
	return found;
}

static bool is_true_part(struct played *c)
{
	struct slice of = undisturbed(c->key);
	struct buf text;
	bool r;

	if (c->cut)
		return true;
	buf_init(&text, 1 << 20);
	c->unseen = !c->resp_end;
	transcript_call(&text, c, true);
	r = is_part(buf_slice(&text), of);
	if (!r)
		printf("# %s: invented: %.*s# of: %.*s", sample_name, SLICE_ARG(buf_slice(&text)), SLICE_ARG(of));
	buf_fini(&text);
	return r;
}

/* gRPC-Web over HTTP/1: what belongs to its messages comes behind their heads, and may be missing. Keys are of no help there. */
static bool is_web(const struct played *c)
{
	const struct http1_message *req = (const struct http1_message *)c->req;

	return c->ops == &http1_ops && req && grpc_content_type(req->known[H1_CONTENT_TYPE]);
}

static bool is_part_of_any(struct slice text)
{
	for (size_t i = 0; i < n_texts; i++)
		if (is_part(text, buf_slice(&texts[i].text)))
			return true;
	return false;
}

/* Every call that was seen answered is one of the undisturbed run, with the same answer. */
static bool nothing_invented(struct player *p)
{
	bool r = true;

	player_end(p);
	for (size_t i = 0; i < p->n_calls && r; i++) {
		struct buf text;

		if (p->calls[i].ops->multiplexed) {
			r = is_true_part(&p->calls[i]);
			continue;
		}
		if (p->calls[i].cut || !p->calls[i].resp_end)
			continue;
		buf_init(&text, 1 << 20);
		transcript_call(&text, &p->calls[i], true);
		r = p->calls[i].interims || memmem(whole_calls.p, whole_calls.n, text.p, text.n) ||
		    (is_web(&p->calls[i]) && is_part_of_any(buf_slice(&text)));
		if (!r)
			printf("# %s: invented: %.*s", sample_name, SLICE_ARG(buf_slice(&text)));
		buf_fini(&text);
	}
	player_fini(p);
	return r;
}

static void play_all(struct player *p)
{
	for (size_t i = 0; i < sample.n; i++)
		player_feed(p, sample.turns[i].from, slice_of(sample.turns[i].bytes, sample.turns[i].n), (unsigned)i);
}

static void run_whole(void)
{
	struct player p;

	buf_init(&whole, 1 << 22);
	buf_init(&whole_calls, 1 << 22);
	begin(&p);
	play_all(&p);
	end(&p, &whole);
	pipelined = p.pipelined;
	n_texts = p.n_calls;
	for (size_t i = 0; i < p.n_calls; i++) {
		if (p.calls[i].resp_end)
			transcript_call(&whole_calls, &p.calls[i], true);
		texts[i].key = p.calls[i].key;
		buf_init(&texts[i].text, 1 << 20);
		transcript_call(&texts[i].text, &p.calls[i], true);
	}
	player_fini(&p);
}

/* ---- properties ---- */

static void check_understood(const char *path, bool write)
{
	_fclose_ FILE *f = fopen(path, write ? "w" : "r");
	_free_ char *want = calloc(1, 1 << 20);

	REQUIRE(f && want);
	if (write) {
		fwrite(whole.p, 1, whole.n, f);
		return;
	}
	CHECK(slice_eq(buf_slice(&whole), slice_of(want, fread(want, 1, 1 << 20, f))));
}

static void check_splits(void)
{
	for (size_t i = 0; i < sample.n; i++) {
		for (size_t at = 0; at < sample.turns[i].n; at++) {
			struct player p;

			begin(&p);
			for (size_t j = 0; j < sample.n; j++) {
				struct slice s = slice_of(sample.turns[j].bytes, sample.turns[j].n);

				player_feed(&p, sample.turns[j].from, j == i ? slice_to(s, at) : s, (unsigned)j);
				if (j == i)
					player_feed(&p, sample.turns[j].from, slice_from(s, at), (unsigned)j);
			}
			CHECK(same(&p));
		}
	}
}

static void check_bytes(void)
{
	struct player p;

	begin(&p);
	for (size_t i = 0; i < sample.n; i++)
		for (size_t at = 0; at < sample.turns[i].n; at++)
			player_feed(&p, sample.turns[i].from, slice_of(sample.turns[i].bytes + at, 1), (unsigned)i);
	CHECK(same(&p));
}

/* One direction is read long before the other: what is said must not depend on who is processed first. */
static void check_one_direction_late(enum ev_dir first)
{
	struct player p;

	begin(&p);
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < sample.n; i++)
			if (sample.turns[i].from == (pass ? !first : first))
				player_feed(&p, sample.turns[i].from,
					    slice_of(sample.turns[i].bytes, sample.turns[i].n), (unsigned)i);
	CHECK(same(&p));
}

static void check_truncations(void)
{
	size_t total = 0;

	for (size_t i = 0; i < sample.n; i++)
		total += sample.turns[i].n;
	for (size_t stop = 0; stop < total; stop++) {
		size_t left = stop;
		struct player p;

		begin(&p);
		for (size_t i = 0; i < sample.n && left; i++) {
			size_t n = MIN(left, sample.turns[i].n);

			player_feed(&p, sample.turns[i].from, slice_of(sample.turns[i].bytes, n), (unsigned)i);
			left -= n;
		}
		CHECK(nothing_invented(&p));
	}
}

static void play_with_hole(size_t turn, size_t at, size_t length)
{
	struct player p;

	begin(&p);
	for (size_t i = 0; i < sample.n; i++) {
		struct slice s = slice_of(sample.turns[i].bytes, sample.turns[i].n);

		if (i != turn) {
			player_feed(&p, sample.turns[i].from, s, (unsigned)i);
			continue;
		}
		player_feed(&p, sample.turns[i].from, slice_to(s, at), (unsigned)i);
		player_hole(&p, sample.turns[i].from, MIN(length, s.n - at));
		player_feed(&p, sample.turns[i].from, slice_from(s, at + length), (unsigned)i);
	}
	if (!nothing_invented(&p)) {
		printf("# hole of %zu at %zu in turn %zu\n", length, at, turn);
		tap_bad = true;
	}
}

/*
 * A real hole ends where an operation does. Shorter ones are tried as well, but not with pipelining: a lost request with
 * others right behind it leaves no trace from which to tell whose the first answer is.
 */
static void check_holes(void)
{
	static const size_t lengths[] = { SIZE_MAX / 2, 1, 2, 19 };

	for (size_t i = 0; i < sample.n; i++)
		for (size_t at = 0; at < sample.turns[i].n; at++)
			for (size_t l = 0; l < (pipelined && !ops->multiplexed ? 1 : ARRAY_SIZE(lengths)); l++)
				play_with_hole(i, at, lengths[l]);
}

static size_t mutate(struct rng *r, char *to, struct slice from)
{
	size_t n = from.n, changes = 1 + rng_next(r) % 4;

	memcpy(to, from.p, n);
	while (changes-- && n) {
		size_t at = rng_next(r) % n, m = rng_next(r) % (n - at) + 1;

		switch (rng_next(r) % 4) {
		case 0:
			to[at] = (char)rng_next(r);
			break;
		case 1: /* cut */
			memmove(to + at, to + at + m, n - at - m);
			n -= m;
			break;
		case 2: /* double */
			if (n + m <= from.n * 2) {
				memmove(to + at + m, to + at, n - at);
				n += m;
			}
			break;
		default: /* a byte that matters */
			to[at] = " \r\n:;,=\0\x7f\xff"[rng_next(r) % 10];
		}
	}
	return n;
}

static void check_mutations(void)
{
	struct rng r;

	rng_seed(&r, 20, sample.n);
	for (int round = 0; round < 400; round++) {
		struct buf text;
		struct player p;

		buf_init(&text, 1 << 22);
		begin(&p);
		for (size_t i = 0; i < sample.n; i++) {
			struct slice s = slice_of(sample.turns[i].bytes, sample.turns[i].n);
			_free_ char *changed = malloc(2 * s.n + 1);

			player_feed(&p, sample.turns[i].from, slice_of(changed, mutate(&r, changed, s)), (unsigned)i);
		}
		end(&p, &text);
		CHECK(!text.failed); /* whatever was understood could be described */
		buf_fini(&text);
		player_fini(&p);
	}
}

/* A run in which the n-th allocation fails loses calls, and counts them; what it tells is true. */
static bool play_failing(long n)
{
	struct buf text;
	struct player p;
	bool failed;

	buf_init(&text, 1 << 22);
	begin(&p);
	fail_at = n;
	play_all(&p);
	player_end(&p);
	failed = fail_at < 0;
	CHECK(!failed || p.refused == 1 || p.given_up || p.ops->amend); /* which says that something is missing */
	if (!failed) { /* describing may fail, too: it leaves out */
		fail_at = n;
		transcript(&text, &p);
		failed = fail_at < 0;
	}
	fail_at = -1;
	buf_fini(&text);
	CHECK(nothing_invented(&p));
	return failed;
}

static void check_failing_allocations(void)
{
	long n = 0;

	while (play_failing(n))
		n++;
	CHECK(n > 0);
}

static void check_sample(const char *path, bool write)
{
	char want[512];

	CHECK_INT(conversation_load(&sample, path), 0);
	snprintf(want, sizeof(want), "%.*s.want", (int)(strlen(path) - 4), path);
	sample_name = path;
	run_whole();
	check_understood(want, write);
	if (!write) {
		check_splits();
		check_bytes();
		check_one_direction_late(DIR_RECV);
		if (!memmem(whole.p, whole.n, "rpc.system", 10)) /* messages are counted until the answer ends */
			check_one_direction_late(DIR_SEND);
		check_truncations();
		check_holes();
		check_mutations();
		check_failing_allocations();
	}
	buf_fini(&whole);
	buf_fini(&whole_calls);
	for (size_t i = 0; i < n_texts; i++)
		buf_fini(&texts[i].text);
	conversation_fini(&sample);
}

static bool is_sample(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 4 && !strcmp(e->d_name + n - 4, ".txt");
}

/* Its samples, each a test of its own. A row without samples is not tested, which is a failure. */
static void check_row(const struct proto_ops *row, bool write)
{
	char dir[256], path[600], name[600];
	struct dirent **list;
	int n, samples = 0;

	ops = row;
	snprintf(dir, sizeof(dir), "tests/corpus/%s", row->name);
	n = scandir(dir, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (is_sample(list[i])) {
			samples++;
			snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
			snprintf(name, sizeof(name), "proto_properties__%s_%s", row->name, list[i]->d_name);
			tap_bad = false;
			check_sample(path, write);
			tap_failed += tap_bad;
			printf("%s %d - %s\n", tap_bad ? "not ok" : "ok", ++tap_n, name);
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	tap_failed += !samples;
	printf("%s %d - proto_properties__%s_has_samples\n", samples ? "ok" : "not ok", ++tap_n, row->name);
}

int main(int argc, char **argv)
{
	bool write = argc > 1 && !strcmp(argv[1], "--write");

	(void)tap_run;
	for (const struct proto_ops *const *p = protocols; *p; p++)
		check_row(*p, write);
	return tap_done();
}
