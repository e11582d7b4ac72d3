/* SPDX-License-Identifier: Apache-2.0 */
/* A container image's reference, taken apart: [HOST[:PORT]/]NAME[:TAG][@DIGEST]. */
#ifndef SPANDREL_HOST_IMAGE_H
#define SPANDREL_HOST_IMAGE_H

#include "base/slice.h"

struct image {
	struct slice name;    /* registry and all; empty: the reference is an id and names nothing */
	struct slice tag;     /* empty: none was said */
	struct slice digest;  /* sha256:…; likewise */
	struct slice version; /* TAG@DIGEST as far as they were said: what of the reference changes with the image */
};

void image_parse(struct slice reference, struct image *out);
/* Without the scheme that some runtimes put before an image's id (docker-pullable://). */
struct slice image_id(struct slice id);

#endif
