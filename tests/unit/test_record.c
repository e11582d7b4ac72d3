// SPDX-License-Identifier: Apache-2.0
/* A recording comes back whole; cut or corrupted anywhere, what comes back is a beginning of it. */
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/scope.h"
#include "probe/record.h"

static const uint64_t seed[2] = { 11, 22 };
static char path[] = "/tmp/spandrel-recordXXXXXX";

struct seen {
	int started, n, wrong;
};

static size_t make_data(char *to, unsigned i)
{
	struct ev_data *d = (struct ev_data *)to;
	uint32_t cap = (i * 37) % 200;

	*d = (struct ev_data){ .h = { .type = EV_DATA, .len = (uint32_t)sizeof(*d) + cap, .time = i },
			       .conn = i, .size = cap, .cap = cap };
	memset(d->data, (int)i, cap);
	return d->h.len;
}

static void on_start(void *arg)
{
	((struct seen *)arg)->started++;
}

static void on_event(void *arg, const struct ev_head *ev)
{
	struct seen *s = arg;
	char want[512];
	size_t n = make_data(want, (unsigned)s->n);

	if (ev->len != n || memcmp(ev, want, n))
		s->wrong++;
	s->n++;
}

static void record(unsigned n)
{
	struct recorder *r;

	REQUIRE(!recorder_open(&r, path, seed));
	for (unsigned i = 0; i < n; i++) {
		char ev[512];

		make_data(ev, i);
		recorder_put(r, (struct ev_head *)ev);
		if (i % 10 == 9)
			recorder_tick(r, (i + 1) * 2000000000ULL);
	}
	recorder_close(r);
}

static struct seen replay(int *status)
{
	struct seen s = { 0 };
	uint64_t got[2] = { 0 };

	*status = replay_file(path, got, on_start, on_event, &s);
	if (!*status)
		CHECK(got[0] == 11 && got[1] == 22);
	return s;
}

static void test_record__comes_back_whole(void)
{
	struct stat st;
	struct seen s;
	int status;

	record(5000);
	s = replay(&status);
	CHECK_INT(status, 0);
	CHECK_INT(s.started, 1);
	CHECK_INT(s.n, 5000);
	CHECK_INT(s.wrong, 0);
	CHECK(!stat(path, &st) && (st.st_mode & 07777) == 0600);
}

static void test_record__cut_anywhere(void)
{
	struct stat st;
	int status, before = 100;

	record(100);
	REQUIRE(!stat(path, &st));
	for (off_t n = st.st_size - 1; n >= 0; n--) {
		struct seen s;

		REQUIRE(!truncate(path, n));
		s = replay(&status);
		CHECK_INT(s.wrong, 0);
		CHECK(s.n <= before && s.n % 10 == 0);
		CHECK((status == 0) == (n >= (off_t)sizeof(struct record_header)));
		before = s.n;
	}
}

static void test_record__corrupted_anywhere(void)
{
	struct stat st;
	int status;

	record(60);
	REQUIRE(!stat(path, &st));
	for (off_t at = sizeof(struct record_header); at < st.st_size; at++) {
		_close_ int fd = open(path, O_RDWR);
		struct seen s;
		char c;

		REQUIRE(pread(fd, &c, 1, at) == 1);
		c ^= 0x41;
		REQUIRE(pwrite(fd, &c, 1, at) == 1);
		s = replay(&status);
		CHECK_INT(status, 0);
		CHECK_INT(s.wrong, 0);
		CHECK(s.n < 60);
		c ^= 0x41;
		REQUIRE(pwrite(fd, &c, 1, at) == 1);
	}
}

static void test_record__refuses_other_files(void)
{
	struct record_header head = { .magic = RECORD_MAGIC, .version = RECORD_VERSION + 1 };
	_close_ int fd = open(path, O_RDWR | O_TRUNC);
	int status;

	REQUIRE(write(fd, &head, sizeof(head)) == sizeof(head));
	CHECK_INT(replay(&status).started, 0);
	CHECK(status < 0);
	REQUIRE(pwrite(fd, "something else", 14, 0) == 14);
	CHECK_INT(replay(&status).started, 0);
	CHECK(status < 0);
}

int main(void)
{
	_close_ int fd = mkstemp(path);

	log_setup(LOG_ERROR, false);
	if (fd < 0)
		return 1;
	if (!freopen("/dev/null", "w", stderr)) /* each damage is said in a line */
		return 1;
	RUN(test_record__comes_back_whole);
	RUN(test_record__cut_anywhere);
	RUN(test_record__corrupted_anywhere);
	RUN(test_record__refuses_other_files);
	unlink(path);
	return tap_done();
}
