/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streaming JSON along a table of paths: what the table names is handed to a sink as it passes, all else is passed over. Any
 * number of values may follow each other (a watch has one a line). Costs the same memory for any input: nesting above
 * JSON_DEPTH is an error, strings are cut to JSON_STRING_MAX bytes (at a character's end) before they are kept anywhere.
 *
 * A rule leads from a state to the state of a member: key is its name, "[]" any element of an array, "*" any name. The
 * first rule that fits counts. State 0 is of no interest and all below it; a value at the top has JSON_ROOT.
 */
#ifndef SPANDREL_HOST_JSON_PATH_H
#define SPANDREL_HOST_JSON_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define JSON_DEPTH	64
#define JSON_STRING_MAX 4096 /* as written, with escapes */
#define JSON_ATOM_MAX	64   /* of a number, true, false, null */
#define JSON_ROOT	1

struct json_rule {
	uint8_t parent, state;
	const char *key;
};

struct json_rules {
	const struct json_rule *v;
	size_t n;
};

enum json_type { JSON_STRING, JSON_NUMBER, JSON_BOOL, JSON_NULL };

struct json_value {
	enum json_type type;
	struct slice text; /* of a string, decoded; of a number, as written; borrowed */
	bool truth;
};

/* Calls for states other than 0. key: the member's name, empty for an element; borrowed. */
struct json_sink {
	void (*open)(void *arg, uint8_t state, struct slice key); /* an object or an array begins */
	void (*close)(void *arg, uint8_t state);
	void (*value)(void *arg, uint8_t state, struct slice key, const struct json_value *v);
	void *arg;
};

struct json_path;

/* Two tables of rules, searched in that order; rules and sink are borrowed. NULL without memory. */
struct json_path *json_path_new(const struct json_rules rules[2], const struct json_sink *sink);
void json_path_free(struct json_path *p); /* NULL is fine */
/* 0, -EPROTO (no JSON), -E2BIG (nested or long beyond the limits), -ENOMEM; after a failure only free it. */
int json_path_feed(struct json_path *p, struct slice data);
/* No more comes. 0, also when nothing came at all; -EPROTO when a value is not complete. */
int json_path_end(struct json_path *p);
uint32_t json_path_depth(const struct json_path *p); /* 0: between values */

#endif
