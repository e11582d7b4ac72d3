/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts in one flat run of bytes: what /proc said when it was read, what a recording keeps
 * (EV_PROC, EV_HOST) and what a resource is made of are the same bytes, so live and replayed
 * resources are equal. Layout: struct facts_head, then items of { u8 type, u8 key length, u16 value
 * length, key, value }, little-endian, without padding. A later item of the same key wins, and so
 * does one of a higher layer, whichever facts of the process or its pod it stands in.
 */
#ifndef SPANDREL_HOST_FACTS_H
#define SPANDREL_HOST_FACTS_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "event.h"

/* Whose word it is (specs.md §6.1), the strongest last. */
enum facts_layer {
	FACTS_FOUND,	/* seen of the program */
	FACTS_POD,	/* what its pod makes of it: workload names, labels, then annotations */
	FACTS_DECLARED, /* OTEL_ variables of its environment */
	FACTS_CONTEXT,	/* its SDK's process context */
	FACTS_KNOWN,	/* k8s.*, container.*: nobody knows better */
	FACTS_LAYERS
};

#define FACTS_VERSION 1
#define FACTS_MAX     (32 * 1024)

struct facts_head {
	uint32_t version;
	uint32_t reserved;
	uint64_t start; /* of the process, clock ticks after boot; 0: not known */
	uint64_t exec;	/* time of the EV_EXEC they answer, 0: none */
	uint64_t read;	/* boot time when the last of them had been read; 0: they come from a record */
};

void facts_begin(struct buf *b, uint64_t start, uint64_t exec);
void facts_end(struct buf *b, uint64_t read);
void facts_answer(struct buf *b, uint64_t exec); /* they answer this EV_EXEC after all */
/* Values are cut at TEXT_MAX bytes; an item that does not fit is left out. Both are counted (resource_values_cut). */
void facts_text(struct buf *b, struct slice key, struct slice value);
void facts_number(struct buf *b, struct slice key, int64_t value);
/* A list of texts with just this one in it. */
void facts_list(struct buf *b, struct slice key, struct slice value);
/* What follows is of this layer. Facts begin with FACTS_FOUND. */
void facts_layer(struct buf *b, enum facts_layer layer);
/*
 * What its environment, its SDK or its pod says of a program. Left out: placeholders that nobody filled in
 * ("$("), an empty service.name, what is known better (process.*, telemetry.sdk.*), and what would move it to another layer.
 */
void facts_declare(struct buf *b, struct slice key, struct slice value);
bool facts_declarable(struct slice key);

/* Any bytes are safe. False: none of ours. */
bool facts_open(struct slice data, struct facts_head *head, struct slice *items);
/*
 * The next item, borrowed from the data (bytes as they are: not cleaned); of a list, `s` is its one text.
 * *layer begins as FACTS_FOUND. False at the end or at the first that is damaged.
 */
bool facts_next(struct slice *items, unsigned *layer, struct attr *out);
/* The text of the last item of this key in one layer; empty when there is none. */
struct slice facts_get(struct slice data, enum facts_layer layer, struct slice key);

/*
 * Reads a living process. exec: the record that says it began this program, or NULL; facts of
 * another program or of another process with the same id are refused with -ESTALE. 0 or -errno; *b
 * is reset first.
 */
int facts_read(struct buf *b, const char *root, uint32_t pid, const struct ev_exec *exec);
/* From the record alone, for a process that is gone. */
void facts_from_exec(struct buf *b, const struct ev_exec *exec);
/* Of the host: host.name (left out where only the name of our own container can be had), host.id, host.arch, os.type. */
void facts_read_host(struct buf *b, const char *root);
/* Is the name that uname() tells the host's? That of a container is its own: in a pod, the pod's. */
bool facts_named_as_host(const char *root);

#endif
