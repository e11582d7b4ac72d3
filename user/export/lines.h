/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches as whole lines to a file, a pipe or a terminal. A line is never left half written with another one
 * after it: a regular file is cut back to the line's start, a pipe that is full keeps the rest for the next
 * turn (nothing blocks but regular files), a FIFO that lost its reader is opened anew. A regular file that
 * would pass its limit becomes PATH.1, that one PATH.2, … the one before LINES_KEPT is removed. Trouble and its
 * end are one message each.
 */
#ifndef SPANDREL_EXPORT_LINES_H
#define SPANDREL_EXPORT_LINES_H

#include "base/buf.h"
#include "export/export.h"

#define LINES_KEPT 5 /* files beside the one that is written */

struct lines_config {
	const char *path; /* NULL: standard output */
	const char *name; /* for messages */
	uint64_t limit;	  /* of the file, bytes; a batch that is larger alone passes it. 0: none */
	/* Appends the text of these spans, LF included. 0, -EMSGSIZE (then the batch is halved), -ENOMEM. */
	int (*render)(void *arg, struct span *const *spans, uint32_t n, struct buf *out);
	void *arg;
};

struct lines {
	struct lines_config c;
	struct outlet *o;
	int fd;
	bool regular;  /* may be cut back, ends with LF, is synced */
	bool half;     /* the last line is not whole and could not be cut: the next one begins with LF */
	bool failing;  /* said already */
	bool stuck;    /* the file could not be moved out of the way, said already */
	struct list waiting;	      /* struct export_batch */
	struct export_batch *current; /* what `text` holds, written up to `done` */
	struct buf text;
	size_t done;
};

/* 0 or -errno, said in one line. A FIFO without a reader is no error yet. */
int lines_open(struct lines *l, struct outlet *o, const struct lines_config *c);
void lines_send(struct lines *l, struct export_batch *b); /* takes */
void lines_work(struct lines *l);			  /* goes on where a full pipe stopped it */
void lines_reopen(struct lines *l);			  /* the path may be another file by now */
void lines_close(struct lines *l);

#endif
