/* SPDX-License-Identifier: Apache-2.0 */
/* A request and its answer as the protocol layer sees them: no clock, no process. What proto_ops.fill describes. */
#ifndef SPANDREL_PROTO_CALL_H
#define SPANDREL_PROTO_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"
#include "proto/proto.h"

struct endpoint {
	uint8_t addr[16]; /* IPv4 mapped */
	uint16_t port;
};

/* What is known of a connection; immutable once made, copied into each call. */
struct conn_info {
	uint64_t id;
	uint64_t self_key, peer_key; /* UNIX */
	uint32_t netns;
	uint8_t family; /* enum ev_family; 0: not known, nor the addresses (a TLS session whose socket is not) */
	uint8_t role;	/* enum ev_role */
	bool mid;	/* joined in mid-connection */
	bool tls;	/* what was inside TLS; addresses are those of the socket below */
	struct endpoint local, remote;
	uint8_t path_len; /* UNIX; abstract names begin with NUL */
	char path[EV_PATH_MAX];
};

enum call_end {
	CALL_OPEN,
	CALL_ANSWERED,	/* the response is whole */
	CALL_CLOSED,	/* the connection was closed before that */
	CALL_RESET,	/* ... or reset */
	CALL_TIMEOUT,	/* --request-timeout: truncated, no error */
	CALL_CUT,	/* we lost sight of the rest (hole, out of step): truncated, no error */
};

struct call {
	const struct proto_ops *proto;
	const struct message *req, *resp; /* kept heads; resp NULL until seen */
	struct conn_info conn;
	bool server;	/* the request was received here */
	bool truncated; /* part of what the span describes was not captured */
	uint8_t end;	/* enum call_end */
	uint64_t took;	/* ns from the first to the last byte, known when the call is described; 0: not yet */
};

/* False on UNIX sockets, and where the socket is not known. */
static inline bool call_has_address(const struct call *call)
{
	return call->conn.family == FAM_INET || call->conn.family == FAM_INET6;
}

/* One of many requests that share the connection at a time. */
static inline bool call_multiplexed(const struct call *call)
{
	return call->proto && call->proto->multiplexed;
}

#endif
