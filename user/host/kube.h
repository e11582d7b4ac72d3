/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of the Kubernetes API server (specs.md §11): lists and watches the pods of this node into a store (pod.h), with
 * `services` also Services and EndpointSlices of the cluster (service.h). Transfers on the loop's multi handle; nothing
 * blocks, and one turn parses a bounded number of bytes. A server that is away, hangs or lies costs a bounded number of
 * bytes, requests and memory: errors are counted (kube_errors), said once, and tried again with a growing pause.
 */
#ifndef SPANDREL_HOST_KUBE_H
#define SPANDREL_HOST_KUBE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

struct kube;
struct pods;
struct services;

enum kube_mode { KUBE_AUTO, KUBE_ON, KUBE_OFF };

struct kube_config {
	enum kube_mode mode;
	const char *api;	/* --kube-api URL, or NULL */
	const char *kubeconfig; /* --kubeconfig FILE, or NULL */
	const char *node;	/* --node-name, or NULL: SPANDREL_NODE_NAME, NODE_NAME, the host's name where it can be known */
	const char *account;	/* directory of the service account's files; NULL: the kubelet's */
	const char *version;	/* of the User-Agent */
	bool services;
};

/* Does this configuration, in this environment, ask for the client? */
bool kube_wanted(const struct kube_config *c);

/* Starts; the first answer comes later. 0, or -errno, said in one line. The stores outlive the client; services: NULL without. */
int kube_new(struct kube **out, const struct kube_config *c, struct pods *pods, struct services *services, CURLM *multi);
void kube_free(struct kube *k); /* NULL is fine */
/* Once a turn of the loop, now: boot time. */
void kube_turn(struct kube *k, uint64_t now);
/* Is there something to parse at once? Then the loop does not sleep. */
bool kube_busy(const struct kube *k);

/* Lists the pods anew, now: what is kept of them has changed. */
void kube_list_again(struct kube *k, uint64_t now);

/* For /readyz and metrics. */
struct kube_state {
	bool synced;		 /* every list was read once */
	bool healthy;		 /* and what it watches is up to date as far as the server says */
	const char *error;	 /* the last one, "" when there was none since; borrowed until the next turn */
	const char *server, *node; /* whom it asks, about what */
	uint64_t requests, bytes_in; /* made and read so far, all kinds */
};

void kube_state(const struct kube *k, struct kube_state *out);
void kube_gauges(const struct kube *k); /* sets pods_known (base/stats.h) */

#endif
