/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A protocol is a row of pure functions on bytes: no clock, no pid, no socket, no logging, no I/O.
 * conn/ feeds both directions of one connection to one session. A new protocol is one file and one row in proto.c.
 */
#ifndef SPANDREL_PROTO_H
#define SPANDREL_PROTO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "event.h"

#define PROTO_HEAD_MAX (64 * 1024) /* a longer head gives -EMSGSIZE */
#define PROTO_OPEN_MAX 1024	   /* requests of one connection that may be open at a time */
#define SKIP_TO_END UINT64_MAX	   /* the rest of the direction belongs to the message */

enum message_type { MSG_REQUEST = 1, MSG_RESPONSE = 2 };

/* Propagation fields of a message, in the order they came. trace/context.h gives them meaning. */
enum carrier_id { CARRIER_TRACEPARENT = 1, CARRIER_TRACESTATE, CARRIER_B3, CARRIER_B3_TRACEID, CARRIER_B3_SPANID,
		  CARRIER_B3_PARENT, CARRIER_B3_SAMPLED, CARRIER_B3_FLAGS };
#define CARRIER_MAX 40 /* tracestate may come in 32 lines; more: `overflow`, and the whole tracestate is void */

struct carrier_field {
	uint8_t id; /* enum carrier_id */
	struct slice value;
};

struct carrier {
	uint8_t n;
	bool overflow;
	struct carrier_field *fields;
};

/* The head of a message, as every stage after the parser needs it. Protocols embed it first in their own struct. */
struct message {
	uint8_t type;	 /* enum message_type */
	bool truncated;	 /* part of the head was not captured */
	uint64_t key;	 /* pairing: an answer has its request's key; unique among a connection's requests, 0 for an orphan */
	struct carrier carrier;
};

enum {
	OUT_HEAD = 1,	 /* `msg` is the head of a message that begins at the first consumed byte */
	OUT_END = 2,	 /* the message ends `skip` bytes after the consumed ones */
	OUT_OPAQUE = 4,	 /* after that the connection no longer speaks this protocol, in both directions */
	OUT_INTERIM = 8, /* with OUT_HEAD: 1xx; not the answer, only proof that it is on its way */
	OUT_ORPHAN = 16, /* with OUT_HEAD: a response to a request that was not seen */
	OUT_MORE = 32,	 /* `msg` adds to the head of the message: trailers, how it ended; see amend() */
	OUT_ABOVE = 64,	 /* with `msg`, a response: it answers and ends every open request whose key is above `key` */
	OUT_PROMISED = 128, /* with OUT_HEAD: a request that the answering side makes for the other (HTTP/2's push) */
	OUT_SWITCH = 256,   /* after that the connection speaks `next`, in both directions; see inherit() */
};

struct proto_out {
	uint32_t flags;
	uint8_t type;	/* enum message_type and ... */
	uint64_t key;	/* ... key of the message that `flags` speaks of, without OUT_HEAD too */
	uint64_t skip;	/* bytes after the consumed ones to pass over uncaptured; SKIP_TO_END */
	const struct message *msg; /* borrowed from the session until the next parse; slices may point into `in` */
	const struct proto_ops *next; /* with OUT_SWITCH */
};

enum sniff { SNIFF_NO, SNIFF_MORE, SNIFF_YES };

struct proto_config {
	const struct slice *capture; /* lower-case names of headers to keep; borrowed for the session's life */
	size_t n_capture;
};

struct call;	    /* proto/call.h */
struct description; /* proto/describe.h */

struct proto_ops {
	const char *name; /* the flag's word in --protocols */
	size_t session_size;
	uint16_t out_of_step, resynced; /* enum stat_id: what is counted when the bytes do not parse, and when they do again */

	/*
	 * Messages of one direction are mixed, told apart by their keys: any number (PROTO_OPEN_MAX) is in progress at a
	 * time, `type` and `key` of what parse() says name the one whose bytes were consumed (key 0: none). A response may
	 * be ended from the side of the requests (a client that cancels). What a loss voids is said by the session: a
	 * response whose head was not seen gets a head that says so, when it ends. resync() may return -EINPROGRESS.
	 */
	bool multiplexed;

	/* Does the beginning of a direction look like this protocol? `from` tells which side sent it. */
	enum sniff (*sniff)(struct slice head, enum ev_dir from);

	/*
	 * Does a request begin at the front of `in` which parse() cannot complete yet? What is left of it when its
	 * direction ends is a request that was seen. NULL: sniff() tells.
	 */
	bool (*begins)(const void *session, enum ev_dir from, struct slice in);

	/* A zeroed session of session_size bytes. 0 or -ENOMEM. */
	int (*init)(void *session, const struct proto_config *config);
	void (*fini)(void *session);

	/*
	 * Parses at the front of `in`, which are all bytes of direction `from` at hand (never empty). > 0: bytes consumed
	 * (a head is consumed whole or not at all), *out filled: flags may be 0, skip still counts. 0: need more bytes,
	 * *out untouched; calling again with the same and more bytes costs only the new ones. -EAGAIN: a response begins
	 * and no request is outstanding, see answers(). -EPROTO: out of step. -EMSGSIZE: head above PROTO_HEAD_MAX.
	 * After an error the direction stays where it is until resync().
	 */
	int64_t (*parse)(void *session, enum ev_dir from, struct slice in, struct proto_out *out);

	/*
	 * Which request the next response answers. The session pairs in the order it was fed; only the caller has times:
	 *  - after -EAGAIN it parses the other direction (a send is seen when it returns, so the response can be here
	 *    first) and, when it stops waiting, calls answers(0);
	 *  - a response whose first byte passed before the first byte of the oldest outstanding request is not its
	 *    answer (that request's predecessor was lost): answers(0). Where requests are received that is always so;
	 *    where they are sent, only after a loss (else it may be the race above);
	 *  - after a loss among responses the session trusts none of the outstanding requests (see resync); a caller who
	 *    can tell by times which one the next response answers says so with its key.
	 * key 0: a request that was not seen; parse() will say OUT_ORPHAN. Else that request; older ones are forgotten.
	 * Holds for the response that begins at the front of its direction, interim ones passed over. False if no such
	 * request is outstanding, or no response can begin there. NULL: there is no such doubt.
	 */
	bool (*answers)(void *session, uint64_t key);

	/* The direction has ended: completes a message that lasts until then. True if *out (OUT_END) was filled. */
	bool (*finish)(void *session, enum ev_dir from, struct proto_out *out);

	/*
	 * The direction lost bytes (at the front of `in`) or step. Offset in `in` of the next plausible message, or -EAGAIN:
	 * nothing in `in`, which the caller drops; it calls again with what comes next. In doubt a message is missed, none
	 * is invented. What the loss voids, from the first call on: lost among responses, the requests outstanding now will
	 * not be matched (unless answers() names one), and responses are orphans until the next request; lost among
	 * requests, those outstanding stay, and once they are answered responses are orphans until the next request.
	 * The caller closes exchanges that were open in a direction that lost responses. Where requests were pipelined
	 * nothing tells afterwards which answer is whose: the caller had better leave such a connection alone from then
	 * on. An orphan may end without OUT_END. `in` may be empty: only the loss is told. -EINPROGRESS: more bytes are
	 * needed to tell, the caller keeps these and calls again with them in front (never for PROTO_HEAD_MAX bytes).
	 */
	int64_t (*resync)(void *session, enum ev_dir from, struct slice in);

	/*
	 * n bytes at the front were not captured, nor any behind them that are at hand. True if the session can do without, where
	 * they are payload: *out as parse() fills it, `skip` at least n. NULL: it never can (what parse() skips is another matter).
	 */
	bool (*lacks)(void *session, enum ev_dir from, uint64_t n, struct proto_out *out);

	/*
	 * How the stream is cut into frames, for the kernel to pass over payload: NULL-terminated; NULL: it is not. framing(): which of
	 * them a connection wants now. ahead(): bytes from the front, behind what is skipped, to the next frame's header; UINT64_MAX: not known.
	 */
	const struct framing *const *framings;
	const struct framing *(*framing)(const void *session);
	uint64_t (*ahead)(const void *session, enum ev_dir from);

	/* Nobody waits for the end of this request any more. NULL: the session does not care. */
	void (*forget)(void *session, uint64_t key);

	/*
	 * This session follows on another protocol's (OUT_SWITCH): that one's request, kept, becomes one of this session,
	 * with the key that its answer will carry. NULL without memory.
	 */
	struct message *(*inherit)(void *session, const struct message *req, enum ev_dir from, struct arena *arena);

	/* Copies what fill() needs of a head. NULL without memory. */
	struct message *(*keep)(const struct message *msg, struct arena *arena);
	/* Adds `more` (OUT_MORE) to a kept head. Without memory it is left out, and the head says that it is truncated. */
	void (*amend)(struct message *kept, const struct message *more, struct arena *arena);

	/* May these two, each seen at one end of a connection, be the same request? As far as they tell. NULL: nothing tells. */
	bool (*same)(const struct call *a, const struct call *b);

	/* Of an RPC: its full method's name, which --exclude-method is matched against; else empty. NULL: never one. */
	struct slice (*method)(const struct call *call);

	/* Sets name, status and attributes; call->resp may be NULL (see call->end). */
	void (*fill)(struct description *d, const struct call *call);
};

/* NULL-terminated, in the order of sniffing. */
extern const struct proto_ops *const protocols[];

#define PROTOCOLS_MAX 32

const struct proto_ops *proto_find(struct slice name);
/* The rows that a comma list names ("all": every one), in the order of sniffing, NULL behind them. */
void proto_enabled(struct slice list, const struct proto_ops *to[PROTOCOLS_MAX]);

/* The framings of all protocols, in a fixed order: how many. */
size_t proto_framings(const struct framing *to[FRAMINGS_MAX]);

/* A TLS record or ClientHello at the front: readable only inside the TLS library. */
enum sniff proto_sniff_tls(struct slice head);

#endif
