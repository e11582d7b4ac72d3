// SPDX-License-Identifier: Apache-2.0
/* Nobody writes into a FIFO: who opens it for reading is kept, as by a file system that does not answer. */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/open_wait.h"

#define TURNS 10000 /* of a millisecond */

static char dir[] = "/tmp/test_open_wait.XXXXXX", fifo[64];

static void test_open_wait__answers(void)
{
	int fd = open_wait("/proc/self/status", O_RDONLY | O_CLOEXEC, 1);
	char c;

	CHECK(fd >= 0 && read(fd, &c, 1) == 1 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	close(fd);
	fd = open_wait(fifo, O_PATH | O_CLOEXEC, 1);
	CHECK(fd >= 0);
	close(fd);
	CHECK_INT(open_wait("/nothing/there", O_RDONLY, 1), -ENOENT);
	CHECK(!open_unanswered(-ENOENT) && !open_unanswered(0));
}

/* Lets those go that wait. */
static void answer(void)
{
	close(open(fifo, O_WRONLY | O_NONBLOCK));
}

static void test_open_wait__left_behind(void)
{
	int r = -EBUSY;

	CHECK_INT(open_wait(fifo, O_RDONLY, 7), -ETIMEDOUT);
	CHECK_INT(open_wait("/proc/self/status", O_RDONLY, 7), -EBUSY); /* not asked again */
	CHECK(open_unanswered(-EBUSY) && open_unanswered(-ETIMEDOUT));
	r = open_wait("/proc/self/status", O_RDONLY, 8);
	CHECK(r >= 0); /* others are not held up by it */
	close(r);
	for (int i = 0; i < TURNS && (r = open_wait("/proc/self/status", O_RDONLY, 7)) == -EBUSY; i++) {
		answer();
		usleep(1000);
	}
	CHECK(r >= 0); /* it has answered */
	close(r);
}

static int descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_open_wait__has_a_limit(void)
{
	int before = descriptors(), r = -EBUSY;

	for (uint64_t i = 0; i < OPEN_STUCK_MAX; i++)
		CHECK_INT(open_wait(fifo, O_RDONLY, i), -ETIMEDOUT);
	CHECK_INT(open_wait("/proc/self/status", O_RDONLY, 100), -EBUSY);
	for (uint64_t place = 0; place < OPEN_STUCK_MAX; place++) {
		for (int i = 0; i < TURNS && (r = open_wait("/proc/self/status", O_RDONLY, place)) == -EBUSY; i++) {
			answer();
			usleep(1000);
		}
		CHECK(r >= 0);
		close(r);
	}
	CHECK_INT(descriptors(), before); /* what came too late was closed */
}

int main(void)
{
	if (!mkdtemp(dir))
		abort();
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	if (mkfifo(fifo, 0600))
		abort();
	RUN(test_open_wait__answers);
	RUN(test_open_wait__left_behind);
	RUN(test_open_wait__has_a_limit);
	unlink(fifo);
	rmdir(dir);
	return tap_done();
}
