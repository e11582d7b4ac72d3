// SPDX-License-Identifier: Apache-2.0
#include "steer.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"

static struct steer *fresh(void)
{
	static struct steer s;

	free(s.cpus);
	s = (struct steer){ .cpus = calloc(STEER_CPUS, sizeof(*s.cpus)) };
	return &s;
}

static bool all[STEER_CPUS];

static void test_steer__shares_since_the_last_look(void)
{
	struct steer *s = fresh();

	steer_counts(s, "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 10 0 10 80 0 0 0 0 0 0\ncpu1 50 0 50 0 0 0 0 0 7 7\nintr 1\n");
	CHECK(s->cpus[0].free > 0.79f && s->cpus[0].free < 0.81f);
	CHECK(s->cpus[1].free == 0);
	steer_counts(s, "cpu0 110 0 10 80 0 0 0 0 0 0\ncpu1 60 0 50 0 30 0 0 0 7 7\n");
	CHECK(s->cpus[0].free == 0);
	CHECK(s->cpus[1].free > 0.74f && s->cpus[1].free < 0.76f);
}

static void test_steer__moves_where_there_is_room(void)
{
	struct steer *s = fresh();

	memset(all, 1, sizeof(all));
	steer_counts(s, "cpu0 100 0 0 0 0 0 0 0\ncpu1 50 0 0 50 0 0 0 0\ncpu2 30 0 0 70 0 0 0 0\n");
	CHECK_INT(steer_choose(s, all, 0, 0.2f), 2);
	CHECK_INT(steer_choose(s, all, 1, 0.2f), -1); /* there is room here */
	CHECK_INT(steer_choose(s, all, 0, 0.01f), -1); /* not worth it */
	CHECK_INT(steer_choose(s, all, 0, 0.68f), -1); /* it would be full with us */
	all[2] = false;
	CHECK_INT(steer_choose(s, all, 0, 0.2f), 1);
	all[1] = false;
	CHECK_INT(steer_choose(s, all, 0, 0.2f), -1);
}

static void test_steer__odd_texts(void)
{
	struct steer *s = fresh();

	memset(all, 1, sizeof(all));
	steer_counts(s, "");
	steer_counts(s, "cpu");
	steer_counts(s, "cpu\ncpux 1 2 3\ncpu99999 1 1 1 1\ncpu0\ncpu1 1 2\ncpu3 1 1 1 1 1 1");
	CHECK_INT(steer_choose(s, all, 0, 0.2f), -1);
	steer_counts(s, "cpu0 5 0 0 5 0 0 0 0\n");
	steer_counts(s, "cpu0 6 0 0 4 0 0 0 0\n"); /* idle went backwards */
	CHECK(s->cpus[0].free == 0);
	CHECK_INT(steer_choose(s, all, -1, 0.2f), -1);
}

int main(void)
{
	RUN(test_steer__shares_since_the_last_look);
	RUN(test_steer__moves_where_there_is_room);
	RUN(test_steer__odd_texts);
	free(fresh()->cpus);
	return tap_done();
}
