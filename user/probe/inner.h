/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of probe/ share; nobody else includes it. */
#ifndef SPANDREL_PROBE_INNER_H
#define SPANDREL_PROBE_INNER_H

#include "probe/probe.h"
#include "probe/ring.h"

struct spandrel_bpf;
struct bpf_program;

struct probe {
	struct spandrel_bpf *skel;
	struct ring ring;
	int n_cpus;
	uint64_t folded[KC_MAX]; /* the kernel's counters as they were added to stats last */
};

/* ---- select.c ---- */

/* Fills all selector fields of *k (the rest is left alone). 0, or -EINVAL with one line in `error`. */
int select_knobs(struct knobs *k, const struct select *s, char *error, size_t size);

/* ---- features.c: what the running kernel offers ---- */

enum feature {
	FEAT_BTF,
	FEAT_SEND_LENGTH,
	FEAT_RECV_LENGTH,
	FEAT_SET_STATE,
	FEAT_EXEC,
	FEAT_FORK,
	FEAT_EXIT,
	FEAT_RENAME,
	FEAT_CGROUP,
	FEAT_DESTROY,
	FEAT_ITER_TASK,
	FEAT_ITER_FILE,
	FEAT_ITER_UNIX,
	FEAT_MAX,
};

struct feature_info {
	const char *what, *needed_for;
	bool required;
};

extern const struct feature_info feature_infos[FEAT_MAX];

struct features {
	bool has[FEAT_MAX];
};

void features_read(struct features *f);
/* The first required one that is missing, or FEAT_MAX. */
enum feature features_missing(const struct features *f);
/* "auto" or "socktp": 0; else -EINVAL after one line. */
int backend_check(const char *backend);

/* ---- refusal.c ---- */

#define REASON_MAX 256
/* Writes into reason[REASON_MAX] why BPF was refused with this error: what, and what helps. */
void refusal_reason(int err, char *reason);

/* ---- attach.c ---- */

/* Opens, sizes, loads. 0 or -errno after one line. */
int plan_load(struct spandrel_bpf **out, const struct features *f, uint32_t ring_size);
/* Attaches everything and walks what exists already: when it returns, all that is selected is traced. */
int plan_attach(struct spandrel_bpf *skel);
void plan_detach(struct spandrel_bpf *skel);
/* Runs an iterator over all its objects; what it writes goes to `out` (may be NULL). 0 or -errno. */
int plan_walk(const struct bpf_program *prog, void (*out)(void *arg, const void *p, size_t n), void *arg);

#endif
