/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods of this node (specs.md §6.3, §11), as the API server told them last. A pod is constant: what changes is told by a
 * new one that takes its place, so that whoever holds a reference reads the same for as long as it likes. Every text is
 * part of the pod's one block of memory, printable UTF-8 (host/text.h) and bounded; what passes a bound is cut or left out
 * and counted (kube_values_cut), and what the server did not say is empty or 0, never guessed.
 *
 * Only released_at and deleted_at are set later, once.
 *
 * The store holds the pods that live and those that ended at most PODS_KEEP ago, in bounded number and memory; beyond it
 * the longest gone leave first, then new ones are refused (kube_pods_refused). Times named _at are boot time in ns, as events have
 * them; created and started are real time in s. Not for threads; no calls into the store from a callback but look-ups.
 */
#ifndef SPANDREL_HOST_POD_H
#define SPANDREL_HOST_POD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"

#define PODS_KEEP	   120000000000ULL /* ns that a pod which ended is still found */
#define POD_IPS_MAX	   4
#define POD_CONTAINERS_MAX 64 /* of one pod, former ones counted */
#define POD_LABELS_MAX	   64 /* of one pod that are kept; likewise annotations */
#define POD_VALUE_MAX	   1024 /* bytes of a label's or annotation's value */
#define POD_BYTES_MAX	   (32 * 1024) /* of one pod, all told */

/* An address as IPv6, IPv4 mapped (::ffff:a.b.c.d). */
struct pod_ip {
	uint8_t b[16];
};

enum pod_kind { POD_MAIN, POD_INIT, POD_EPHEMERAL };

enum pod_phase { POD_PHASE_UNKNOWN, POD_PENDING, POD_RUNNING, POD_SUCCEEDED, POD_FAILED };

struct pod_pair {
	struct slice key, value;
};

/*
 * A container that the pod's status or specification names. One that has not started has no id. `former`: the run before
 * the present one of that name (its lastState), for spans that end after a restart.
 */
struct pod_container {
	struct slice name;
	struct slice id;       /* as the runtime wrote it without its scheme: usually 64 hexadecimal digits */
	struct slice runtime;  /* the scheme: containerd, cri-o, docker */
	struct slice image;    /* as the specification asks for it, else as the status reports it */
	struct slice image_id; /* of the status: often NAME@sha256:DIGEST */
	int64_t restarts;      /* -1: not known */
	uint8_t kind;	       /* enum pod_kind */
	bool former;
};

/* The one owner reference that says controller: true; all empty when there is none. */
struct pod_owner {
	struct slice kind, name, uid;
};

struct pod {
	uint32_t refs;
	struct slice namespace, name, uid;
	/* What the kubelet calls it in cgroup paths: the uid, but a static pod's annotation kubernetes.io/config.hash. */
	struct slice cgroup_uid;
	struct slice node, hostname; /* of the specification */
	struct pod_owner owner;
	const struct pod_container *containers;
	const struct pod_pair *labels, *annotations; /* those asked for, see pods_config */
	uint16_t n_containers, n_labels, n_annotations;
	uint8_t n_ips, phase; /* enum pod_phase */
	bool host_network;    /* its addresses are the node's: never found by address */
	bool labels_cut;      /* of those asked for some are not here */
	struct pod_ip ips[POD_IPS_MAX];
	int64_t created, started; /* real time, s; 0: not said */
	uint64_t known_at;	  /* when it was first heard of */
	uint64_t addressed_at;	  /* its addresses cannot have been its own before (its start; else when they were heard of) */
	uint64_t released_at;	  /* when it ended (deleted, Succeeded, Failed): its addresses may be another's since; 0 not yet */
	uint64_t deleted_at;	  /* 0: it is still listed */
	/* For the store alone. */
	struct slice version; /* resourceVersion */
	size_t bytes;	      /* of the block */
};

/* The value of a label or annotation that was kept; SLICE_NONE when there is none. */
struct slice pod_label(const struct pod *p, struct slice key);
struct slice pod_annotation(const struct pod *p, struct slice key);
/* The container with this id, or NULL. */
const struct pod_container *pod_container(const struct pod *p, struct slice id);

const struct pod *pod_ref(const struct pod *p);
void pod_unref(const struct pod *p); /* NULL is fine */

/* Dotted IPv4 or IPv6 text. False on anything else; *out untouched then. */
bool pod_ip_parse(struct slice text, struct pod_ip *out);

struct pods;

struct pods_config {
	uint32_t max_pods; /* those that ended counted; 0: 1024 */
	size_t max_bytes;  /* of all of them; 0: 8 MiB */
	/*
	 * Globs of the keys to keep (user/glob syntax: * and ?), copied. Always kept: labels pod-template-hash and
	 * app.kubernetes.io/(name, instance, version, part-of, component); annotations resource.opentelemetry.io/ and what follows.
	 */
	const char *const *labels;
	size_t n_labels;
};

struct pods *pods_new(const struct pods_config *c); /* NULL without memory */
/*
 * Other globs from now on. 1: they are others, and pods must be listed again (kube_list_again()) to have such labels; 0: they are
 * the same; or -ENOMEM and nothing has changed.
 */
int pods_want_labels(struct pods *s, const char *const *labels, size_t n);
void pods_free(struct pods *s);

/* Borrows; NULL when there is none. Pods that ended are found, too: for so long as they are kept. */
const struct pod *pods_by_container(const struct pods *s, struct slice id);
const struct pod *pods_by_uid(const struct pods *s, struct slice uid); /* the uid, or what cgroup paths call it */
/*
 * The pod that had this address at boot time `at` (0: the one that has it now). Host-network pods are never found. NULL also
 * when two could be meant.
 */
const struct pod *pods_by_ip(const struct pods *s, const struct pod_ip *ip, uint64_t at);
/* Walks all, in no order, those that ended, too: *at starts at 0; NULL at the end. The store must not change meanwhile. */
const struct pod *pods_next(const struct pods *s, size_t *at);
uint32_t pods_known(const struct pods *s); /* those that are listed now */

enum pod_change {
	POD_ADDED,
	POD_CHANGED, /* takes the place of `old` */
	POD_GONE,    /* deleted (deleted_at is set); it is still found for PODS_KEEP */
	POD_DROPPED, /* not found any more */
};

/* Subscribers are called in the order they came, once the store has the new state. old: NULL but for POD_CHANGED. */
struct pods_watcher {
	struct list link; /* the store's */
	void (*changed)(void *arg, enum pod_change change, const struct pod *pod, const struct pod *old);
	void *arg;
};

void pods_subscribe(struct pods *s, struct pods_watcher *w); /* told of what comes, not of what is there */
void pods_unsubscribe(struct pods_watcher *w);

/* For the API client (kube.h) and tests. */

/* What the server says is told with `now` (boot time). A pod is what pod_json.h made; taken, also on failure. 0 or -errno. */
int pods_put(struct pods *s, struct pod *p, uint64_t now);
void pods_delete(struct pods *s, struct slice uid, uint64_t now);
/*
 * A list in full: begin, put each, then end: what was not put is gone. Between begin and end the store answers as before and
 * nobody is told; abort forgets what was put.
 */
void pods_list_begin(struct pods *s);
void pods_list_end(struct pods *s, uint64_t now);
void pods_list_abort(struct pods *s);
bool pods_keeps_label(const struct pods *s, struct slice key);
bool pods_keeps_annotation(struct slice key);
/* Forgets those that ended long enough ago. */
void pods_tick(struct pods *s, uint64_t now);

#endif
