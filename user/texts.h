/* SPDX-License-Identifier: Apache-2.0 */
/* Text lists of the configuration as slices, which outlive the pipeline's stages; what is not owned is borrowed from it. */
#ifndef SPANDREL_TEXTS_H
#define SPANDREL_TEXTS_H

#include "config.h"

#define CAPTURE_MAX 64

struct texts {
	struct slice capture[CAPTURE_MAX]; /* lower-case copies, owned */
	size_t n_capture;
	struct slice plain[CAPTURE_MAX]; /* of these, what is shown whatever its name says */
	size_t n_plain;
	struct slice *keep_query, *resource; /* arrays owned, text borrowed */
};

/* 0, or -errno (a list that is too long is said). *t was zero; texts_fini() either way. */
int texts_init(struct texts *t, const struct config *c);
void texts_fini(struct texts *t);

#endif
