// SPDX-License-Identifier: Apache-2.0
#include "base/caps.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/scope.h"

/* CAP_CHECKPOINT_RESTORE is newer than some headers. */
static const char *const names[] = {
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO",
	"SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME",
	"SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
	"WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
};
_Static_assert(ARRAY_SIZE(names) == 41, "in the order of their numbers");

static const struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

int caps_get(struct caps *c)
{
	struct __user_cap_header_struct h = header;
	struct __user_cap_data_struct d[2] = { 0 };

	if (syscall(SYS_capget, &h, d))
		return -errno;
	*c = (struct caps){
		.permitted = d[0].permitted | (uint64_t)d[1].permitted << 32,
		.effective = d[0].effective | (uint64_t)d[1].effective << 32,
		.inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32,
	};
	return 0;
}

int caps_set(const struct caps *c)
{
	struct __user_cap_header_struct h = header;
	struct __user_cap_data_struct d[2];

	for (int i = 0; i < 2; i++)
		d[i] = (struct __user_cap_data_struct){ .permitted = (uint32_t)(c->permitted >> 32 * i),
							.effective = (uint32_t)(c->effective >> 32 * i),
							.inheritable = (uint32_t)(c->inheritable >> 32 * i) };
	return syscall(SYS_capset, &h, d) ? -errno : 0;
}

int caps_use(uint64_t mask)
{
	struct caps c;
	int r = caps_get(&c);

	if (r)
		return r;
	c.effective = c.permitted & mask;
	return caps_set(&c);
}

/* Without CAP_SETPCAP it cannot be made smaller; no_new_privs makes it meaningless anyway. */
static void drop_bounding(uint64_t keep)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(keep & CAP_BIT(cap)))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

int caps_keep(uint64_t mask)
{
	struct caps c;
	int r = caps_get(&c);

	if (r)
		return r;
	drop_bounding(mask);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	c.permitted &= mask;
	c.effective = c.permitted;
	c.inheritable = 0;
	r = caps_set(&c);
	if (r)
		return r;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

void caps_text(uint64_t mask, char *to, size_t size)
{
	size_t n = 0;

	snprintf(to, size, "none");
	for (size_t cap = 0; cap < ARRAY_SIZE(names) && n < size; cap++)
		if (mask & CAP_BIT(cap))
			n += (size_t)snprintf(to + n, size - n, "%sCAP_%s", n ? ", " : "", names[cap]);
}
