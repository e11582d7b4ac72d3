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
#include "host/pod_facts.h"

struct host;
struct pods;

/* Does anybody know the pod that the process is in? */
enum resource_pod {
	RESOURCE_POD_NONE,    /* it is told, or there is none to tell of: not in a container, --kube is off */
	RESOURCE_POD_AWAITED, /* not yet: what the resource says changes when it is, so spans had better wait */
	RESOURCE_POD_MISSING, /* nobody does, or not in time */
};

/* What of a program bears on how its work is told apart (trace/): bits. */
enum { RESOURCE_NGINX = 1, RESOURCE_JAVA = 2 };

/*
 * OpenTelemetry resource of one process (one program of it: exec makes a new one, and so does news of its pod or its SDK).
 * Reference counted; constant but in two cases, so keep no borrows: when an exec record shows that the facts were read too
 * late, it says no more than whose process it was; while its pod is awaited, it says more as soon as that is known.
 */
struct resource {
	uint32_t refs;
	uint64_t id; /* unique among live resources: batches group by it */
	struct slice service; /* service.name, for the console */
	struct attr *attrs;
	uint16_t n_attrs;
	uint8_t pod; /* enum resource_pod */
	uint8_t runs; /* RESOURCE_NGINX, RESOURCE_JAVA */
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
	struct pods *pods;	 /* live: who knows pods; NULL: nobody. Outlives the host */
	struct pod_naming naming;
	uint64_t pod_wait; /* ns that spans of a container which is new here wait for its pod */
	/* Called with an EV_PROC, EV_HOST or EV_POD record whenever facts were learnt; for --record. May be NULL. */
	void (*on_facts)(void *arg, const struct ev_head *record);
	void *arg;
};

struct host *host_new(const struct host_config *config);
void host_free(struct host *h);

/*
 * EV_EXEC, EV_EXIT, EV_TICK, EV_PROC, EV_HOST, EV_POD, EV_OTLP; others are ignored. Which resources await their pod changes
 * at EV_TICK and EV_POD only, be it this one or the one that on_facts is given.
 */
void host_event(struct host *h, const struct ev_head *ev);
void host_stop_waiting(struct host *h); /* no resource awaits its pod any more */
/* The resource of a process, with a reference for the caller; never NULL while memory lasts (facts may be few). */
struct resource *host_resource(struct host *h, uint32_t pid);
struct resource *resource_ref(struct resource *r);
void resource_unref(struct resource *r); /* NULL is fine */

/* What EV_OTLP records said of the program that the process runs: enum otlp_role bits. */
uint8_t host_otlp(const struct host *h, uint32_t pid);
/* It sends traces, and not those of others: it is traced by an SDK of its own. */
static inline bool host_self_traced(const struct host *h, uint32_t pid)
{
	return host_otlp(h, pid) == OTLP_SENDS;
}

#endif
