/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP POST at a time over an easy handle that is kept for the next one, so that connections stay alive. Nothing
 * blocks: the caller drives the multi handle. Every easy handle on that multi is known by a
 * struct transfer (base/transfer.h), because the multi has one list of completions for all. Redirects are not followed; http and https only, by TCP or by a
 * UNIX socket. Answers are bounded: fields, body, and time when there is a limit of it. Compressed bodies stay compressed.
 */
#ifndef SPANDREL_EXPORT_POST_H
#define SPANDREL_EXPORT_POST_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/transfer.h"

#define POST_ANSWER_MAX (256 * 1024) /* a longer answer is cut off and judged by its status */
#define POST_FIELDS_MAX (256 * 1024) /* header and trailer fields, all that are sent */

struct post;

struct post_config {
	const char *url;
	const char *socket; /* path; NULL: TCP */
	bool http2;	    /* only that; in plain text with prior knowledge */
	struct curl_slist *headers; /* borrowed for the post's life */
	const char *user_agent;
	const char *ca, *cert, *key; /* PEM files or NULL */
	uint64_t timeout;	     /* ns for all of it; 0 none */
};

struct post_answer {
	long status;	      /* 0: no HTTP answer came, `error` says why */
	const char *error;    /* never NULL */
	uint64_t retry_after; /* ns, 0: not said */
	bool broken;	      /* the connection ended or the time was over before the answer was whole */
	struct slice fields;  /* header and trailer fields named grpc-*, for post_field() */
	struct slice body;
};

/* The value of a field, the last one of that name; SLICE_NONE when there is none. */
struct slice post_field(struct slice fields, struct slice name);

/* `done` may start the post again. What the answer points to is borrowed. */
typedef void (*post_done_fn)(void *arg, const struct post_answer *a, uint64_t now);

/* 0, -ENOMEM, or -EINVAL when libcurl refuses the URL or an option. */
int post_new(struct post **out, CURLM *multi, const struct post_config *c, post_done_fn done, void *arg);
void post_free(struct post *p); /* also in flight: `done` is not called then; NULL is fine */
/* Sends; the body stays with the caller until `done`. 0 or -errno. */
int post_start(struct post *p, struct slice body);

/* Tells whatever has completed on the multi handle, posts or not. */
void posts_reap(CURLM *multi, uint64_t now);

#endif
