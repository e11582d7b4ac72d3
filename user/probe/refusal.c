// SPDX-License-Identifier: Apache-2.0
/* Why the kernel refused a program or a map, as far as that can be told from outside: what, and what helps. */
#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "base/scope.h"
#include "probe/inner.h"

/* The number behind `name` in /proc/self/status, in hexadecimal. */
static uint64_t status_field(const char *name)
{
	_fclose_ FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	uint64_t value = 0;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			sscanf(line + strlen(name) + 1, "%lx", &value);
	return value;
}

/* CAP_SYS_ADMIN stands for the other two, which are newer (5.8). */
static const char *capabilities_lacking(void)
{
	uint64_t have = status_field("CapEff");
	bool admin = have & 1ULL << CAP_SYS_ADMIN;
	bool bpf = admin || have & 1ULL << CAP_BPF, perfmon = admin || have & 1ULL << CAP_PERFMON;

	if (!bpf && !perfmon)
		return "CAP_BPF and CAP_PERFMON";
	return !bpf ? "CAP_BPF" : !perfmon ? "CAP_PERFMON" : NULL;
}

/* Capabilities count in the first user namespace only, whose map is the whole. */
static bool in_user_namespace(void)
{
	_fclose_ FILE *f = fopen("/proc/self/uid_map", "re");
	unsigned long from, to, n;

	return f && fscanf(f, "%lu %lu %lu", &from, &to, &n) == 3 && n != UINT32_MAX;
}

static bool locked_down(void)
{
	_fclose_ FILE *f = fopen("/sys/kernel/security/lockdown", "re");
	char line[128];

	return f && fgets(line, sizeof(line), f) && strstr(line, "[confidentiality]");
}

/* Before 5.11 maps count as locked memory; nothing but the version tells. */
static bool memory_limited(void)
{
	struct utsname u;
	struct rlimit r;
	int major = 0, minor = 0;

	if (uname(&u) || sscanf(u.release, "%d.%d", &major, &minor) != 2 || major > 5 || (major == 5 && minor > 10))
		return false;
	return !getrlimit(RLIMIT_MEMLOCK, &r) && r.rlim_cur != RLIM_INFINITY && !(status_field("CapEff") & 1ULL << CAP_SYS_RESOURCE);
}

void refusal_reason(int err, char *reason)
{
	const char *lacks = capabilities_lacking();

	/* a verifier's refusal is -EACCES or -EINVAL; so is lockdown's, as the helper that reads memory is not there then */
	if (locked_down())
		snprintf(reason, REASON_MAX, "the kernel is locked down (confidentiality): no program may read its memory; "
					     "boot with lockdown=integrity or without lockdown");
	else if (err == -EPERM && lacks)
		snprintf(reason, REASON_MAX, "the kernel refuses BPF: this process lacks %s; run as root, or with these capabilities", lacks);
	else if (err == -EPERM && in_user_namespace())
		snprintf(reason, REASON_MAX, "the kernel refuses BPF in a user namespace: run outside of it, as root of the host");
	else if (err == -EPERM && memory_limited())
		snprintf(reason, REASON_MAX, "the kernel refuses the memory of the maps: RLIMIT_MEMLOCK cannot be raised; "
					     "ulimit -l unlimited, LimitMEMLOCK=infinity or CAP_SYS_RESOURCE helps");
	else if (err == -EPERM)
		snprintf(reason, REASON_MAX, "the kernel refuses BPF in spite of the capabilities: a seccomp filter, or a security module");
	else
		snprintf(reason, REASON_MAX, "the programs are refused: %s (--log-level debug shows the kernel's reasons)", strerror(-err));
}
