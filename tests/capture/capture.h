/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The capture test: a process performs an operation and writes down what it did; what the probe reports of that process must be
 * exactly this. Ends of connections are numbered in the order in which the probe first hears of them.
 */
#ifndef SPANDREL_CAPTURE_H
#define SPANDREL_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"

#define ENDS_MAX 8
#define SEGS_MAX 128

struct segment { /* adjacent ones of a kind are merged */
	uint64_t size;
	uint8_t hole; /* HOLE_NONE: captured */
};

struct expected_end {
	uint32_t salt[2]; /* of the byte pattern, by enum ev_dir */
	uint64_t start[2];
	int n[2];
	struct segment segs[2][SEGS_MAX];
	uint8_t family, role;
	bool mid;
	bool counted; /* its bytes have no sequence numbers of TCP */
	bool final, reset; /* an EV_END says so */
	bool recv_ended, send_ended;
	char path[108];
	int path_len; /* −1: not looked at */
};

struct expected { /* memory shared by who acts and who checks */
	int n_ends;
	struct expected_end ends[ENDS_MAX];
	char skip[96]; /* why the case cannot run here */
	char broken[160]; /* the case itself failed */
	int go, stage; /* see act_pause() */
	bool whole; /* the way in sees all that moves, whoever moves it: everything but socktp */
	int port; /* where the checker, which is the tracer, is to connect to */
};

struct end {
	int fd, id; /* id −1: not heard of yet */
	uint32_t salt[2];
	uint64_t off[2];
	bool mid, counted;
	uint8_t family, role;
	const char *path;
	int path_len;
};

struct capture_case {
	const char *name;
	void (*act)(void);
	/* the checker's part: called for each data record while the case runs */
	void (*on_data)(void *probe, const struct ev_data *d, struct expected *x);
	bool framed; /* its streams are of frames.h */
};

extern const struct capture_case cases_calls[], cases_sockets[], cases_odd[], cases_uring[], cases_layers[], cases_frames[];
extern struct expected *expected;

/* ---- actor.c: what cases are made of ---- */

enum { IPV4, IPV6, MAPPED, UNIX_PATH, UNIX_ABSTRACT, UNIX_PAIR, MULTIPATH };

/* Connected ends; TCP's client is heard of at once. */
void act_pair(struct end *client, struct end *server, int how);
void act_broken(const char *what) __attribute__((noreturn));
void act_skip(const char *why) __attribute__((noreturn));
#define MUST(cond) ((cond) ? (void)0 : act_broken(#cond))
/* What becomes of bytes that only some ways in can read: a hole of this kind, or nothing. */
static inline int act_blind(int hole)
{
	return expected->whole ? HOLE_NONE : hole;
}
/* The next n bytes of the direction's pattern. */
void act_fill(const struct end *e, int dir, void *p, size_t n);
/* Writes down that n bytes moved; they are checked when `p` (received) is given. */
void act_moved(struct end *e, int dir, size_t n, int hole);
void act_heard(struct end *e);
void act_check(const struct end *e, const void *p, size_t n);
/* By write and read. */
void act_send(struct end *e, size_t n);
void act_recv(struct end *e, size_t n);
/* All of it, whatever the pieces. */
void act_drain(struct end *e, size_t n);
void act_finish(struct end *e, bool final, bool reset);
/* From here on it is told of as another connection, joined in the middle. */
void act_again(struct end *e);
/* Waits until the checker has reached `stage`. */
void act_pause(int stage);

uint8_t pattern(uint32_t salt, uint64_t off);

#endif
