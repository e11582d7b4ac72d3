/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internal to host/: the table of processes (process.c), what is kept of each (entry.c), how the living are read (reader.c), and
 * the containers they are in (pod_link.c).
 */
#ifndef SPANDREL_HOST_INNER_H
#define SPANDREL_HOST_INNER_H

#include "base/buf.h"
#include "base/list.h"
#include "base/table.h"
#include "host/facts.h"
#include "host/pod.h"
#include "host/process.h"

#define CONTAINER_ID_MAX 64
#define HOST_BYTES_MAX	 (16 * 1024 * 1024) /* facts of all processes and containers; beyond it the least used leave */

/* Facts about one program of a process. */
struct telling {
	char *p; /* owned; NULL: none yet */
	size_t n;
	size_t n_base;	 /* without what its SDK says */
	uint64_t start;	 /* of the process, in ticks */
	uint64_t exec;	 /* time of the EV_EXEC they answer */
	uint64_t read;	 /* when they were read */
	uint64_t digest; /* of what was read */
	uint64_t missed; /* process records missed when they were read */
};

/* What a program publishes of itself comes later than the program: how often it was looked for, and when again. */
struct look {
	uint64_t at;
	unsigned n;
};

struct container {
	uint64_t key; /* in host.containers */
	char id[CONTAINER_ID_MAX];
	struct list members;  /* entry.member; never empty */
	struct list waiting;  /* in host.waiting, while spans wait */
	uint64_t until;	      /* ... and until when */
	bool asked;	      /* there is somebody who knows pods: what is not known then is missing */
	char *facts;	      /* owned; NULL: not known */
	size_t n_facts;
};

struct entry {
	struct list lru;
	uint32_t pid;
	bool ended;   /* or another process has taken its id since */
	uint8_t otlp; /* enum otlp_role bits */
	struct telling facts;
	struct look look;
	struct container *container; /* NULL: in none, or nobody knows pods */
	struct list member;
	struct resource *resource; /* NULL until asked for */
};

struct host {
	struct host_config config;
	struct table table;	 /* process id → entry */
	struct list lru;	 /* least recently used first */
	struct table containers; /* by the first half of the id → container */
	struct list waiting;	 /* containers whose spans wait */
	struct pods_watcher watcher;
	struct buf scratch, pod_scratch;
	size_t bytes; /* of facts */
	char *host_facts; /* owned */
	size_t n_host_facts;
	bool host_read;
	uint64_t now; /* live: time of the last EV_TICK */
	uint64_t next_id;
};

/* A record of what was learnt, for the recorder; time, flags: see its type. */
void host_tell(struct host *h, const struct ev_head *head, uint32_t pid, struct slice facts);

/* ---- entry.c ---- */
/* Takes a copy of the facts. Those of another program begin anew; else what they change is said from now on. 0 or -ENOMEM. */
int entry_fill(struct host *h, struct entry *e, struct slice facts);
/* What is known of it has changed: so does the resource that spans wait for; else the next one asked for is a new one. */
void entry_retell(struct host *h, struct entry *e);
int entry_resource(struct host *h, struct entry *e); /* makes it. 0 or -ENOMEM */
void entry_clear(struct host *h, struct entry *e);

/* ---- reader.c: live only ---- */
uint64_t facts_digest(struct slice facts);
void reader_exec(struct host *h, struct entry *e, const struct ev_exec *ev);
void reader_new(struct host *h, struct entry *e);
/* The id may be another process's by now, or its program another one. */
void reader_again(struct host *h, struct entry *e);
/* Looks for the SDK's process context, some times in a program's life. */
void reader_look(struct host *h, struct entry *e);

/* ---- pod_link.c ---- */
void pod_link_start(struct host *h); /* told of pods from now on */
void pod_link_stop(struct host *h);
/* The facts say which container the process is in. */
void pod_join(struct host *h, struct entry *e);
void pod_leave(struct host *h, struct entry *e);
/* Live: finds the pod of a container that is new. */
void pod_ask(struct host *h, struct container *c);
void pod_event(struct host *h, const struct ev_blob *ev); /* EV_POD */
void pod_tick(struct host *h, uint64_t now);
uint8_t pod_state(const struct entry *e); /* enum resource_pod */

#endif
