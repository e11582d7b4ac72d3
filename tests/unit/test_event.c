// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include <stdlib.h>

#include "base/rng.h"
#include "probe/probe.h"

union record {
	struct ev_head h;
	struct ev_data data;
	struct ev_open open;
	struct ev_end end;
	struct ev_exec exec;
	struct ev_live live;
	struct ev_blob blob;
	struct ev_cgroup cgroup;
	struct ev_mapped mapped;
	struct ev_name name;
	unsigned char bytes[2048];
};

static union record make(uint16_t type, uint32_t len)
{
	union record r;

	memset(&r, 0, sizeof(r));
	r.h.type = type;
	r.h.len = len;
	return r;
}

static void test_event__data_says_what_it_holds(void)
{
	union record r = make(EV_DATA, sizeof(struct ev_data) + 10);

	r.data.size = r.data.cap = 10;
	CHECK(event_valid(&r.h, sizeof(r)));
	CHECK(event_valid(&r.h, r.h.len));
	CHECK(!event_valid(&r.h, r.h.len - 1));
	r.data.size = 20; /* bytes are missing without a reason */
	CHECK(!event_valid(&r.h, sizeof(r)));
	r.data.hole = HOLE_BUDGET;
	CHECK(event_valid(&r.h, sizeof(r)));
	r.data.hole = HOLE_MAX;
	CHECK(!event_valid(&r.h, sizeof(r)));
	r.data.hole = HOLE_FAULT;
	r.data.off = UINT64_MAX - 19;
	CHECK(!event_valid(&r.h, sizeof(r)));
	r.data.off--;
	CHECK(event_valid(&r.h, sizeof(r)));
	r.data.dir = 2;
	CHECK(!event_valid(&r.h, sizeof(r)));
}

static void test_event__lengths_are_exact_up_to_padding(void)
{
	union record r = make(EV_DATA, sizeof(struct ev_data) + 16);

	r.data.size = r.data.cap = 10;
	CHECK(event_valid(&r.h, sizeof(r)));
	r.h.len += 2;
	CHECK(!event_valid(&r.h, sizeof(r)));
	r.data.cap = r.data.size = UINT32_MAX;
	CHECK(!event_valid(&r.h, sizeof(r)));
}

static void test_event__counts_inside_stay_inside(void)
{
	union record r = make(EV_LIVE, sizeof(struct ev_live) + 16);

	r.live.count = 2;
	CHECK(event_valid(&r.h, sizeof(r)));
	r.live.count = 3;
	CHECK(!event_valid(&r.h, sizeof(r)));
	r.live.count = UINT32_MAX;
	CHECK(!event_valid(&r.h, sizeof(r)));

	r = make(EV_OPEN, sizeof(struct ev_open));
	r.open.family = FAM_UNIX;
	r.open.path_len = EV_PATH_MAX;
	CHECK(event_valid(&r.h, sizeof(r)));
	r.open.path_len++;
	CHECK(!event_valid(&r.h, sizeof(r)));

	r = make(EV_EXEC, sizeof(struct ev_exec));
	CHECK(event_valid(&r.h, sizeof(r)));
	r.exec.args_len = EV_ARGS_MAX + 1;
	CHECK(!event_valid(&r.h, sizeof(r)));

	r = make(EV_MAPPED, sizeof(struct ev_mapped) + EV_MAPPED_PATH);
	r.mapped.what = MAPPED_FILE;
	r.mapped.path_len = EV_MAPPED_PATH;
	CHECK(event_valid(&r.h, sizeof(r)));
	r.mapped.path_len++;
	CHECK(!event_valid(&r.h, sizeof(r)));
	r = make(EV_MAPPED, sizeof(struct ev_mapped));
	r.mapped.what = MAPPED_EXIT;
	CHECK(event_valid(&r.h, sizeof(r)));
	r.mapped.path_len = 1;
	CHECK(!event_valid(&r.h, sizeof(r)));
	r.mapped.path_len = r.mapped.what = 0;
	CHECK(!event_valid(&r.h, sizeof(r)));

	r = make(EV_CGROUP, sizeof(struct ev_cgroup));
	r.cgroup.path_len = EV_CGROUP_PATH - 1;
	CHECK(event_valid(&r.h, sizeof(r)));
	r.cgroup.path_len++;
	CHECK(!event_valid(&r.h, sizeof(r)));

	r = make(EV_NAME, sizeof(struct ev_name) + 16);
	r.name.name_len = 6;
	r.name.space_len = 10;
	CHECK(event_valid(&r.h, sizeof(r)));
	r.name.space_len++;
	CHECK(!event_valid(&r.h, sizeof(r)));
	r.name.name_len = r.name.space_len = UINT16_MAX;
	CHECK(!event_valid(&r.h, sizeof(r)));
}

static void test_event__unknown_and_short_are_refused(void)
{
	for (unsigned type = 0; type < 70; type++) {
		union record r = make((uint16_t)type, sizeof(struct ev_head));

		CHECK(event_valid(&r.h, sizeof(r)) == (type == EV_TICK));
		r.h.len = sizeof(struct ev_head) - 1;
		CHECK(!event_valid(&r.h, sizeof(r)));
		CHECK(!event_valid(&r.h, sizeof(struct ev_head) - 1));
	}
}

/* The check itself must not read past what it was given: exact allocations under a sanitizer show it. */
static void test_event__reads_only_what_is_there(void)
{
	struct rng rng;
	unsigned valid = 0;

	rng_seed(&rng, 7, 7);
	for (int i = 0; i < 20000; i++) {
		size_t size = 16 + rng_next(&rng) % 200;
		struct ev_head *h = calloc(1, size);

		if (!h)
			abort();
		for (size_t k = 16; k < size; k++)
			((unsigned char *)h)[k] = (unsigned char)(rng_next(&rng) % 3);
		h->type = (uint16_t)(rng_next(&rng) % 24);
		h->len = (uint32_t)(rng_next(&rng) % (size + 2));
		valid += event_valid(h, size);
		free(h);
	}
	CHECK(valid > 0);
}

int main(void)
{
	RUN(test_event__data_says_what_it_holds);
	RUN(test_event__lengths_are_exact_up_to_padding);
	RUN(test_event__counts_inside_stay_inside);
	RUN(test_event__unknown_and_short_are_refused);
	RUN(test_event__reads_only_what_is_there);
	return tap_done();
}
