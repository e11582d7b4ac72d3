// SPDX-License-Identifier: Apache-2.0
#include "base/writer.h"

#include <errno.h>

void writer_begin(struct writer *w, struct buf *out)
{
	*w = (struct writer){ .out = out, .start = out->n };
	if (out->p) {
		w->at = out->p + out->n;
		w->end = out->p + out->cap;
	}
}

bool writer_grow(struct writer *w, size_t n)
{
	struct buf *b = w->out;
	char *p;

	if (w->error)
		return false;
	if (w->at)
		b->n = (size_t)(w->at - b->p);
	p = buf_room(b, n);
	if (!p) {
		w->error = n > b->max || b->n > b->max - n ? -EMSGSIZE : -ENOMEM;
		w->at = w->end = NULL;
		return false;
	}
	w->at = p;
	w->end = b->p + b->cap;
	return true;
}

int writer_end(struct writer *w)
{
	if (w->error) {
		w->out->n = w->start;
		w->out->failed = false;
		return w->error;
	}
	if (w->at)
		w->out->n = (size_t)(w->at - w->out->p);
	return 0;
}
