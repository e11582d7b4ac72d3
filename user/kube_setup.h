/* SPDX-License-Identifier: Apache-2.0 */
/* The API server's client and its stores as the configuration wants them. */
#ifndef SPANDREL_KUBE_SETUP_H
#define SPANDREL_KUBE_SETUP_H

#include <curl/curl.h>
#include <stdio.h>

#include "config.h"

struct kube;
struct pods;
struct services;

struct kube_setup { /* all NULL when it is off; services: when they are not asked for */
	struct kube *kube;
	struct pods *pods;
	struct services *services;
};

/* 0, or -errno, said in one line; to be given to close either way. */
int kube_setup_open(struct kube_setup *s, const struct config *c, CURLM *multi);
void kube_setup_close(struct kube_setup *s);
/*
 * SIGHUP: the labels that `selects` asks about, beside those that `shown` exports; pods are listed again where that takes others. 0,
 * or -ENOMEM and nothing has changed.
 */
int kube_setup_reload(struct kube_setup *s, const struct config *shown, const struct config *selects);
/* --check: asks once, a few seconds at most, and says in one line what came of it. Reported, not judged. */
void kube_setup_check(const struct config *config, FILE *out);
/* Once a turn of the loop. */
void kube_setup_turn(struct kube_setup *s, uint64_t now);
/* Is what the API server says known, or is it known that it says nothing? */
bool kube_setup_settled(const struct kube_setup *s);
bool kube_setup_busy(const struct kube_setup *s); /* there is work for the next turn: do not sleep */
void kube_setup_gauges(const struct kube_setup *s);

#endif
