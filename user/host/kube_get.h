/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One GET at a time from the API server, on the loop's multi handle; the connection is kept for the next. The body is handed
 * on in bounded portions: what one turn does not take waits, and the server with it (HTTP/1.1: nothing is buffered for
 * us). gzip is undone here for the same reason. Redirects are not followed.
 */
#ifndef SPANDREL_HOST_KUBE_GET_H
#define SPANDREL_HOST_KUBE_GET_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define KUBE_TURN_BYTES	 (256 * 1024)	    /* of a body, inflated, that one turn hands on */
#define KUBE_HEAD_WAIT	 30000000000ULL	    /* ns for the head of an answer */
#define KUBE_FIELDS_MAX	 (64 * 1024)	    /* header fields of an answer */

struct kube_get;

enum kube_fate {
	KUBE_DONE,    /* the answer is whole */
	KUBE_CONNECT, /* no answer: name, connection */
	KUBE_TLS,     /* likewise: certificates, keys, handshake */
	KUBE_TIMEOUT,
	KUBE_BROKEN,  /* it ended early */
	KUBE_STOPPED, /* by what `data` returned */
	KUBE_GZIP,    /* not what it said it was compressed with */
	KUBE_LONG,    /* head beyond its limit */
	KUBE_MEMORY,
};

struct kube_result {
	enum kube_fate fate;
	long status;	      /* of HTTP; 0: none came */
	uint64_t retry_after; /* ns, 0: not said */
	const char *error;    /* text for people */
};

struct kube_get_sink {
	/* Bytes of the body, in order. Not 0: enough. */
	int (*data)(void *arg, long status, struct slice data, uint64_t now);
	/* The last call; may start another. */
	void (*done)(void *arg, const struct kube_result *r, uint64_t now);
	void *arg;
};

struct kube_request {
	const char *url;
	bool gzip;	  /* ask for it */
	bool steady;	  /* bytes must flow all the time (a list), else it is enough when they come some time (a watch) */
	uint64_t timeout; /* ns, for all of it */
};

/* 0 or -ENOMEM. */
int kube_get_new(struct kube_get **out, CURLM *multi, const char *user_agent, const struct kube_get_sink *sink);
void kube_get_free(struct kube_get *g); /* also under way: done is not called then; NULL is fine */
CURL *kube_get_easy(struct kube_get *g); /* for who knows the credentials, before start */
/* 0 or -errno. */
int kube_get_start(struct kube_get *g, const struct kube_request *r, uint64_t now);
void kube_get_stop(struct kube_get *g); /* what is under way; done is not called */
void kube_get_turn(struct kube_get *g, uint64_t now);
long kube_get_status(const struct kube_get *g); /* of the answer under way; 0: none yet */
bool kube_get_busy(const struct kube_get *g); /* something waits for the next turn */

#endif
