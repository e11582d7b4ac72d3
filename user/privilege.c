// SPDX-License-Identifier: Apache-2.0
#include "privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/log.h"
#include "base/scope.h"
#include "probe/probe.h"

#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

enum when {
	MUST,	/* nothing works without it */
	SHOULD, /* something is lost without it */
	MAY,	/* some kernels or configurations want it */
};

static const struct row {
	uint8_t cap, when;
	bool kept; /* without trial */
	const char *what;
} rows[] = {
	{ CAP_BPF, MUST, false, "loading programs and making maps" },
	{ CAP_PERFMON, MUST, false, "programs that read memory, and probes in files" },
	{ CAP_SYS_PTRACE, SHOULD, true, "other users' processes: executable, environment, what they have mapped" },
	{ CAP_DAC_READ_SEARCH, SHOULD, true, "other users' files: executables and TLS libraries, in containers too; keys and tokens" },
	{ CAP_CHECKPOINT_RESTORE, SHOULD, true, "TLS libraries that were replaced while programs use them" },
	{ CAP_SYS_ADMIN, MAY, false, "probes in files, on kernels without uprobe_multi (before 6.6) that want it for perf's" },
	{ CAP_SYS_RESOURCE, MAY, false, "at the start, before 5.11: memory of maps beyond RLIMIT_MEMLOCK" },
	{ CAP_SYSLOG, MAY, false, "at the start, where kernel.kptr_restrict is 1: telling connections that kTLS has taken over" },
	{ CAP_NET_BIND_SERVICE, MAY, false, "at the start: --listen on a port below 1024" },
	{ CAP_DAC_OVERRIDE, MAY, false, "files and sockets that are written to and belong to another user" },
};

/* CAP_SYS_ADMIN is what newer ones were cut out of: it stands for them. */
static uint64_t standing_for(uint64_t have)
{
	const uint64_t cut_out = CAP_BIT(CAP_BPF) | CAP_BIT(CAP_PERFMON) | CAP_BIT(CAP_CHECKPOINT_RESTORE);

	return have & CAP_BIT(CAP_SYS_ADMIN) ? have | cut_out : have;
}

/* ---- what is still needed ---- */

static bool writable(const char *path)
{
	return !faccessat(AT_FDCWD, path, W_OK, AT_EACCESS);
}

/* A file is written, moved away and made anew. */
static bool file_writable(const char *path)
{
	_free_ char *copy = strdup(path);

	if (!copy || !writable(dirname(copy)))
		return false;
	return !faccessat(AT_FDCWD, path, F_OK, 0) ? writable(path) : true;
}

static bool files_writable(const struct config *c)
{
	const char *const files[] = { c->export.file, c->export.access_log, c->operate.record };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (files[i] && strcmp(files[i], "-") && !file_writable(files[i]))
			return false;
	return !c->limits.spool_dir || writable(c->limits.spool_dir);
}

/* A socket that is not there yet may be anybody's when it comes. */
static bool url_writable(const char *url)
{
	return strncmp(url, "unix://", 7) || writable(url + 7);
}

static bool sockets_writable(const struct config *c)
{
	for (size_t i = 0; i < c->export.otlp_endpoint.n; i++)
		if (!url_writable(c->export.otlp_endpoint.v[i]))
			return false;
	return !c->export.zipkin_endpoint || url_writable(c->export.zipkin_endpoint);
}

static unsigned works_with(const struct probe *p, uint64_t mask)
{
	return caps_use(mask) ? 0 : probe_works(p);
}

/* The smallest of these with which all works that works with everything. */
static uint64_t least_for_probes(const struct probe *p, uint64_t have, uint64_t base)
{
	const uint64_t bpf = CAP_BIT(CAP_BPF), perfmon = CAP_BIT(CAP_PERFMON), admin = CAP_BIT(CAP_SYS_ADMIN);
	const uint64_t sets[] = { 0, bpf, perfmon, bpf | perfmon, admin, bpf | perfmon | admin };
	unsigned all = works_with(p, have);

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		if (!(sets[i] & ~have) && works_with(p, base | sets[i]) == all)
			return sets[i];
	return have & (bpf | perfmon | admin);
}

/* Of those that are there. Leaves all of them in use. */
static uint64_t still_needed(const struct config *c, const struct probe *p, uint64_t have)
{
	uint64_t keep = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].kept)
			keep |= CAP_BIT(rows[i].cap) & have;
	keep |= least_for_probes(p, have, keep);
	caps_use(keep);
	if (!files_writable(c) || !sockets_writable(c))
		keep |= CAP_BIT(CAP_DAC_OVERRIDE) & have;
	caps_use(have);
	return keep;
}

void privilege_begin(void)
{
	struct caps now;

	if (!caps_get(&now) && now.permitted & ~now.effective)
		caps_use(now.permitted);
}

int privilege_settle(const struct config *c, const struct probe *p)
{
	struct caps now;
	char text[256];
	uint64_t keep;
	int r = caps_get(&now);

	if (r)
		return log_ret(r, "cannot read this process's capabilities: %s", strerror(-r));
	keep = still_needed(c, p, now.permitted);
	r = caps_keep(keep);
	if (r)
		return log_ret(r, "cannot give up capabilities: %s", strerror(-r));
	caps_text(keep, text, sizeof(text));
	log_info("capabilities kept: %s", text);
	return 0;
}

/* ---- --check ---- */

void privilege_check(FILE *out)
{
	struct caps now = { 0 };
	uint64_t have;

	if (caps_get(&now))
		return;
	have = standing_for(now.effective);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		bool there = have & CAP_BIT(r->cap);
		char name[64];

		caps_text(CAP_BIT(r->cap), name, sizeof(name));
		fprintf(out, "capability %-29s %-8s for %s\n", name, there ? "yes" : r->when == MUST ? "MISSING" : "no", r->what);
	}
}

/* What cannot be known from the list alone: it is tried. */
static void check_files(FILE *out, const struct probe *p, uint64_t have)
{
	bool works = probe_works(p) & PROBE_FILES;

	fprintf(out, "%-40s %-8s for TLS%s\n", "probes in files, with these capabilities", works ? "yes" : "no",
		works || have & CAP_BIT(CAP_SYS_ADMIN) ? "" : ": this kernel may want CAP_SYS_ADMIN for them, or kernel.perf_event_paranoid below 3");
}

void privilege_check_kept(FILE *out, const struct config *c, const struct probe *p)
{
	struct caps now = { 0 };
	char text[256];

	if (caps_get(&now))
		return;
	check_files(out, p, now.effective);
	caps_text(still_needed(c, p, now.permitted), text, sizeof(text));
	caps_set(&now);
	fprintf(out, "capabilities kept after the start: %s\n", text);
}
