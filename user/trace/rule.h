/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One --sample-rule: key=value pairs separated by commas, in any order, each key once. A rule matches a span when every
 * condition does; without conditions it matches all.
 *
 *  service       glob, service.name of the span's process
 *  route         glob, http.route, else url.path (a client's: the path of url.full); for RPC rpc.method, with or
 *                without a slash before it
 *  method        glob, http.request.method
 *  status        an HTTP status (404), a class of them (5xx), a gRPC status by name (NOT_FOUND) or number (5), or
 *                `error`: the span's status is ERROR
 *  min-duration  the span took at least so long
 *  ratio         0 to 1, what to keep of what matches; 1 unless given
 *  rate          N/s or N/m: at most so many local traces of what matches and the ratio would keep
 *
 * In a glob `*` is any run of bytes, '/' too, `?` any one. There is no quoting: a value has no comma.
 */
#ifndef SPANDREL_TRACE_RULE_H
#define SPANDREL_TRACE_RULE_H

#include "trace/rate.h"

#define RULE_TEXT_MAX 1024

struct span;

enum rule_status { RULE_ANY_STATUS, RULE_HTTP_STATUS, RULE_HTTP_CLASS, RULE_GRPC_STATUS, RULE_ERROR };

struct rule_match {
	struct slice service, route, method; /* p NULL: any */
	uint8_t status;			     /* enum rule_status */
	uint16_t code;			     /* 404; 5 for 5xx; 14 */
	uint64_t min_duration;		     /* ns; 0: any */
};

struct rule {
	char *text; /* as it was given; the slices point into it */
	struct rule_match match;
	double ratio;
	struct rate rate;
	uint64_t until; /* a temporary rule's end; 0: for good */
};

/* 0, -EINVAL with what was expected in `error` (after the rule itself, quoted), or -ENOMEM. */
int rule_parse(struct slice text, struct rule *out, char *error, size_t size);
void rule_fini(struct rule *r);

bool rule_matches(const struct rule_match *m, const struct span *s);
/* Does it depend on how a request ended? */
bool rule_on_outcome(const struct rule_match *m);
/* Every span that `later` matches is matched by `first`, as far as the two texts prove it. */
bool rule_covers(const struct rule_match *first, const struct rule_match *later);
bool rule_same_match(const struct rule_match *a, const struct rule_match *b); /* the same conditions */

#endif
