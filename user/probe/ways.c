// SPDX-License-Identifier: Apache-2.0
/* The ways in, best first. Each is tried with the smallest program that can tell, then with the real ones. */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "base/scope.h"
#include "probe/inner.h"

/* ---- trials ---- */

/* return 0 */
static const struct bpf_insn nothing[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
	{ .code = BPF_JMP | BPF_EXIT },
};

static int try_tracing(const struct btf *btf, const char *name, uint32_t kind, enum bpf_attach_type type)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = type);
	_close_ int prog = -1, link = -1;
	int id = btf__find_by_name_kind(btf, name, kind);

	if (id <= 0)
		return -ENOENT;
	opts.attach_btf_id = (uint32_t)id;
	prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, "try", "GPL", nothing, ARRAY_SIZE(nothing), &opts);
	if (prog < 0)
		return -errno;
	link = bpf_raw_tracepoint_open(NULL, prog);
	return link < 0 ? -errno : 0;
}

static int try_fentry(const struct btf *btf)
{
	return try_tracing(btf, "inet_recvmsg", BTF_KIND_FUNC, BPF_TRACE_FEXIT);
}

static int try_socktp(const struct btf *btf)
{
	return try_tracing(btf, "btf_trace_sock_recv_length", BTF_KIND_TYPEDEF, BPF_TRACE_RAW_TP);
}

/* By perf alone: what tracefs holds stays there when its maker is killed. */
static int try_kprobe(const struct btf *btf)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .config1 = (uintptr_t)"inet_recvmsg" };
	_fclose_ FILE *f = fopen("/sys/bus/event_source/devices/kprobe/type", "re");
	_close_ int fd = -1;

	(void)btf;
	if (!f || fscanf(f, "%u", &attr.type) != 1)
		return -ENOENT;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

const struct way_row way_rows[] = {
	{ "fentry", WAY_FENTRY, "fexit on the sockets' functions: every byte of every caller", try_fentry },
	{ "socktp", WAY_SOCKTP, "tracepoints sock_*_length and the caller's registers: not the bytes of io_uring, sendfile, splice", try_socktp },
	{ "kprobe", WAY_KPROBE, "kprobes on the sockets' functions: every byte of every caller, at a higher cost", try_kprobe },
};
const size_t n_way_rows = ARRAY_SIZE(way_rows);

int way_try(const struct way_row *way, const struct features *f, char *reason)
{
	const struct probe_row *lacks = features_missing(f, way->bit);
	int err;

	if (lacks) {
		snprintf(reason, REASON_MAX, "this kernel has no %s (%s)", lacks->func ? lacks->func : lacks->name, lacks->lost);
		return -EOPNOTSUPP;
	}
	err = f->btf ? way->try(f->btf) : -ENOENT;
	if (err == -ENOENT)
		snprintf(reason, REASON_MAX, "this kernel has none");
	else if (err)
		snprintf(reason, REASON_MAX, "the kernel refuses it: %s", strerror(-err));
	return err;
}

/* ---- the choice ---- */

bool backend_allows(const char *backend, const struct way_row *way)
{
	return !backend || !strcmp(backend, "auto") || !strcmp(backend, way->name);
}

int backend_check(const char *backend)
{
	for (size_t i = 0; i < n_way_rows; i++)
		if (backend_allows(backend, &way_rows[i]))
			return 0;
	return log_ret(-EINVAL, "--backend %s: expected auto, fentry, socktp or kprobe", backend);
}

static int open_way(struct plan *p, const struct features *f, const struct way_row *way, uint32_t ring_size,
		    const struct knobs *selected, char *reason)
{
	int err = way_try(way, f, reason);

	if (err)
		return err;
	err = plan_load(p, f, way, ring_size);
	if (!err)
		err = plan_attach(p, f, selected);
	if (!err)
		return 0;
	plan_fini(p);
	snprintf(reason, REASON_MAX, "its programs are refused: %s (--log-level debug shows why)", strerror(-err));
	return err;
}

/* Why none works: what the kernel says of each way, unless all are refused for want of a right. */
static int none_works(const char *backend, int err, const char *reasons)
{
	char reason[REASON_MAX];

	if (!backend_allows(backend, &way_rows[0]) || !backend_allows(backend, &way_rows[1]))
		return log_ret(err, "cannot trace with --backend %s: %s", backend, reasons);
	refusal_reason(err, reason);
	return log_ret(err, "cannot trace: %s (%s)", reason, reasons);
}

int plan_open(struct plan *p, const struct features *f, const char *backend, uint32_t ring_size, const struct knobs *selected)
{
	char reasons[1024] = "", reason[REASON_MAX];
	int err, worst = -EOPNOTSUPP;

	for (size_t i = 0; i < n_way_rows; i++) {
		const struct way_row *way = &way_rows[i];
		size_t n = strlen(reasons);

		if (!backend_allows(backend, way))
			continue;
		err = open_way(p, f, way, ring_size, selected, reason);
		if (!err)
			return 0;
		if (worst == -EOPNOTSUPP || worst == -ENOENT)
			worst = err;
		snprintf(reasons + n, sizeof(reasons) - n, "%s%s: %s", n ? "; " : "", way->name, reason);
	}
	return none_works(backend, worst, reasons);
}
