/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel → typed events. probe_open() loads and attaches; probe_read() hands over what the ring holds, in order, each
 * record checked for consistency. Logs at the edge only. The kernel's own counters are folded into stats at probe_stats().
 */
#ifndef SPANDREL_PROBE_PROBE_H
#define SPANDREL_PROBE_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/slice.h"
#include "event.h"

struct select { /* what to trace; patterns and paths are borrowed until the call returns */
	bool all;
	const char *const *exe, *const *comm, *const *cgroup, *const *port, *const *pid; /* NULL-terminated lists, or NULL */
	const char *const *not_exe, *const *not_comm, *const *not_cgroup, *const *not_port, *const *not_pid;
	bool kube, not_kube; /* probe_place() says what is selected, what is ruled out */
	bool wait;	     /* nothing is selected yet: probe_select() follows once that was said */
};

struct probe_config {
	struct select select;
	uint32_t ring_size; /* bytes, rounded up to a power of two of pages */
	bool no_tls;	     /* programs' TLS libraries are left alone */
	const char *backend; /* "auto", "fentry", "socktp", "kprobe" */
	const struct framing *framings[FRAMINGS_MAX]; /* how streams may be framed; NULL behind the last one */
};

struct probe;

/* Checks the selection alone: 0, or -EINVAL with one line in `error` that names the option and what was expected. */
int select_check(const struct select *s, char *error, size_t size);

/* 0 or -errno after one clear line (missing privileges, missing BTF, unsupported kernel …). */
int probe_open(struct probe **out, const struct probe_config *config);
/*
 * Another selection, in two steps: all that can fail does so in the first, 0 or -errno with one line in `error`, which changes
 * nothing; the second takes what that made. What comes to be between the two is not lost.
 */
struct selection;
int probe_plan_select(struct probe *p, const struct select *s, struct selection **out, char *error, size_t size);
void probe_select(struct probe *p, struct selection *s);
void selection_free(struct selection *s); /* NULL is fine */
void probe_close(struct probe *p);
int probe_fd(const struct probe *p);	 /* becomes readable when the reader is to be woken */
const char *probe_backend(const struct probe *p);
size_t probe_memory(const struct probe *p); /* bytes of all kernel maps, the ring once */

/* Calls fn for each record until the ring is empty or `max` records passed; how many, or -errno. */
int probe_read(struct probe *p, void (*fn)(void *arg, const struct ev_head *ev), void *arg, int max);
/* About to sleep: asks the kernel for a wake-up. False if records came meanwhile: read again. */
bool probe_idle(struct probe *p);
void probe_stop(struct probe *p);  /* detaches; what is recorded stays readable */
/* Folds the kernel's counters into stats; all: those that each program has, too, at a system call for each. */
void probe_stats(struct probe *p, bool all);

/*
 * Selection by what Kubernetes and container runtimes call things (SEL_KUBE): what is said of a directory of control groups holds for
 * the processes in it and below, down to the next one of which something is said. key, bits: event.h, map cgroups; bits 0: nothing is
 * said any more. Processes that join from now on go by it; probe_review() looks at those that run. 0 or -errno (-E2BIG: full).
 */
int probe_place(struct probe *p, uint64_t key, uint32_t bits);
int probe_review(struct probe *p);
/* Beside v2 the v1 hierarchy of this controller is looked at; empty: none. Static. */
const char *probe_hierarchy(const struct probe *p);

/* For conn's verdict_sink: arg is the struct probe. */
void probe_verdict(void *arg, uint64_t conn, const uint64_t skip_to[2], const uint64_t grant_to[2]);
/* The connection has framings[framing]; its frames begin at `at` (struct frame_slot). */
void probe_frames(struct probe *p, uint64_t conn, uint32_t framing, const uint64_t at[2]);
/* False if the slot is not this connection's. */
bool probe_progress(struct probe *p, uint64_t conn, struct ev_progress *out);
/*
 * Lists UNIX connections that exist in our network namespace: calls fn with what the ring holds, then with one EV_LIVE
 * record of the time when the list was begun. -EAGAIN: too much came meanwhile.
 */
int probe_sweep(struct probe *p, void (*fn)(void *arg, const struct ev_head *ev), void *arg);

/* Where the tracer listens (netns is set here): connections there are not traced from now on. Replaces what was said before. */
void probe_doors(struct probe *p, const struct own_end *doors, size_t n);

/* What works of that which a running tracer may still ask of the kernel, with the capabilities in use now. */
enum probe_work {
	PROBE_MAPS = 1,	 /* look-ups in maps */
	PROBE_WALKS = 2, /* over tasks and sockets */
	PROBE_RUNS = 4,	 /* programs that are run when they are asked something */
	PROBE_FILES = 8, /* probes in files */
};
unsigned probe_works(const struct probe *p);

/*
 * --check: the table of what this kernel offers and what was chosen, the TLS libraries in reach of the selection (NULL: in standard
 * directories), and "way in: …". 0 if tracing would work; then `opened` (may be NULL) was called with a probe that was never read.
 */
int probe_check(FILE *out, const char *backend, const struct select *select, void (*opened)(void *arg, const struct probe *p), void *arg);

/* Is this record what it says (type, lengths)? For the ring, recordings and fuzzing alike. */
bool event_valid(const struct ev_head *ev, size_t size);

#endif
