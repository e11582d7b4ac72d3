/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of probe/ share; nobody else includes it. */
#ifndef SPANDREL_PROBE_INNER_H
#define SPANDREL_PROBE_INNER_H

#include "probe/probe.h"
#include "probe/ring.h"

struct btf;
struct spandrel_bpf;
struct bpf_link;
struct bpf_program;
struct tls;

#define UPROBE_MULTI 48 /* BPF_TRACE_UPROBE_MULTI, which came with 6.6: older headers do not know it */

/* ---- table.c: every probe, one row each ---- */

enum { WAY_FENTRY = 1, WAY_SOCKTP = 2, WAY_KPROBE = 4, WAY_ALL = 7 };
enum probe_need {
	NEED_ALWAYS,   /* nothing can be traced without it */
	NEED_OPTIONAL, /* without it something is lost, which `lost` names */
	NEED_IF_THERE, /* what the kernel has not it does not need either */
	NEED_HASHED,   /* NEED_ALWAYS where connections are found by address (struct way), else not used */
	NEED_IN_FILES, /* optional; attached to files when they are found (uprobe.h) */
	NEED_END,      /* NEED_ALWAYS there, else NEED_OPTIONAL */
};

struct probe_row {
	const char *prog;
	const char *func; /* kprobe: one program serves several functions */
	uint8_t ways;
	uint8_t need;	  /* enum probe_need */
	uint8_t kind;	  /* of `name` in the kernel's BTF */
	const char *name; /* NULL: every kernel has it */
	const char *lost;
};

#define PROBES_MAX 96
extern const struct probe_row probe_rows[];
extern const size_t n_probe_rows;

/* ---- features.c: what the running kernel offers ---- */

struct hierarchy { /* of control groups, v1 */
	const char *name; /* a controller of it; empty: there is none to look at */
	uint32_t subsys;  /* as struct knobs has them */
	uint32_t number;
};

struct features {
	struct btf *btf;      /* NULL: it shows none */
	bool has[PROBES_MAX]; /* by row */
	bool uprobe_multi;    /* one link for many probes in a file */
	struct way way;	      /* but for the way itself */
	struct hierarchy v1;
};

/* Never by the kernel's version, never by loading and hoping. */
void features_read(struct features *f);
void features_fini(struct features *f);
/* The first row without which this way (WAY_…) cannot work, or NULL. */
const struct probe_row *features_missing(const struct features *f, uint8_t way);
/* Does this way not work without the row? */
bool probe_required(const struct features *f, size_t row, uint8_t way);
/* Is the row for this way, on this kernel? */
bool probe_wanted(const struct features *f, size_t row, uint8_t way);

/* ---- place.c ---- */

void hierarchy_read(const struct btf *btf, struct hierarchy *h);

/* ---- refusal.c ---- */

#define REASON_MAX 256
/* Writes into reason[REASON_MAX] why BPF was refused with this error: what, and what helps. */
void refusal_reason(int err, char *reason);

/* ---- ways.c: which way in ---- */

struct way_row {
	const char *name;
	uint8_t bit;
	const char *what;
	int (*try)(const struct btf *btf); /* the smallest program that can tell: 0 or -errno */
};

extern const struct way_row way_rows[];
extern const size_t n_way_rows;

/* 0, or -errno and why not in `reason`. */
int way_try(const struct way_row *way, const struct features *f, char *reason);
/* "auto" or the name of a way: 0; else -EINVAL after one line. */
int backend_check(const char *backend);
bool backend_allows(const char *backend, const struct way_row *way);

struct plan {
	struct spandrel_bpf *skel;
	struct bpf_link *links[PROBES_MAX];
	const struct way_row *way;
	char lost[512]; /* what is not traced for want of optional probes; empty: all is */
	int n_lost;	/* those probes */
};

struct probe {
	struct plan plan;
	struct tls *tls; /* NULL: off */
	bool tls_work;	 /* it has more to do at once */
	struct ring ring;
	int n_cpus;
	const char *hierarchy;	 /* v1, that is looked at for SEL_KUBE */
	uint64_t folded[KC_MAX]; /* the kernel's counters as they were added to stats last */
	uint64_t nested;	 /* and its own of the programs */
	uint64_t swept;		 /* TLS sessions of processes that ended without ending them */
	uint64_t evicted;	 /* ... that made room for others */
	struct own_end doors[OWN_DOORS_MAX];
	size_t n_doors;
};

/* ---- count.c ---- */

uint64_t kernel_count(const struct probe *p, enum kcount what);

/* ---- sessions.c ---- */

/* Takes TLS sessions of processes that are gone out of the kernel's table; counts those that found no room there. */
void sessions_sweep(struct probe *p);

/* ---- select.c ---- */

/* Fills all selector fields of *k (the rest is left alone). 0, or -EINVAL with one line in `error`. */
int select_knobs(struct knobs *k, const struct select *s, char *error, size_t size);

/* ---- attach.c ---- */

/* Opens, sizes, loads; optional programs that the verifier refuses are left out. 0 or -errno. */
int plan_load(struct plan *p, const struct features *f, const struct way_row *way, uint32_t ring_size);
/* Attaches everything and walks what exists already: when it returns, all that `knobs` select is traced. 0 or -errno. */
int plan_attach(struct plan *p, const struct features *f, const struct knobs *selected);
void plan_detach(struct plan *p);
/* After loading: gives back the memory that only that took, about 2 MiB. */
void plan_slim(void);
void plan_fini(struct plan *p);
/*
 * Runs an iterator over all its objects; what it writes goes to `out` (may be NULL). 0 or -errno. In two steps: all that can be
 * refused is refused when it is opened (a descriptor, the caller's).
 */
int walk_open(const struct bpf_program *prog);
int walk_run(int fd, void (*out)(void *arg, const void *p, size_t n), void *arg);
int plan_walk(const struct bpf_program *prog, void (*out)(void *arg, const void *p, size_t n), void *arg);

/* ---- ways.c ---- */

/* The first way that works, of those that `backend` allows. 0, or -errno after one line with every reason. */
int plan_open(struct plan *p, const struct features *f, const char *backend, uint32_t ring_size, const struct knobs *selected);

#endif
