/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List and watch of one kind (specs.md §11.1): a list from the server's cache, then changes since its version, again and again
 * from the last version seen; a version that has expired is listed again, and what the list holds takes effect at once.
 * After a failure the next request waits: 0.8 s, twice as long each time up to 30 s, and as much again by chance; or what the
 * server asked for, up to 5 minutes. The pause is short again after 2 minutes without a failure.
 */
#ifndef SPANDREL_HOST_KUBE_WATCH_H
#define SPANDREL_HOST_KUBE_WATCH_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "host/kube_kind.h"

#define KUBE_PAUSE_FIRST  800000000ULL	  /* ns */
#define KUBE_PAUSE_MAX	  30000000000ULL
#define KUBE_PAUSE_RESET  120000000000ULL
#define KUBE_PAUSE_TOLD	  300000000000ULL /* the longest that a server may ask for */
#define KUBE_WATCH_MIN	  300		  /* s; a watch is renewed after a time between these */
#define KUBE_WATCH_MAX	  600

struct kube_auth;

/* What all watches share. */
struct kube_place {
	CURLM *multi;
	struct kube_auth *auth;
	const char *node, *agent;
	struct rng rng;
	bool unread; /* the credentials could not be read the last time */
};

void kube_place_seed(struct kube_place *p);

struct kube_watch;

/* 0 or -ENOMEM. `arg`: of the kind's functions; all is borrowed. */
int kube_watch_new(struct kube_watch **out, struct kube_place *place, const struct kube_kind *kind, void *arg);
void kube_watch_free(struct kube_watch *w); /* NULL is fine */
void kube_watch_turn(struct kube_watch *w, uint64_t now);
void kube_watch_list_again(struct kube_watch *w, uint64_t now); /* now, whatever is under way */
bool kube_watch_busy(const struct kube_watch *w);
bool kube_watch_synced(const struct kube_watch *w); /* a list was read */
const char *kube_watch_error(const struct kube_watch *w); /* "" while all is well */

#endif
