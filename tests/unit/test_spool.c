// SPDX-License-Identifier: Apache-2.0
/* Spans on disk: in order, once, counted; and whatever happens to the files. */
#include "fake_spans.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/rng.h"
#include "export/otlp_decode.h"
#include "export/outlet.h"
#include "export/spool.h"

#define MIB (1024 * 1024)

static char dir[] = "/tmp/test_spool.XXXXXX";
static struct spool_dir *spools;
static uint64_t clock_now;

/* ---- records --------------------------------------------------------------------------------- */

static struct spool *fresh(uint64_t size)
{
	struct spool *s = NULL;

	spool_open(&s, &(struct spool_config){ spools, "http://x/v1/traces", size, STAT_undelivered_otlp });
	return s;
}

/* The path of one of the files, or NULL. */
static const char *a_file(void)
{
	static char path[512];
	struct dirent *e;
	DIR *d = opendir(dir);

	while ((e = readdir(d)) && !strstr(e->d_name, ".spool"))
		;
	if (e)
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
	closedir(d);
	return e ? path : NULL;
}

static uint64_t bytes_on_disk(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	struct stat st;
	uint64_t n = 0;

	while ((e = readdir(d)))
		if (strstr(e->d_name, ".spool") && !fstatat(dirfd(d), e->d_name, &st, 0))
			n += (uint64_t)st.st_size;
	closedir(d);
	return n;
}

static int remove_files(void)
{
	const char *path;
	int n = 0;

	while ((path = a_file()) && !unlink(path))
		n++;
	return n;
}

static int begin(void)
{
	memset(stats, 0, sizeof(stats));
	return remove_files();
}

/* The n-th text, of `size` bytes; it tells its number. */
static struct slice text_of(unsigned number, size_t size)
{
	static char text[MIB];

	memset(text, 'a' + (int)(number % 26), size);
	memcpy(text, &number, sizeof(number));
	return slice_of(text, size);
}

static int put(struct spool *s, unsigned number, uint32_t n, size_t size, bool first)
{
	uint8_t marks[64];

	memset(marks, MARK_OPEN, sizeof(marks));
	return spool_put(s, marks, n, text_of(number, size), first);
}

/* Takes one and finishes it; its number, or -1. */
static int take(struct spool *s)
{
	struct spool_taken *t;
	unsigned number;

	if (spool_take(s, clock_now, &t))
		return -1;
	memcpy(&number, t->text.p, sizeof(number));
	for (uint32_t i = 0; i < t->n; i++)
		spool_done(t, i);
	spool_release(s, t, false);
	return (int)number;
}

static void test_spool__first_in_first_out_and_nothing_left(void)
{
	struct spool *s;

	begin();
	s = fresh(8 * MIB);
	for (unsigned i = 0; i < 500; i++) {
		CHECK_INT(put(s, i, 3, 10000, false), 0);
		if (i % 3 == 2)
			CHECK_INT(take(s), i / 3);
	}
	CHECK(spool_waiting(s));
	for (unsigned i = 166; i < 500; i++)
		CHECK_INT(take(s), i);
	CHECK_INT(take(s), -1);
	CHECK(!spool_waiting(s));
	CHECK_INT(stats[STAT_spans_spooled], 1500);
	CHECK_INT(stats[STAT_spans_in_spool], 0);
	CHECK_INT(stats[STAT_spool_damaged] + all_drops(), 0);
	CHECK_INT(remove_files(), 0);
	spool_close(s);
}

static void test_spool__what_is_put_first_comes_first_in_its_order(void)
{
	struct spool *s;

	begin();
	s = fresh(8 * MIB);
	for (unsigned i = 10; i < 20; i++)
		CHECK_INT(put(s, i, 1, 1000, false), 0);
	for (unsigned i = 0; i < 10; i++)
		CHECK_INT(put(s, i, 1, 1000, true), 0);
	CHECK_INT(put(s, 20, 1, 1000, false), 0);
	spool_close(s);
	s = fresh(8 * MIB);
	for (int i = 0; i < 21; i++)
		CHECK_INT(take(s), i);
	CHECK_INT(put(s, 8, 1, 1000, true), 0); /* into an empty one */
	CHECK_INT(put(s, 9, 1, 1000, false), 0);
	CHECK_INT(put(s, 7, 1, 1000, true), 0);
	CHECK_INT(take(s), 8);
	CHECK_INT(take(s), 7);
	CHECK_INT(take(s), 9);
	spool_close(s);
}

static void test_spool__another_run_goes_on_where_marks_say(void)
{
	struct spool_taken *a, *b, *c;
	struct spool *s;

	begin();
	s = fresh(8 * MIB);
	for (unsigned i = 0; i < 4; i++)
		put(s, i, 4, 1000, false);
	REQUIRE(!spool_take(s, clock_now, &a) && !spool_take(s, clock_now, &b) && !spool_take(s, clock_now, &c));
	for (uint32_t i = 0; i < 4; i++)
		spool_done(b, i);
	spool_done(c, 1);
	spool_sync(c);
	spool_release(s, b, true); /* nothing is left of it to come again */
	spool_release(s, c, true);
	spool_release(s, a, true);
	spool_close(s);
	CHECK_INT(stats[STAT_spans_in_spool], 11);
	memset(stats, 0, sizeof(stats));
	s = fresh(8 * MIB);
	CHECK_INT(stats[STAT_spans_recovered], 11);
	REQUIRE(!spool_take(s, clock_now, &a) && !spool_take(s, clock_now, &c));
	CHECK_INT(a->left, 4);
	CHECK_INT(c->left, 3);
	CHECK_INT(c->marks[1], MARK_DONE);
	CHECK_INT(*(const unsigned *)(const void *)c->text.p, 2);
	spool_release(s, c, true); /* comes again, the one in flight before it does not */
	REQUIRE(!spool_take(s, clock_now, &c));
	CHECK_INT(*(const unsigned *)(const void *)c->text.p, 2);
	spool_release(s, a, true);
	spool_release(s, c, true);
	spool_close(s);
}

/* A process without a descriptor to spare cannot open the file: nothing is lost by that. */
static void test_spool__what_cannot_be_read_stays(void)
{
	struct rlimit before, none;
	struct spool *s;

	begin();
	s = fresh(MIB);
	put(s, 7, 3, 100, false);
	spool_close(s);
	memset(stats, 0, sizeof(stats));
	s = fresh(MIB);
	getrlimit(RLIMIT_NOFILE, &before);
	none = (struct rlimit){ 0, before.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	CHECK_INT(take(s), -1);
	setrlimit(RLIMIT_NOFILE, &before);
	CHECK_INT(stats[STAT_spool_unread], 1);
	CHECK_INT(stats[STAT_spool_damaged] + stats[STAT_drop_spool_damaged], 0);
	CHECK(spool_waiting(s) && stats[STAT_spans_in_spool] == 3);
	CHECK_INT(take(s), -1); /* not yet */
	clock_now += SPOOL_RETRY;
	CHECK_INT(take(s), 7);
	CHECK_INT(stats[STAT_spool_unread], 1);
	CHECK_INT(stats[STAT_spans_in_spool], 0);
	spool_close(s);
}

static void test_spool__at_its_size_the_oldest_go(void)
{
	struct spool_taken *t;
	uint64_t bytes;
	struct spool *s;
	int next;

	begin();
	s = fresh(MIB);
	put(s, 0, 10, 10000, false);
	REQUIRE(!spool_take(s, clock_now, &t));
	for (unsigned i = 1; i < 1000; i++)
		CHECK_INT(put(s, i, 10, 10000, false), 0);
	bytes = bytes_on_disk();
	CHECK(bytes <= MIB && bytes > MIB * 8 / 10);
	CHECK(stats[STAT_drop_spool_full] > 8000);
	CHECK_INT(stats[STAT_drop_spool_full] + stats[STAT_spans_in_spool], 10000);
	CHECK_INT(stats[STAT_undelivered_otlp], stats[STAT_drop_spool_full]);
	for (uint32_t i = 0; i < 10; i++) /* the one in flight was acknowledged meanwhile */
		spool_done(t, i);
	spool_release(s, t, false);
	CHECK_INT(stats[STAT_drop_spool_full] + stats[STAT_spans_in_spool], 9990);
	next = take(s);
	CHECK(next > 800);
	for (int i = next + 1; i < 1000; i++)
		CHECK_INT(take(s), i);
	CHECK_INT(stats[STAT_spans_in_spool], 0);
	CHECK_INT(put(s, 0, 10, MIB / 2, false), -EMSGSIZE);
	spool_close(s);
}

static void test_spool__a_full_disk_leaves_whole_records(void)
{
	struct rlimit old, small;
	struct spool *s;

	begin();
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	s = fresh(8 * MIB);
	CHECK_INT(put(s, 0, 2, 5000, false), 0);
	small = (struct rlimit){ 7000, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	CHECK(put(s, 1, 2, 5000, false) < 0);
	CHECK_INT(stats[STAT_spans_in_spool], 2);
	setrlimit(RLIMIT_FSIZE, &old);
	CHECK_INT(put(s, 2, 2, 5000, false), 0);
	spool_close(s);
	s = fresh(8 * MIB);
	CHECK_INT(take(s), 0);
	CHECK_INT(take(s), 2);
	CHECK_INT(take(s), -1);
	CHECK_INT(stats[STAT_spool_damaged], 0);
	spool_close(s);
}

/* ---- damage ---------------------------------------------------------------------------------- */

#define RECORDS 5
#define RECORD_SPANS 3

static size_t image(char *to, size_t room)
{
	struct spool *s;
	size_t n = 0;
	FILE *f;

	begin();
	s = fresh(8 * MIB);
	for (unsigned i = 0; i < RECORDS; i++)
		put(s, i, RECORD_SPANS, 300 + i, false);
	spool_close(s);
	f = fopen(a_file(), "r");
	n = fread(to, 1, room, f);
	fclose(f);
	return n;
}

/* Reads what is left of a changed file. The set of records that came, as bits; -1 when the books do not balance. */
static int read_image(const char *bytes, size_t n)
{
	unsigned got = 0;
	struct spool *s;
	bool twice = false;
	int number, fd;

	if (!a_file()) /* the last one was read to its end and is gone */
		image((char[4096]){ 0 }, 4096);
	fd = open(a_file(), O_WRONLY | O_TRUNC);
	n = (size_t)write(fd, bytes, n);
	close(fd);
	memset(stats, 0, sizeof(stats));
	s = fresh(8 * MIB);
	while ((number = take(s)) >= 0) {
		twice |= number >= RECORDS || got & 1u << number;
		got |= 1u << number % RECORDS;
	}
	spool_close(s);
	if (twice || stats[STAT_spans_in_spool] || stats[STAT_spans_recovered] !=
	    stats[STAT_drop_spool_damaged] + (unsigned)__builtin_popcount(got) * RECORD_SPANS)
		return -1;
	return (int)got;
}

static void test_spool__cut_anywhere(void)
{
	char bytes[4096];
	size_t n = image(bytes, sizeof(bytes)), head = n - 5 * (RECORD_SPANS + 302), at = 0;

	for (size_t cut = 0; cut < n; cut++) {
		unsigned whole = 0;
		int got;

		for (at = 0; whole < RECORDS; whole++) {
			at += head / RECORDS + RECORD_SPANS + 300 + whole;
			if (at > cut)
				break;
		}
		got = read_image(bytes, cut);
		if (got != (1 << whole) - 1) {
			CHECK_INT(got, (1 << whole) - 1);
			return;
		}
	}
}

static void test_spool__flipped_anywhere(void)
{
	char bytes[4096];
	size_t n = image(bytes, sizeof(bytes));

	for (size_t i = 0; i < n * 8; i += 3) {
		int got;

		bytes[i / 8] ^= (char)(1 << i % 8);
		got = read_image(bytes, n);
		bytes[i / 8] ^= (char)(1 << i % 8);
		if (got < 0 || __builtin_popcount((unsigned)got) < RECORDS - 1 || !stats[STAT_spool_damaged]) {
			printf("# bit %zu: records %x\n", i, (unsigned)got);
			CHECK(false);
			return;
		}
	}
}

static void test_spool__anything_in_its_place(void)
{
	char bytes[4096], torn[4096];
	size_t n = image(bytes, sizeof(bytes));
	struct rng rng;

	rng_seed(&rng, 1, 2);
	for (int k = 0; k < 2000; k++) {
		memcpy(torn, bytes, n);
		for (uint64_t i = rng_next(&rng) % 40; i; i--)
			torn[rng_next(&rng) % n] = (char)rng_next(&rng);
		if (k % 3 == 0) /* a piece twice */
			memmove(torn + rng_next(&rng) % (n / 2), torn + rng_next(&rng) % (n / 2), n / 2);
		if (k % 3 != 0)
			CHECK(read_image(torn, n) >= 0);
		else
			read_image(torn, n);
		CHECK_INT(stats[STAT_spans_in_spool], 0);
	}
}

static void test_spool__files_that_are_none_of_ours(void)
{
	char bytes[4096], path[600], other[600], *dash;
	struct spool *s;

	image(bytes, sizeof(bytes));
	snprintf(other, sizeof(other), "%s", a_file());
	dash = strrchr(other, '-');
	memcpy(dash + 1, "00000000000000aa", 16); /* before all others */
	REQUIRE(!symlink("/etc/passwd", other));
	memcpy(dash + 1, "00000000000000ab", 16);
	REQUIRE(!mkfifo(other, 0600));
	memcpy(dash + 1, "00000000000000ac", 16);
	REQUIRE(!mkdir(other, 0700));
	memcpy(dash + 1, "0000000100000001", 16); /* the name that comes next */
	REQUIRE(!symlink("/nonexistent", other));
	snprintf(other, sizeof(other), "%s/nonsense.spool", dir);
	REQUIRE(!mkdir(other, 0700));
	memset(stats, 0, sizeof(stats));
	s = fresh(8 * MIB);
	CHECK_INT(stats[STAT_spool_ignored], 4);
	CHECK_INT(put(s, RECORDS, 1, 70000, false), 0);
	CHECK_INT(put(s, RECORDS + 1, 1, 70000, false), 0);
	for (int i = 0; i < RECORDS + 2; i++)
		CHECK_INT(take(s), i);
	CHECK_INT(take(s), -1);
	spool_close(s);
	rmdir(other);
	snprintf(path, sizeof(path), "rm -rf %s/*.spool", dir);
	CHECK_INT(system(path), 0);
}

static void test_spool__one_process_at_a_time(void)
{
	struct spool_dir *again = NULL;

	CHECK_INT(spool_dir_open(&again, dir), -EBUSY);
	CHECK(!again);
	CHECK_INT(spool_dir_open(&again, "/nonexistent/x"), -ENOENT);
	CHECK_INT(spool_dir_open(&again, "/etc/passwd"), -ENOTDIR);
}

/* ---- spans ----------------------------------------------------------------------------------- */

static void test_decode__spans_come_back_as_they_were(void)
{
	struct span *spans[20], *again[20];
	struct arena_pool pool;
	struct otlp_decoded d;
	struct buf message, a, b;
	struct arena arena;
	uint64_t id = 0;

	begin();
	arena_pool_init(&pool, 16 * MIB);
	arena_init(&arena, &pool);
	buf_init(&message, MIB);
	buf_init(&a, MIB);
	buf_init(&b, MIB);
	for (unsigned i = 0; i < 20; i++) /* in the order of resources: that is how they come back */
		spans[i] = i % 2 ? fake_full(i, &fake_resources[i / 7]) : fake_bare(i, i < 19 ? &fake_resources[i / 7] : NULL);
	REQUIRE(!otlp_encode(spans, 20, "1", &message));
	REQUIRE(!otlp_decode(buf_slice(&message), 20, &arena, &id, &d));
	for (unsigned i = 0; i < 20; i++)
		again[i] = &d.spans[i];
	REQUIRE(!otlp_json_encode(spans, 20, "1", &a) && !otlp_json_encode(again, 20, "1", &b));
	CHECK(slice_eq(buf_slice(&a), buf_slice(&b)));
	CHECK_SLICE(d.spans[0].resource->service, "shop");
	CHECK(d.spans[0].resource->id & OTLP_RESOURCE_ID);
	CHECK_INT(otlp_decode(buf_slice(&message), 19, &arena, &id, &d), -EBADMSG);
	CHECK_INT(otlp_decode(buf_slice(&message), 21, &arena, &id, &d), -EBADMSG);
	for (size_t n = 0; n < message.n; n++) { /* at the end of a heap block, where an over-read is found */
		char *copy = malloc(n + 1);

		memcpy(copy, message.p, n);
		CHECK_INT(otlp_decode(slice_of(copy, n), 20, &arena, &id, &d), -EBADMSG);
		free(copy);
		arena_fini(&arena);
		arena_init(&arena, &pool);
	}
	arena_fini(&arena);
	arena_pool_fini(&pool);
	buf_fini(&message);
	buf_fini(&a);
	buf_fini(&b);
	free_spans(spans, 20);
}

static void test_decode__survives_nonsense(void)
{
	struct arena_pool pool;
	struct span *spans[8];
	struct otlp_decoded d;
	struct arena arena;
	struct buf message;
	struct rng rng;
	uint64_t id = 0;

	rng_seed(&rng, 3, 4);
	arena_pool_init(&pool, 16 * MIB);
	buf_init(&message, MIB);
	for (unsigned i = 0; i < 8; i++)
		spans[i] = fake_full(i, &fake_resources[i % 3]);
	REQUIRE(!otlp_encode(spans, 8, "1", &message));
	for (int k = 0; k < 20000; k++) {
		char *copy = malloc(message.n);

		memcpy(copy, message.p, message.n);
		for (uint64_t i = 1 + rng_next(&rng) % 8; i; i--)
			copy[rng_next(&rng) % message.n] = (char)rng_next(&rng);
		arena_init(&arena, &pool);
		otlp_decode(slice_of(copy, message.n), 8, &arena, &id, &d);
		arena_fini(&arena);
		free(copy);
	}
	CHECK_INT(pool.used, 0);
	arena_pool_fini(&pool);
	buf_fini(&message);
	free_spans(spans, 8);
}

/* ---- an outlet whose exporter does as it is told -------------------------------------------------- */

struct exporter {
	struct outlet *o;
	struct list batches;
	bool up;
	int drop; /* how it gives back what it has; -1: delivered */
	unsigned sent[4096]; /* how often each span was delivered */
	unsigned last; /* number of the newest one, to see the order */
	bool in_order;
};

static struct exporter fake;

static void fake_answer(struct exporter *x, int drop)
{
	struct list *i;

	while ((i = list_pop(&x->batches))) {
		struct export_batch *b = list_entry(i, struct export_batch, link);

		for (uint32_t k = 0; k < b->n && drop < 0; k++) {
			unsigned n = (unsigned)b->spans[k]->span_id[6] << 8 | b->spans[k]->span_id[7];

			x->sent[n]++;
			x->in_order &= n >= x->last;
			x->last = n;
		}
		export_batch_done(x->o, b, drop);
	}
}

static void fake_send(struct exporter *x, struct export_batch *b, uint64_t now)
{
	(void)now;
	list_push(&x->batches, &b->link);
	if (x->up)
		fake_answer(x, -1);
}

static void fake_close(struct exporter *x)
{
	fake_answer(x, STAT_drop_unsent);
}

static const struct exporter_ops fake_ops = {
	.name = "otlp", .undelivered = STAT_undelivered_otlp, .send = fake_send, .close = fake_close,
};

static void fake_open(struct outlet *o, uint64_t size)
{
	*o = (struct outlet){ .ops = &fake_ops, .x = &fake, .limits = { .queue = 100, .batch = 10, .age = 1 } };
	fake.o = o;
	fake.up = false;
	list_init(&fake.batches);
	if (backlog_new(&o->backlog, &(struct spool_config){ spools, "fake", size, STAT_undelivered_otlp }, "1"))
		abort();
}

static void fake_begin(struct outlet *o)
{
	begin();
	memset(&fake, 0, sizeof(fake));
	fake.in_order = true;
	fake_open(o, 8 * MIB);
}

static void fake_push(struct outlet *o, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++) {
		struct span *s = fake_http(i, &fake_resources[0]);

		s->drop = -1;
		s->refs = 1;
		outlet_add(o, s, 0);
	}
}

static void turns(struct outlet *o, int n)
{
	for (int i = 0; i < n; i++)
		outlet_turn(o, 1);
}

static bool once_each(unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++)
		if (fake.sent[i] != 1)
			return false;
	return true;
}

static uint64_t right_side(const struct outlet *o)
{
	return stats[STAT_spans_exported] + stats[STAT_spans_in_spool] + all_drops() + spans_alive + 0 * o->held;
}

static void test_outlet__an_outage_loses_nothing_and_keeps_the_order(void)
{
	struct outlet o;

	fake_begin(&o);
	fake_push(&o, 0, 1000);
	turns(&o, 5);
	CHECK(spans_alive <= 100 && o.held <= 100);
	CHECK_INT(right_side(&o), 1000);
	CHECK_INT(stats[STAT_spans_exported], 0);
	fake.up = true;
	fake_answer(&fake, -1);
	fake_push(&o, 1000, 5); /* behind what is on disk */
	outlet_tick(&o, 10);
	turns(&o, 50);
	CHECK_INT(stats[STAT_spans_exported], 1005);
	CHECK(once_each(0, 1005));
	CHECK(fake.in_order);
	CHECK_INT(stats[STAT_spans_in_spool], 0);
	fake_push(&o, 1005, 10); /* straight again */
	CHECK_INT(stats[STAT_spans_exported], 1015);
	outlet_close(&o);
	CHECK_INT(spans_alive, 0);
	CHECK_INT(all_drops(), 0);
	CHECK_INT(remove_files(), 0);
}

static void test_outlet__what_is_unsent_at_the_end_goes_out_in_the_next_run(void)
{
	struct outlet o;

	fake_begin(&o);
	fake_push(&o, 0, 555);
	turns(&o, 5);
	outlet_flush(&o, 2);
	turns(&o, 5);
	outlet_close(&o);
	CHECK_INT(spans_alive, 0);
	CHECK_INT(stats[STAT_spans_in_spool], 555);
	CHECK_INT(all_drops() + stats[STAT_undelivered_otlp], 0);
	memset(stats, 0, sizeof(stats));
	fake_open(&o, 8 * MIB);
	CHECK_INT(stats[STAT_spans_recovered], 555);
	fake.up = true;
	turns(&o, 50);
	CHECK(once_each(0, 555));
	CHECK(fake.in_order);
	CHECK_INT(stats[STAT_spans_exported], 555);
	outlet_close(&o);
	CHECK_INT(remove_files(), 0);
}

static void test_outlet__given_up_means_later(void)
{
	struct outlet o;

	fake_begin(&o);
	fake_push(&o, 0, 500);
	for (int i = 0; i < 20; i++) {
		turns(&o, 3);
		CHECK(!list_empty(&fake.batches));
		fake_answer(&fake, STAT_drop_unsent);
		CHECK_INT(right_side(&o), 500);
	}
	fake.up = true;
	turns(&o, 50);
	CHECK(once_each(0, 500));
	CHECK_INT(stats[STAT_spans_exported], 500);
	CHECK_INT(all_drops() + stats[STAT_undelivered_otlp], 0);
	outlet_close(&o);
}

static void test_outlet__refused_is_refused(void)
{
	struct outlet o;

	fake_begin(&o);
	fake_push(&o, 0, 300);
	for (int i = 0; i < 20; i++) {
		turns(&o, 3);
		fake_answer(&fake, STAT_drop_refused);
	}
	CHECK_INT(stats[STAT_drop_refused], 300);
	CHECK_INT(stats[STAT_undelivered_otlp], 300);
	CHECK_INT(right_side(&o), 300);
	outlet_close(&o);
	CHECK_INT(remove_files(), 0);
}

/* Half of a batch acknowledged, then the process is killed: the copy of the directory is what the next one finds. */
static void test_outlet__what_was_acknowledged_is_not_sent_again(void)
{
	struct outlet o;
	struct export_batch *b;

	fake_begin(&o);
	fake_push(&o, 0, 200);
	fake_answer(&fake, -1);
	turns(&o, 1);
	REQUIRE(!list_empty(&fake.batches));
	b = list_entry(fake.batches.next, struct export_batch, link);
	list_push(fake.batches.next->next, &export_batch_split(b)->link);
	list_del(&b->link);
	list_push(fake.batches.next->prev, &b->link);
	b = list_entry(list_pop(&fake.batches), struct export_batch, link);
	for (uint32_t k = 0; k < b->n; k++)
		fake.sent[(unsigned)b->spans[k]->span_id[6] << 8 | b->spans[k]->span_id[7]]++;
	export_batch_done(&o, b, -1);
	fake_answer(&fake, STAT_drop_unsent);
	outlet_close(&o);
	memset(stats, 0, sizeof(stats));
	fake_open(&o, 8 * MIB);
	fake.up = true;
	turns(&o, 50);
	CHECK(once_each(0, 200));
	outlet_close(&o);
	CHECK_INT(spans_alive, 0);
}

static void test_outlet__a_full_disk_leaves_the_queue(void)
{
	struct rlimit old, small;
	struct outlet o;

	fake_begin(&o);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){ 20000, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	fake_push(&o, 0, 1000);
	turns(&o, 3);
	setrlimit(RLIMIT_FSIZE, &old);
	CHECK(stats[STAT_drop_queue] > 700);
	CHECK(stats[STAT_spans_in_spool] > 0);
	CHECK(stats[STAT_spool_failed] > 0);
	CHECK_INT(right_side(&o), 1000);
	CHECK(o.held >= 90 && o.held <= 110);
	fake_push(&o, 1000, 100); /* there is room again */
	CHECK_INT(right_side(&o), 1100);
	CHECK(stats[STAT_spans_in_spool] >= 100);
	fake.up = true;
	fake_answer(&fake, -1);
	turns(&o, 50);
	CHECK(once_each(1000, 100));
	CHECK_INT(stats[STAT_spans_exported] + stats[STAT_drop_queue], 1100);
	outlet_close(&o);
	CHECK_INT(spans_alive, 0);
}

static void test_outlet__shared_spans_count_once(void)
{
	struct span *s[300];
	struct outlet o;

	fake_begin(&o);
	for (unsigned i = 0; i < 300; i++) { /* another exporter delivers the even ones before, the odd ones after */
		s[i] = fake_http(i, NULL);
		s[i]->drop = -1;
		s[i]->refs = 2;
		if (i % 2 == 0) {
			s[i]->acked = true;
			stat_inc(spans_exported);
		}
		outlet_add(&o, s[i], 0);
	}
	turns(&o, 1);
	CHECK_INT(stats[STAT_spans_spooled], (300 - 90) / 2);
	for (unsigned i = 0; i < 300; i++) {
		if (i % 2 && !s[i]->acked && !s[i]->spooled)
			stat_inc(spans_exported);
		s[i]->acked = true;
		outlet_unref(s[i]);
	}
	CHECK_INT(stats[STAT_spans_exported] + stats[STAT_spans_in_spool], 300);
	fake.up = true;
	fake_answer(&fake, -1);
	turns(&o, 50);
	CHECK_INT(stats[STAT_spans_exported], 300);
	CHECK(once_each(0, 300));
	outlet_close(&o);
	CHECK_INT(spans_alive, 0);
	CHECK_INT(all_drops(), 0);
}

int main(void)
{
	char command[64];

	log_setup(LOG_ERROR, false);
	if (!mkdtemp(dir) || spool_dir_open(&spools, dir))
		return 1;
	RUN(test_spool__first_in_first_out_and_nothing_left);
	RUN(test_spool__what_is_put_first_comes_first_in_its_order);
	RUN(test_spool__another_run_goes_on_where_marks_say);
	RUN(test_spool__what_cannot_be_read_stays);
	RUN(test_spool__at_its_size_the_oldest_go);
	RUN(test_spool__a_full_disk_leaves_whole_records);
	RUN(test_spool__cut_anywhere);
	RUN(test_spool__flipped_anywhere);
	RUN(test_spool__anything_in_its_place);
	RUN(test_spool__files_that_are_none_of_ours);
	RUN(test_spool__one_process_at_a_time);
	RUN(test_decode__spans_come_back_as_they_were);
	RUN(test_decode__survives_nonsense);
	RUN(test_outlet__an_outage_loses_nothing_and_keeps_the_order);
	RUN(test_outlet__what_is_unsent_at_the_end_goes_out_in_the_next_run);
	RUN(test_outlet__given_up_means_later);
	RUN(test_outlet__refused_is_refused);
	RUN(test_outlet__what_was_acknowledged_is_not_sent_again);
	RUN(test_outlet__a_full_disk_leaves_the_queue);
	RUN(test_outlet__shared_spans_count_once);
	spool_dir_close(spools);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return tap_done() | !!system(command);
}
