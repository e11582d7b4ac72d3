// SPDX-License-Identifier: Apache-2.0
/* The ring against owners that were worked out elsewhere, from its definition. */
#include "tap.h"

#include "base/scope.h"
#include "export/ring.h"

static void id_of(unsigned i, uint8_t id[16])
{
	for (unsigned k = 0; k < 16; k++)
		id[k] = (uint8_t)(i * 37 + k * 11);
}

static void check_owners(const char *const *urls, uint32_t n, const char *want)
{
	struct ring *r = NULL;
	uint8_t id[16];

	REQUIRE(!ring_new(&r, urls, n));
	for (unsigned i = 0; want[i]; i++) {
		id_of(i, id);
		CHECK_INT(ring_owner(r, id), want[i] - '0');
	}
	ring_free(r);
}

static const char three[] = "1010000100222120022022112021200112121201211012102120001211111102";

static void test_ring__owners(void)
{
	check_owners((const char *const[]){ "http://a:4317", "https://b:4317/v1/traces", "http://c/" }, 3, three);
	check_owners((const char *const[]){ "http://10.0.0.1:4317/v1/traces", "http://u:p@10.0.0.2?x", "http://collector-2.example.com:55680",
					    "https://[::1]" },
		     4, "1121313301302220311323031110112213011000211232012313012031213013");
}

static void test_ring__the_order_of_the_end_points_does_not_count(void)
{
	const char *urls[] = { "http://c", "http://a", "http://b" };
	char want[sizeof(three)];

	for (size_t i = 0; i < sizeof(three); i++) /* a, b, c are 1, 2, 0 here */
		want[i] = three[i] ? (char)('0' + (three[i] - '0' + 1) % 3) : 0;
	check_owners(urls, 3, want);
}

static void test_ring__one_end_point_owns_all(void)
{
	check_owners((const char *const[]){ "unix:///run/otel.sock" }, 1, "00000000");
}

/* Of four, one goes: what the others had stays theirs. */
static void test_ring__few_traces_move(void)
{
	const char *urls[] = { "http://a", "http://b", "http://c", "http://d" };
	struct ring *four = NULL, *fewer = NULL;
	unsigned moved = 0, owned = 0;
	uint8_t id[16];

	REQUIRE(!ring_new(&four, urls, 4) && !ring_new(&fewer, urls, 3));
	for (unsigned i = 0; i < 4000; i++) {
		memset(id, 0, sizeof(id));
		memcpy(id + 8, &i, sizeof(i));
		owned += ring_owner(four, id) == 3;
		moved += ring_owner(four, id) != 3 && ring_owner(four, id) != ring_owner(fewer, id);
	}
	CHECK_INT(moved, 0);
	CHECK(owned > 400 && owned < 1800);
	ring_free(four);
	ring_free(fewer);
}

int main(void)
{
	RUN(test_ring__owners);
	RUN(test_ring__the_order_of_the_end_points_does_not_count);
	RUN(test_ring__one_end_point_owns_all);
	RUN(test_ring__few_traces_move);
	return tap_done();
}
