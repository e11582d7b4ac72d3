// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/scope.h"
#include "base/stats.h"
#include "probe/record.h"
#include "synth.h"

static char path[] = "/tmp/test_record.XXXXXX";
static const uint64_t seed[2] = { 0x1122334455667788, 42 };

struct heard { /* everything that a replay said */
	struct buf bytes;
	size_t ends[4096]; /* of each event in bytes */
	unsigned n, starts;
	uint64_t seed[2];
};

static void heard_start(void *arg)
{
	((struct heard *)arg)->starts++;
}

static void heard_event(void *arg, const struct ev_head *ev)
{
	struct heard *h = arg;

	CHECK(((uintptr_t)ev & 7) == 0);
	buf_append(&h->bytes, ev, ev->len);
	h->ends[h->n++ % ARRAY_SIZE(h->ends)] = h->bytes.n;
}

static int hear(struct heard *h)
{
	buf_fini(&h->bytes);
	*h = (struct heard){ 0 };
	buf_init(&h->bytes, 64 << 20);
	return replay_file(path, h->seed, heard_start, heard_event, h);
}

static void put(void *arg, const struct ev_head *ev)
{
	recorder_put(arg, ev);
}

/* A few conversations in several blocks; what was put in is also kept in *in. */
static void record(struct heard *in, unsigned conversations, size_t body)
{
	struct recorder *r = NULL;
	struct synth s;
	char *text = calloc(1, body + 1);

	buf_fini(&in->bytes);
	*in = (struct heard){ 0 };
	buf_init(&in->bytes, 64 << 20);
	memset(text, 'b', body);
	synth_init(&s);
	if (recorder_open(&r, path, seed))
		abort();
	for (unsigned i = 0; i < conversations; i++) {
		struct synth_conn c = { .id = i + 1, .pid = 5 };

		synth_open(&s, &c, FAM_INET, ROLE_SERVER);
		synth_send(&s, &c, DIR_RECV, "GET / HTTP/1.1\r\n\r\n");
		synth_send(&s, &c, DIR_SEND, text);
		synth_end(&s, &c, 3, EVF_FINAL);
		for (size_t k = 0; k < s.n; k++)
			heard_event(in, s.ev[k]);
		synth_play(&s, put, r);
		if (i % 3 == 2)
			recorder_tick(r, (i + 2) * 1000000000ULL);
	}
	recorder_close(r);
	synth_fini(&s);
	free(text);
}

static size_t file_size(void)
{
	struct stat st;

	return stat(path, &st) ? 0 : (size_t)st.st_size;
}

static bool same(const struct heard *a, const struct heard *b)
{
	return a->n == b->n && slice_eq(buf_slice(&a->bytes), buf_slice(&b->bytes));
}

/* b heard the beginning of what a did, whole records only. */
static bool begins(const struct heard *a, const struct heard *b)
{
	if (b->n > a->n || (b->n && b->bytes.n != a->ends[b->n - 1]))
		return false;
	return !b->n || !memcmp(a->bytes.p, b->bytes.p, b->bytes.n);
}

static void test_record__comes_back_as_it_was(void)
{
	struct heard in = { 0 }, out = { 0 };
	struct stat st;

	chmod(path, 0644);
	record(&in, 50, 5000);
	REQUIRE(!stat(path, &st));
	CHECK_INT(st.st_mode & 0777, 0600);
	CHECK_INT(hear(&out), 0);
	CHECK_INT(out.starts, 1);
	CHECK(out.seed[0] == seed[0] && out.seed[1] == seed[1]);
	CHECK_INT(out.n, 200);
	CHECK(same(&in, &out));
	record(&in, 0, 0);
	CHECK_INT(hear(&out), 0);
	CHECK(out.starts == 1 && out.n == 0);
	buf_fini(&in.bytes);
	buf_fini(&out.bytes);
}

static void test_record__large_records_and_blobs(void)
{
	struct heard in = { 0 }, out = { 0 };
	struct recorder *r = NULL;
	struct synth s;
	struct ev_blob *blob;

	buf_init(&in.bytes, 64 << 20);
	synth_init(&s);
	blob = synth_add(&s, EV_PROC, sizeof(*blob) + 3000001);
	blob->size = 3000001;
	synth_tick(&s, 5);
	for (size_t k = 0; k < s.n; k++)
		heard_event(&in, s.ev[k]);
	REQUIRE(!recorder_open(&r, path, seed));
	synth_play(&s, put, r);
	recorder_close(r);
	CHECK_INT(hear(&out), 0);
	CHECK(same(&in, &out));
	synth_fini(&s);
	buf_fini(&in.bytes);
	buf_fini(&out.bytes);
}

/* Cut anywhere: all whole records before the cut, and nothing else. */
static void test_record__a_cut_loses_what_is_behind_it(void)
{
	struct heard in = { 0 }, out = { 0 };
	unsigned last;

	record(&in, 8, 30);
	last = in.n;
	for (size_t n = file_size(); n-- > 8;) {
		REQUIRE(!truncate(path, (off_t)n));
		CHECK_INT(hear(&out), 0);
		CHECK(begins(&in, &out));
		CHECK(out.n <= last && last - out.n <= 1);
		last = out.n;
		REQUIRE(!tap_bad);
	}
	CHECK_INT(last, 0);
	buf_fini(&in.bytes);
	buf_fini(&out.bytes);
}

/* Any byte, changed in any way: the whole blocks before it, never a record that was not put in. */
static void test_record__damage_is_never_believed(void)
{
	struct heard in = { 0 }, out = { 0 };
	struct rng r;
	size_t size;
	int fd;

	rng_seed(&r, 1, 1);
	record(&in, 8, 30);
	size = file_size();
	fd = open(path, O_RDWR);
	REQUIRE(fd >= 0);
	for (size_t at = sizeof(struct record_header); at < size; at++) {
		unsigned char was, now;

		REQUIRE(pread(fd, &was, 1, (off_t)at) == 1);
		now = was ^ (unsigned char)(1 + rng_next(&r) % 255);
		REQUIRE(pwrite(fd, &now, 1, (off_t)at) == 1);
		CHECK_INT(hear(&out), 0);
		CHECK(begins(&in, &out));
		if (at < size - sizeof(struct record_check))
			CHECK(out.n < in.n);
		REQUIRE(pwrite(fd, &was, 1, (off_t)at) == 1);
		REQUIRE(!tap_bad);
	}
	CHECK_INT(hear(&out), 0);
	CHECK(same(&in, &out));
	close(fd);
	buf_fini(&in.bytes);
	buf_fini(&out.bytes);
}

static void write_file(const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		abort();
	close(fd);
}

static void test_record__files_that_are_none_of_ours(void)
{
	struct record_header h = { .magic = RECORD_MAGIC, .version = RECORD_VERSION + 1 };
	struct heard out = { 0 };

	write_file("", 0);
	CHECK_INT(hear(&out), -EINVAL);
	write_file("not a recording at all, but long enough to be one", 49);
	CHECK_INT(hear(&out), -EINVAL);
	write_file(&h, sizeof(h));
	CHECK_INT(hear(&out), -EINVAL);
	CHECK_INT(out.starts, 0);
	h.version = RECORD_VERSION;
	write_file(&h, 20);
	CHECK_INT(hear(&out), 0);
	CHECK_INT(out.starts, 0);
	CHECK_INT(replay_file("/no/such/file", out.seed, heard_start, heard_event, &out), -ENOENT);
	CHECK_INT(replay_file("/", out.seed, heard_start, heard_event, &out), -EISDIR);
	buf_fini(&out.bytes);
}

static void test_record__lengths_that_lie(void)
{
	struct {
		struct record_header h;
		struct ev_head ev;
		char rest[100];
	} f = { .h = { .magic = RECORD_MAGIC, .version = RECORD_VERSION }, .ev = { .type = EV_TICK } };
	static const uint32_t lens[] = { 0, 1, 15, 17, 500, RECORD_MAX, RECORD_MAX + 1, 0x7fffffff, 0xfffffff9, 0xffffffff };
	struct heard out = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		f.ev.len = lens[i];
		write_file(&f, sizeof(f));
		CHECK_INT(hear(&out), 0);
		CHECK_INT(out.n, 0);
	}
	buf_fini(&out.bytes);
}

static void test_record__a_full_disk_ends_the_recording_only(void)
{
	const struct rlimit small = { 100000, RLIM_INFINITY }, all = { RLIM_INFINITY, RLIM_INFINITY };
	struct heard in = { 0 }, out = { 0 };
	struct recorder *r = NULL;
	struct synth s;

	CHECK(recorder_open(&r, "/no/such/folder/file", seed) == -ENOENT && !r);
	REQUIRE(!recorder_open(&r, "/dev/full", seed));
	synth_init(&s);
	for (unsigned i = 0; i < 5; i++)
		synth_tick(&s, 1);
	synth_play(&s, put, r);
	recorder_tick(r, 2000000000);
	synth_tick(&s, 1);
	synth_play(&s, put, r);
	recorder_close(r);
	/* half a block that did not fit is taken back */
	signal(SIGXFSZ, SIG_IGN);
	REQUIRE(!setrlimit(RLIMIT_FSIZE, &small));
	record(&in, 1000, 100);
	REQUIRE(!setrlimit(RLIMIT_FSIZE, &all));
	CHECK(file_size() > 60000 && file_size() < 100000);
	CHECK_INT(hear(&out), 0);
	CHECK(out.n > 100 && begins(&in, &out));
	synth_fini(&s);
	buf_fini(&in.bytes);
	buf_fini(&out.bytes);
}

int main(void)
{
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	log_setup(LOG_ERROR, false);
	RUN(test_record__comes_back_as_it_was);
	RUN(test_record__large_records_and_blobs);
	RUN(test_record__a_cut_loses_what_is_behind_it);
	RUN(test_record__damage_is_never_believed);
	RUN(test_record__files_that_are_none_of_ours);
	RUN(test_record__lengths_that_lie);
	RUN(test_record__a_full_disk_ends_the_recording_only);
	unlink(path);
	return tap_done();
}
