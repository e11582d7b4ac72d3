/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts about processes, read once from /proc when first needed (or at exec) and kept until the process ends, and the
 * resource made of them. /proc is hostile: names with newlines, vanishing processes, files without end.
 * For replay the facts travel as EV_PROC / EV_HOST records: host_event() takes them, `on_facts` gives them.
 */
#ifndef SPANDREL_HOST_PROCESS_H
#define SPANDREL_HOST_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "event.h"

struct host;

/*
 * OpenTelemetry resource of one process (one program of it: exec makes a new one). Reference counted; constant, but when an
 * exec record shows that the facts were read too late, then it says no more than whose process it was: keep no borrows.
 */
struct resource {
	uint32_t refs;
	uint64_t id; /* unique among live resources: batches group by it */
	struct slice service; /* service.name, for the console */
	struct attr *attrs;
	uint16_t n_attrs;
};

struct host_config {
	const char *proc;	 /* "/proc", another root in tests */
	struct slice service_name; /* --service-name: for every process; empty: found per process */
	struct slice environment;  /* deployment.environment.name */
	struct slice cluster;	   /* k8s.cluster.name */
	const struct slice *extra; /* --resource K=V */
	size_t n_extra;
	uint32_t max_processes;
	bool live;		 /* may read /proc; false in replay */
	/* Called with an EV_PROC or EV_HOST record whenever facts were read; for --record. May be NULL. */
	void (*on_facts)(void *arg, const struct ev_head *record);
	void *arg;
};

struct host *host_new(const struct host_config *config);
void host_free(struct host *h);

/* EV_EXEC, EV_EXIT, EV_PROC, EV_HOST; others are ignored. */
void host_event(struct host *h, const struct ev_head *ev);
/* The resource of a process, with a reference for the caller; never NULL while memory lasts (facts may be few). */
struct resource *host_resource(struct host *h, uint32_t pid);
struct resource *resource_ref(struct resource *r);
void resource_unref(struct resource *r); /* NULL is fine */

#endif
