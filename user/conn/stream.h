/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of a connection: orders chunks by byte offset, not by time, and remembers when and in which context
 * bytes passed. Bytes that were consumed or skipped are gone. The chunk being fed is borrowed and parsed in place;
 * stream_settle() copies only what is left of it.
 *
 * A use: stream_feed(); while ((in = stream_peek()).n) { parse; stream_consume() / stream_skip(); } stream_settle().
 */
#ifndef SPANDREL_CONN_STREAM_H
#define SPANDREL_CONN_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "conn/exchange.h"

#define STREAM_BUFFER_MAX (80 * 1024) /* bytes kept that nobody could consume yet */
#define STREAM_MARKS 64		      /* operations remembered behind the front; older neighbours are merged */
#define STREAM_PENDING 32	      /* chunks beyond a missing one, before it is given up */
#define STREAM_WAIT_NS (200 * 1000000ULL) /* … or this long */

struct chunk {
	uint64_t off;
	uint64_t size; /* true length */
	struct slice data; /* captured front, ≤ size; the rest is a hole */
	uint32_t seq;
	bool has_seq;
	bool passed; /* the bytes right before it were passed over by the same operation, and are not reported */
	struct mark mark;
};

struct stream;

struct stream *stream_new(uint64_t start, size_t *memory_used, size_t memory_limit);
void stream_free(struct stream *s); /* NULL is fine */

/* Borrows chunk->data until stream_settle(). 0; -ENOMEM: the chunk became a hole. Bytes before the front are ignored. */
int stream_feed(struct stream *s, const struct chunk *c);
void stream_settle(struct stream *s);
/* Time passes: may give up waiting for a missing chunk. */
void stream_tick(struct stream *s, uint64_t now);

uint64_t stream_front(const struct stream *s); /* offset of the next byte to consume */
struct slice stream_peek(struct stream *s);    /* contiguous bytes at the front; empty in a skip or before a hole */
void stream_consume(struct stream *s, size_t n);
/* Passes over n bytes from the front, captured or not (SKIP_TO_END: all that come). */
void stream_skip(struct stream *s, uint64_t n);
bool stream_skipping(const struct stream *s);  /* a skip is not satisfied yet */
uint64_t stream_skip_to(const struct stream *s); /* where the present or last skip ends */
/* What stream_peek() gives (maybe nothing) ends at lost bytes: their number, else 0. */
uint64_t stream_hole(const struct stream *s);
/* Moves the front behind that hole: the bytes before it are gone as well. */
void stream_pass_hole(struct stream *s);
/* Chunks wait for a missing one that may still come. stream_tick(s, UINT64_MAX) ends that. */
bool stream_waiting(const struct stream *s);
/* Every byte from the front to stream_seen() is here. */
bool stream_whole(const struct stream *s);
/* Offset above every byte that passed, in order or not. */
uint64_t stream_seen(const struct stream *s);

/*
 * When the byte at `off` passed; answers for the last consumed byte up to the newest. .time 0 if unknown. Where operations
 * were merged, stream_mark() is never too late (for first bytes) and stream_mark_end() never too early (for last ones).
 */
struct mark stream_mark(const struct stream *s, uint64_t off);
struct mark stream_mark_end(const struct stream *s, uint64_t off);
/* TCP sequence number of the byte at `off`, under the same conditions. False if unknown. */
bool stream_seq(const struct stream *s, uint64_t off, uint32_t *seq);
/* The mark of the newest byte that passed. */
struct mark stream_last(const struct stream *s);

#endif
