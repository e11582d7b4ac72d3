/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internal to conn/: one connection while it is read. conn.c keeps the table and takes events, session.c joins TLS sessions with their sockets, flow.c parses, verdict.c tells the kernel, loss.c says what
 * may be believed after bytes were lost, idle.c what time alone brings.
 */
#ifndef SPANDREL_CONN_FLOW_H
#define SPANDREL_CONN_FLOW_H

#include "base/list.h"
#include "base/table.h"
#include "conn/conn.h"
#include "conn/pair.h"
#include "conn/stream.h"

#define FLOW_WAIT_NS (50 * 1000000ULL) /* a response waits so long for its request: a send is seen when it returns */
#define FLOW_SNIFF_MAX (16 * 1024)	/* bytes that may leave the protocol open */
#define FLOW_SEARCH_MAX (256 * 1024)	/* bytes without a plausible message before a connection is given up */
#define FLOW_GRANT (128 * 1024)		/* bytes granted beyond the turn's budget */
#define FLOW_RECENT 256			/* connections that ended lately: their late records are no surprise */

struct flow_message { /* the message in progress in one direction */
	uint64_t key;
	uint8_t type; /* enum message_type; 0: between messages */
	bool ending;  /* it ends where the present skip does */
};

struct flow_grant { /* what was written into the verdict slot, and into the frame slot */
	uint64_t skip_to, grant_to;
	uint64_t frame_at;
	uint32_t turn; /* bytes captured since the other direction moved */
};

struct flow { /* one direction */
	struct stream *stream;
	struct flow_message message;
	struct flow_grant grant;
	bool lost;	/* looking for the next message */
	bool joining;	/* ... for the first time */
	bool blocked;	/* a response without a request, since ... */
	bool orphan;	/* the session was told that the next response has no request */
	bool ended;
	uint64_t blocked_at;
	uint32_t searched; /* bytes passed over while lost */
};

/* What was learnt about a connection that bears on whom to believe. */
struct conn_doubt {
	int8_t requests;  /* enum ev_dir that requests flow in; -1 not known yet */
	bool lossy;	  /* bytes were lost, ever: who answers what is told by times */
	bool missed;	  /* responses were lost, and none was seen since */
	bool unpaired;	  /* the session may wait for answers to requests that `pair` does not have */
	bool pipelined;	  /* seen to send requests before answers came: after a loss nothing can be told */
	uint64_t asked;	  /* time of the newest request, */
	uint64_t orphan;  /* ... and of the newest response that was nobody's */
	uint64_t found;	  /* offset in the direction of requests where the last loss had ended */
	uint64_t lost_at; /* multiplexed: time of the last loss, after which the end of what was open may be missing, */
	uint64_t looked;  /* ... and when that was last looked at */
	int distrust;	  /* requests were lost: enum stat_id that the next one is dropped as unless it proves itself; 0 */
};

struct conn_user { /* who moves bytes */
	uint32_t pid;
	bool shared; /* more than one process did */
};

struct conn_tls { /* a session and the connection that carries it */
	uint64_t other;	  /* of a session its carrier, of a carrier its session; connection id, 0: not known */
	uint64_t since;	  /* not in a session: when TLS was seen here; in a session: when its carrier ended, 0: it has not */
	struct list link; /* table->sessions, or table->enciphered while nobody claims it */
	struct list late; /* table->late: its carrier has ended */
	uint8_t dirs;	  /* of the carrier's directions those that have ended */
	bool final, reset; /* ... how */
	uint8_t alpn_len;
	char alpn[EV_ALPN_MAX];
};

struct conn {
	struct conn_info info;
	struct conn_table *table;
	struct list lru;     /* in table->idle or busy, least recently used first */
	struct list unix_;   /* in table->unix_ */
	struct list waiting; /* in table->waiting: time alone may change something */
	struct flow flow[2]; /* by enum ev_dir */
	const struct proto_ops *proto; /* NULL: not known yet */
	void *session;
	struct pair pair;
	struct conn_doubt doubt;
	struct conn_user user;
	struct conn_tls tls;
	uint64_t last;	/* time of the last byte */
	uint64_t listed; /* `last` when it was put in its list */
	bool busy;	/* which of them */
	uint64_t sweep; /* the last one that listed it */
	const struct framing *framing; /* that the kernel was told of */
	bool off;	/* nothing more is read: no streams, no session */
};

struct conn_table {
	struct conn_config config;
	struct exchange_sink out;
	struct verdict_sink verdicts;
	struct table by_id, by_key; /* by_key: UNIX, by self_key */
	struct list idle, busy;	    /* without and with open requests */
	struct list unix_, waiting;
	struct list sessions, enciphered, late; /* the last two in the order of tls.since */
	uint64_t now; /* newest time of any event */
	size_t memory_used;
	uint64_t sweeps;
	uint64_t recent[FLOW_RECENT];
};

/* ---- flow.c ---- */
/* Parses what is at hand, this direction first. */
void flow_run(struct conn *c, enum ev_dir dir);
/* The direction has ended after `bytes`: completes what lasts until then. */
void flow_end(struct conn *c, enum ev_dir dir, uint64_t bytes, bool reset);
/* The kernel passed over bytes below `seen`. */
void flow_passed(struct conn *c, enum ev_dir dir, uint64_t seen, uint64_t time);
/* A head that began and will not end is a request that was seen: counted as `drop`. */
void flow_leftover(struct conn *c, int drop);
/* What is known of messages in progress goes to their exchanges. */
void flow_touch(struct conn *c);
/* The session need not follow what is open any more. */
void flow_forget(struct conn *c);
/* Closes what is open (without an answer: dropped as `drop`) and reads nothing more of this connection. */
void flow_off(struct conn *c, int drop);
/* The same where the protocol is not known (any more). */
void flow_opaque(struct conn *c, int drop);
/* Begins and gives up a session. 0 or -ENOMEM. */
int flow_adopt(struct conn *c, const struct proto_ops *proto);
void flow_disown(struct conn *c);

/* ---- verdict.c ---- */
/* Tells the kernel what need not be copied. */
void flow_verdict(struct conn *c);
/* ... nothing at all, from now on. */
void verdict_off(struct conn *c);

/* ---- detect.c: which protocol is it? ---- */
/* True if something was decided or passed over. */
bool detect_step(struct conn *c, enum ev_dir dir);
bool detect_enabled(const struct conn *c, const struct proto_ops *proto);
/* The connection goes on in `next`, and the request `key` that asked for it is answered in that. */
void detect_switch(struct conn *c, uint64_t key, const struct proto_ops *next);

/* ---- loss.c ---- */
/* Bytes of this direction are lost, or did not parse. begun: a message had begun in front of them; drop: enum stat_id. */
void loss_happened(struct conn *c, enum ev_dir dir, bool begun, int drop);
/* The direction, not found yet, has one more hole. */
void loss_again(struct conn *c, enum ev_dir dir);
/* Looks for the next message. True if bytes were passed over. */
bool loss_search(struct conn *c, enum ev_dir dir, struct slice in);
/* A response is next: tells the session whose answer it cannot be. */
void loss_response_next(struct conn *c, enum ev_dir dir);
/* A request begins at the front: false if it may not be believed (then it is counted, and dropped). */
bool loss_trusts(struct conn *c, enum ev_dir dir, const struct mark *first);
/* Requests that went out together are told apart by order alone. */
void loss_note_request(struct conn *c, enum ev_dir dir);
void loss_note_response(struct conn *c, const struct exchange *x, const struct mark *first);
/* Closes what was open when bytes were lost and has not moved for --request-timeout. */
void loss_expire(struct conn *c);
/* The connection has ended: closes what is open. Where its end may have been lost, nobody knows whether it came. */
void loss_close(struct conn *c, enum call_end why);

/* ---- idle.c ---- */
/* A response that waits for its request waits no longer: goes on without. */
void idle_unblock(struct conn *c, enum ev_dir dir);
void idle_tick(struct conn_table *t);
void idle_wake(struct conn *c);	 /* one that waits */
void idle_flush(struct conn *c); /* what waits will not come any more */
void idle_sweep(struct conn_table *t, const struct ev_live *ev);
void idle_exit(struct conn_table *t, uint32_t pid);
void idle_evict(struct conn_table *t); /* makes room for one */

/* ---- session.c ---- */
void session_event(struct conn_table *t, const struct ev_session *ev);
/* TLS was seen on a connection that nobody reads inside: reads nothing more of it, and counts it unless a session claims it. */
void session_enciphered(struct conn *c);
/* One or both directions of a carrier have ended; what its session has not read yet may still come. */
void session_carrier_ended(struct conn *carrier, uint8_t dirs, bool final, bool reset);
void session_tick(struct conn_table *t);
void session_exit(struct conn_table *t, uint32_t pid);
/* Is `proto` what was agreed on, as far as that is known? */
bool session_speaks(const struct conn *c, const struct proto_ops *proto);
void session_unlink(struct conn *c); /* before it is freed */

/* ---- conn.c ---- */
struct conn *conn_add(struct conn_table *t, const struct ev_open *ev); /* NULL, counted: no room */
void conn_directions_ended(struct conn *c);			       /* after one or both have */
void conn_settle(struct conn *c); /* after anything happened to it */
void conn_finish(struct conn *c, enum call_end why); /* closes its open requests and frees it */
void conn_forget(struct conn *c, int drop);	     /* drops them, tells the kernel, frees it */

#endif
