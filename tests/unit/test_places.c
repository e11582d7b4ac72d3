// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/stats.h"
#include "host/places.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID "6f0a4bd2-1c5e-4f6a-9d3b-0123456789ab"
#define POD "/kubepods/burstable/pod" UID

#define TOLD_MAX 16

struct fixture {
	char root[2][64]; /* v2, v1 */
	struct places *places;
	struct pods *pods;
	struct { /* what the kernel side has */
		uint64_t key;
		uint32_t bits;
	} told[TOLD_MAX];
	int n_told, calls;
};

static int place(void *arg, uint64_t key, uint32_t bits)
{
	struct fixture *f = arg;

	f->calls++;
	for (int i = 0; i < f->n_told; i++)
		if (f->told[i].key == key) {
			f->told[i].bits = bits;
			return 0;
		}
	if (f->n_told == TOLD_MAX)
		return -7; /* E2BIG */
	f->told[f->n_told].key = key;
	f->told[f->n_told++].bits = bits;
	return 0;
}

static void make(const char *root, const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(full, 0700);
	}
	mkdir(full, 0700);
}

static uint64_t number(const char *root, const char *path)
{
	char full[512];
	struct stat st;

	snprintf(full, sizeof(full), "%s%s", root, path);
	return stat(full, &st) ? 0 : st.st_ino;
}

static uint32_t told(const struct fixture *f, uint64_t key)
{
	for (int i = 0; i < f->n_told; i++)
		if (f->told[i].key == key)
			return f->told[i].bits;
	return 0;
}

static uint32_t told_v2(const struct fixture *f, const char *path)
{
	return told(f, number(f->root[0], path));
}

static void setup(struct fixture *f)
{
	*f = (struct fixture){ .root = { "/tmp/spandrel-places-XXXXXX", "/tmp/spandrel-places-XXXXXX" } };
	if (!mkdtemp(f->root[0]) || !mkdtemp(f->root[1]))
		abort();
	f->places = places_new(&(struct places_config){ .v2 = f->root[0], .v1 = f->root[1], .place = place, .arg = f });
	f->pods = pods_new(&(struct pods_config){ 0 });
}

static int removed(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void teardown(struct fixture *f)
{
	places_free(f->places);
	pods_free(f->pods);
	for (int i = 0; i < 2; i++)
		nftw(f->root[i], removed, 8, FTW_DEPTH | FTW_PHYS);
}

static const struct pod_container app = { .name = { "app", 3 }, .id = { ID, 64 } };

/* container: does its status name it yet? */
static void put_pod(struct fixture *f, const char *namespace, bool container, uint64_t now)
{
	struct pod *p = calloc(1, sizeof(*p));

	*p = (struct pod){ .refs = 1, .namespace = slice_str(namespace), .name = SLICE("web"), .uid = SLICE(UID), .cgroup_uid = SLICE(UID),
			   .containers = container ? &app : NULL, .n_containers = container };
	CHECK_INT(pods_put(f->pods, p, now), 0);
}

static struct selector *selects(const char *space, const char *container, const char *not_space)
{
	static const char *lists[3][2];
	struct selector_lists l = { { NULL }, { NULL } };

	lists[0][0] = space;
	lists[1][0] = container;
	lists[2][0] = not_space;
	l.want[SELECT_SPACE] = space ? lists[0] : NULL;
	l.want[SELECT_CONTAINER] = container ? lists[1] : NULL;
	l.not[SELECT_SPACE] = not_space ? lists[2] : NULL;
	return selector_new(&l);
}

#define CHOSEN	(CGROUP_DECIDED | SEL_KUBE)
#define REFUSED (CGROUP_DECIDED | EXCLUDED(SEL_KUBE))

/* Everything in place before its pod is heard of: found as soon as it is. */
static void test_places__directories_before_the_pod(void)
{
	struct selector *s = selects("shop", NULL, NULL);
	struct fixture f;

	setup(&f);
	make(f.root[0], POD "/" ID);
	make(f.root[1], POD "/" ID);
	make(f.root[0], "/system.slice/ssh.service");
	CHECK_INT(places_scan(f.places), 0);
	CHECK_INT(places_known(f.places), 6); /* kubepods, the pod, its container in both */
	CHECK_INT(places_decide(f.places, s, f.pods), 0);
	put_pod(&f, "shop", true, 1);
	CHECK_INT(places_decide(f.places, s, f.pods), 4);
	CHECK_INT(told_v2(&f, POD), CHOSEN);
	CHECK_INT(told_v2(&f, POD "/" ID), CHOSEN);
	CHECK_INT(told(&f, number(f.root[1], POD "/" ID) | CGROUP_V1), CHOSEN);
	CHECK_INT(places_decide(f.places, s, f.pods), 0);
	put_pod(&f, "other", true, 2); /* it cannot in Kubernetes, but here it changes */
	CHECK_INT(places_decide(f.places, s, f.pods), 4);
	CHECK_INT(told_v2(&f, POD "/" ID), CGROUP_DECIDED);
	selector_free(s);
	teardown(&f);
}

static void tell(struct fixture *f, const char *path, uint16_t flags, uint32_t hierarchy, uint64_t id)
{
	struct ev_cgroup ev = { .h = { .type = EV_CGROUP, .flags = flags, .len = sizeof(ev) }, .id = id, .hierarchy = hierarchy,
				.path_len = (uint16_t)strlen(path) };

	memcpy(ev.path, path, strlen(path));
	CHECK_INT(places_event(f->places, &ev), !flags && !strstr(path, "/sub"));
}

/* The pod first: its directory is selected when it is made, and what comes below goes by it. */
static void test_places__the_pod_before_its_directories(void)
{
	struct selector *s = selects("shop", NULL, NULL);
	struct fixture f;

	setup(&f);
	put_pod(&f, "shop", false, 1);
	tell(&f, POD, 0, 0, 100);
	CHECK_INT(places_decide(f.places, s, f.pods), 1);
	CHECK_INT(told(&f, 100), CHOSEN);
	tell(&f, POD "/" ID2, 0, 0, 101); /* not in the status: the pause container never is */
	tell(&f, POD "/crio-conmon-" ID, 0, 0, 102);
	tell(&f, POD "/" ID "/sub", 0, 0, 103);
	tell(&f, POD, 0, 7, 100);
	CHECK_INT(places_decide(f.places, s, f.pods), 3);
	CHECK_INT(told(&f, 101), CHOSEN);
	CHECK_INT(told(&f, 102), CGROUP_DECIDED);
	CHECK_INT(told(&f, 103), 0);
	CHECK_INT(told(&f, 100 | CGROUP_V1), CHOSEN);
	tell(&f, POD, EVF_GONE, 0, 100);
	CHECK_INT(told(&f, 100), 0);
	CHECK_INT(told(&f, 100 | CGROUP_V1), CHOSEN);
	CHECK_INT(places_known(f.places), 3);
	selector_free(s);
	teardown(&f);
}

/* A container's name is needed: nothing is selected before the status has it. */
static void test_places__by_name_of_the_container(void)
{
	struct selector *s = selects("shop", "app", NULL);
	struct fixture f;

	setup(&f);
	put_pod(&f, "shop", false, 1);
	tell(&f, POD, 0, 0, 100);
	tell(&f, POD "/" ID, 0, 0, 101);
	tell(&f, POD "/" ID2, 0, 0, 102);
	CHECK_INT(places_decide(f.places, s, f.pods), 0);
	put_pod(&f, "shop", true, 2);
	CHECK_INT(places_decide(f.places, s, f.pods), 1);
	CHECK_INT(told(&f, 101), CHOSEN);
	CHECK_INT(told(&f, 100) | told(&f, 102), 0);
	selector_free(s);
	teardown(&f);
}

/* What may be ruled out is, until it is known that it is not. */
static void test_places__exclusions(void)
{
	struct selector *s = selects(NULL, NULL, "kube-*");
	struct fixture f;

	setup(&f);
	make(f.root[0], "/kubepods");
	CHECK_INT(places_scan(f.places), 0);
	CHECK_INT(places_decide(f.places, s, f.pods), 1);
	CHECK_INT(told_v2(&f, "/kubepods"), EXCLUDED(SEL_KUBE));
	tell(&f, POD, 0, 0, 100);
	CHECK_INT(places_decide(f.places, s, f.pods), 0);
	put_pod(&f, "shop", false, 1);
	CHECK_INT(places_decide(f.places, s, f.pods), 1);
	CHECK_INT(told(&f, 100), CGROUP_DECIDED);
	put_pod(&f, "kube-system", false, 2);
	CHECK_INT(places_decide(f.places, s, f.pods), 1);
	CHECK_INT(told(&f, 100), REFUSED);
	selector_free(s);
	teardown(&f);
}

/* No Kubernetes: the beginning of the id. */
static void test_places__without_kubernetes(void)
{
	struct selector *s = selects(NULL, "0123456789ab", NULL);
	struct fixture f;

	setup(&f);
	make(f.root[0], "/system.slice/docker-" ID ".scope");
	make(f.root[0], "/docker/" ID2);
	make(f.root[0], POD "/" ID);
	CHECK_INT(places_scan(f.places), 0);
	CHECK_INT(places_decide(f.places, s, NULL), 2); /* of the pod as a whole nothing is said */
	CHECK_INT(told_v2(&f, "/system.slice/docker-" ID ".scope"), CHOSEN);
	CHECK_INT(told_v2(&f, POD "/" ID), CHOSEN);
	CHECK_INT(told_v2(&f, "/docker/" ID2), 0);
	selector_free(s);
	teardown(&f);
}

/* What was missed is found by the next walk, both ways. */
static void test_places__walked_again(void)
{
	struct selector *s = selects("shop", NULL, NULL);
	char gone[512];
	uint64_t key;
	struct fixture f;

	setup(&f);
	put_pod(&f, "shop", true, 1);
	make(f.root[0], POD "/" ID);
	places_scan(f.places);
	places_decide(f.places, s, f.pods);
	key = number(f.root[0], POD "/" ID);
	CHECK_INT(told(&f, key), CHOSEN);
	snprintf(gone, sizeof(gone), "%s%s", f.root[0], POD "/" ID);
	rmdir(gone);
	make(f.root[0], POD "/" ID2);
	places_scan(f.places);
	places_decide(f.places, s, f.pods);
	CHECK_INT(told_v2(&f, POD "/" ID2), CHOSEN);
	if (key != number(f.root[0], POD "/" ID2)) /* this file system may give a number again; control groups do not */
		CHECK_INT(told(&f, key), 0);
	CHECK_INT(places_known(f.places), 3);
	selector_free(s);
	teardown(&f);
}

/* A tree without end, and a table that is full. */
static void test_places__bounds(void)
{
	uint64_t unread = stats[STAT_cgroups_unread], refused = stats[STAT_cgroups_refused];
	char path[512];
	struct fixture f;

	setup(&f);
	for (int i = 0, n = 0; i < PLACES_DEPTH + 8; i++) {
		n += snprintf(path + n, sizeof(path) - (size_t)n, "/d");
		make(f.root[0], path);
	}
	CHECK_INT(places_scan(f.places), 0);
	CHECK(stats[STAT_cgroups_unread] > unread);
	for (int i = 0; i < CGROUPS_MAX + 10; i++) {
		struct ev_cgroup ev = { .id = 1000 + (uint64_t)i };

		snprintf(path, sizeof(path), "/kubepods/pod6f0a4bd2-1c5e-4f6a-9d3b-%012x", i);
		ev.path_len = (uint16_t)strlen(path);
		memcpy(ev.path, path, strlen(path));
		places_event(f.places, &ev);
	}
	CHECK_INT(places_known(f.places), CGROUPS_MAX);
	CHECK_INT(stats[STAT_cgroups_refused] - refused, 10);
	teardown(&f);
}

static void test_places__nothing_to_read(void)
{
	struct places *p = places_new(&(struct places_config){ .v2 = "/nowhere/at/all" });
	char path[64];

	CHECK(places_scan(p) < 0);
	places_free(p);
	CHECK(places_root("/nowhere", NULL, path, sizeof(path)) < 0);
}

static void write_file(const char *root, const char *path, const char *text)
{
	char full[512];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	f = fopen(full, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

#define MOUNT(at, kind, options) "31 23 0:28 / " at " rw,relatime shared:7 - " kind " " kind " rw," options "\n"

/* Where a whole hierarchy begins, the directory's number is 1, as it is in /proc, which stands for one here. */
static void test_places__roots(void)
{
	char path[128], want[160];
	struct fixture f;

	setup(&f);
	make(f.root[0], "/self");
	make(f.root[0], "/1/root");
	write_file(f.root[0], "/self/mountinfo",
		   MOUNT("/tmp", "cgroup2", "nsdelegate") MOUNT("/proc", "cgroup", "cpu,cpuacct") MOUNT("/proc", "tmpfs", "pids")
		   "damaged\n31 23\n - cgroup2 x y\n" MOUNT("/nowhere", "cgroup", "pids") MOUNT("/proc", "cgroup", "xpids"));
	write_file(f.root[0], "/1/mountinfo", MOUNT("/host", "cgroup2", "x"));
	CHECK(!places_root(f.root[0], "cpuacct", path, sizeof(path)) && !strcmp(path, "/proc"));
	CHECK(places_root(f.root[0], "pids", path, sizeof(path)) < 0);
	CHECK(places_root(f.root[0], NULL, path, sizeof(path)) < 0); /* a container's part of it alone */
	snprintf(want, sizeof(want), "%s/1/root/host", f.root[0]);
	CHECK_INT(symlink("/proc", want), 0); /* the host's is seen through its first process */
	CHECK(!places_root(f.root[0], NULL, path, sizeof(path)) && !strcmp(path, want));
	CHECK(places_root(f.root[0], NULL, path, 20) < 0);
	teardown(&f);
}

int main(void)
{
	RUN(test_places__directories_before_the_pod);
	RUN(test_places__the_pod_before_its_directories);
	RUN(test_places__by_name_of_the_container);
	RUN(test_places__exclusions);
	RUN(test_places__without_kubernetes);
	RUN(test_places__walked_again);
	RUN(test_places__bounds);
	RUN(test_places__nothing_to_read);
	RUN(test_places__roots);
	return tap_done();
}
