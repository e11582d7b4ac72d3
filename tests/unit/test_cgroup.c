// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include "host/cgroup.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OUTER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID "6f0a4bd2-1c5e-4f6a-9d3b-0123456789ab"
#define UID_ "6f0a4bd2_1c5e_4f6a_9d3b_0123456789ab"
#define HASH "0123456789abcdef0123456789abcdef"

static void test_cgroup__every_driver(void)
{
	static const struct {
		const char *path;
		enum cgroup_kind kind;
		const char *uid;
		bool id;
	} rows[] = {
		{ "/kubepods.slice", CGROUP_PODS, "", false },
		{ "/kubepods.slice/kubepods-burstable.slice", CGROUP_OTHER, "", false },
		{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice", CGROUP_POD, UID, false },
		{ "/kubepods.slice/kubepods-pod" UID_ ".slice/cri-containerd-" ID ".scope", CGROUP_CONTAINER, UID, true },
		{ "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_ ".slice/crio-" ID ".scope",
		  CGROUP_CONTAINER, UID, true },
		{ "/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" ID ".scope/container", CGROUP_OTHER, UID, false },
		{ "/kubepods.slice/kubepods-pod" UID_ ".slice/crio-conmon-" ID ".scope", CGROUP_MONITOR, UID, false },
		{ "/kubepods.slice/kubepods-pod" UID_ ".slice/docker-" ID ".scope", CGROUP_CONTAINER, UID, true },
		{ "/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" ID, CGROUP_CONTAINER, UID, true },
		{ "/kubepods", CGROUP_PODS, "", false },
		{ "/kubepods/burstable/pod" UID, CGROUP_POD, UID, false },
		{ "/kubepods/burstable/pod" UID "/" ID, CGROUP_CONTAINER, UID, true },
		{ "/kubepods/pod" HASH "/" ID, CGROUP_CONTAINER, HASH, true },
		{ "/kubepods/pod" UID "/crio-conmon-" ID, CGROUP_MONITOR, UID, false },
		{ "/kubepods/pod" UID "/" ID "/docker/" OUTER, CGROUP_OTHER, UID, false },
		{ "/docker/" OUTER "/kubelet.slice/kubelet-kubepods.slice", CGROUP_PODS, "", false },
		{ "/docker/" OUTER "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_ ".slice/cri-containerd-" ID ".scope",
		  CGROUP_CONTAINER, UID, true },
		{ "/docker/" OUTER "/kubelet/kubepods/besteffort/pod" UID "/" ID, CGROUP_CONTAINER, UID, true },
		{ "/kubepods/pod" HASH "/" OUTER "/kubelet/kubepods/pod" UID "/" ID, CGROUP_CONTAINER, UID, true },
		{ "/docker/" ID, CGROUP_CONTAINER, "", true },
		{ "/system.slice/docker-" ID ".scope", CGROUP_CONTAINER, "", true },
		{ "/machine.slice/libpod-" ID ".scope", CGROUP_CONTAINER, "", true },
		{ "/machine.slice/libpod-" ID ".scope/container", CGROUP_OTHER, "", false },
		{ "/machine.slice/libpod-conmon-" ID ".scope", CGROUP_MONITOR, "", false },
		{ "/system.slice/containerd.service", CGROUP_OTHER, "", false },
		{ "/user.slice/user-0.slice", CGROUP_OTHER, "", false },
		{ "/init.scope", CGROUP_OTHER, "", false },
		{ "/", CGROUP_OTHER, "", false },
		{ "", CGROUP_OTHER, "", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cgroup_name n;

		cgroup_name(slice_str(rows[i].path), &n);
		CHECK(n.kind == rows[i].kind && !strcmp(n.uid, rows[i].uid) && slice_eq(n.id, rows[i].id ? SLICE(ID) : SLICE_NONE));
		if (tap_bad)
			printf("# %s: kind %d uid %s id %.*s\n", rows[i].path, n.kind, n.uid, SLICE_ARG(n.id));
	}
}

/* Names that look like it: a digit too few, too many, no slice, an upper-case digit. */
static void test_cgroup__not_quite(void)
{
	static const char *const paths[] = {
		"/kubepods/pod6f0a4bd2-1c5e-4f6a-9d3b-0123456789a", "/kubepods/pod" UID "0", "/kubepods/pod" UID "x",
		"/kubepods.slice/kubepods-pod" UID_, "/kubepods.slice/kubepods-pod" UID_ ".scope", "/kubepods/pod", "/x-pod", "/-pod.slice",
		"/kubepods/pod6F0A4BD2-1c5e-4f6a-9d3b-0123456789ab", "/kubepodsx", "/xkubepods.slice", "/pod" HASH "\n",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct cgroup_name n;

		cgroup_name(slice_str(paths[i]), &n);
		CHECK(n.kind == CGROUP_OTHER && !n.uid[0]);
		if (tap_bad)
			printf("# %s: kind %d uid %s\n", paths[i], n.kind, n.uid);
	}
}

int main(void)
{
	RUN(test_cgroup__every_driver);
	RUN(test_cgroup__not_quite);
	return tap_done();
}
