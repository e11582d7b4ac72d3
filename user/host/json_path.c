// SPDX-License-Identifier: Apache-2.0
/*
 * The parser is yajl. It keeps a token that is not complete, however long, so what it is given is cut first: all passes but the
 * ends of long strings.
 */
#include "host/json_path.h"

#include <errno.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

#include "base/scope.h"

#define KEY_MAX 512 /* longer names are of no interest */

/* Where in the text we are, as far as it takes to know how long a string is. */
struct clip {
	bool string, dropping;
	uint8_t escape; /* 1: behind a backslash; 2 … 5: so many digits of \u come, less one */
	uint32_t length; /* of the string or of the run of other characters */
};

struct level {
	uint8_t state;
	bool array;
};

struct json_path {
	struct json_rules rules[2];
	struct json_sink sink;
	yajl_handle yajl;
	struct clip clip;
	uint32_t depth;
	struct level levels[JSON_DEPTH];
	char key[KEY_MAX];
	size_t key_length;
	bool any;     /* something but white space has come */
	uint8_t next; /* state of the value behind the key */
	int error;
};

/* A member named "[]" is no element. */
static bool fits(const struct json_rule *r, bool element, struct slice key)
{
	struct slice name = slice_str(r->key);

	if (element || slice_eq(name, SLICE("[]")))
		return element && slice_eq(name, SLICE("[]"));
	return slice_eq(name, SLICE("*")) || slice_eq(name, key);
}

static uint8_t find_rule(const struct json_path *p, bool element, struct slice key)
{
	uint8_t parent = p->levels[p->depth - 1].state;

	for (int t = 0; t < 2 && parent; t++) {
		for (size_t i = 0; i < p->rules[t].n; i++) {
			const struct json_rule *r = &p->rules[t].v[i];

			if (r->parent == parent && fits(r, element, key))
				return r->state;
		}
	}
	return 0;
}

/* Of the value that comes now. */
static uint8_t state_of(struct json_path *p, struct slice *key)
{
	*key = SLICE("");
	if (!p->depth)
		return JSON_ROOT;
	if (p->levels[p->depth - 1].array)
		return find_rule(p, true, *key);
	*key = slice_of(p->key, p->key_length);
	return p->next;
}

static int on_value(struct json_path *p, const struct json_value *v)
{
	struct slice key;
	uint8_t state = state_of(p, &key);

	if (state)
		p->sink.value(p->sink.arg, state, key, v);
	return 1;
}

static int on_null(void *arg)
{
	return on_value(arg, &(struct json_value){ .type = JSON_NULL });
}

static int on_bool(void *arg, int truth)
{
	return on_value(arg, &(struct json_value){ .type = JSON_BOOL, .truth = truth });
}

static int on_number(void *arg, const char *text, size_t n)
{
	return on_value(arg, &(struct json_value){ .type = JSON_NUMBER, .text = slice_of(text, n) });
}

static int on_string(void *arg, const unsigned char *text, size_t n)
{
	return on_value(arg, &(struct json_value){ .type = JSON_STRING, .text = slice_of((const char *)text, n) });
}

static int on_open(struct json_path *p, bool array)
{
	struct slice key;
	uint8_t state = state_of(p, &key);

	if (p->depth == JSON_DEPTH) {
		p->error = -E2BIG;
		return 0;
	}
	p->levels[p->depth++] = (struct level){ .state = state, .array = array };
	if (state)
		p->sink.open(p->sink.arg, state, key);
	return 1;
}

static int on_close(struct json_path *p)
{
	uint8_t state = p->levels[--p->depth].state;

	if (state)
		p->sink.close(p->sink.arg, state);
	return 1;
}

static int on_map(void *arg)
{
	return on_open(arg, false);
}

static int on_array(void *arg)
{
	return on_open(arg, true);
}

static int on_end(void *arg)
{
	return on_close(arg);
}

static int on_key(void *arg, const unsigned char *text, size_t n)
{
	struct json_path *p = arg;

	p->key_length = n <= KEY_MAX ? n : 0;
	memcpy(p->key, text, p->key_length);
	p->next = n <= KEY_MAX ? find_rule(p, false, slice_of(p->key, n)) : 0;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end,
	.yajl_start_array = on_array,
	.yajl_end_array = on_end,
};

struct json_path *json_path_new(const struct json_rules rules[2], const struct json_sink *sink)
{
	struct json_path *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->rules[0] = rules[0];
	p->rules[1] = rules[1];
	p->sink = *sink;
	p->yajl = yajl_alloc(&callbacks, NULL, p);
	if (!p->yajl || !yajl_config(p->yajl, yajl_allow_multiple_values, 1)) {
		json_path_free(p);
		return NULL;
	}
	return p;
}

void json_path_free(struct json_path *p)
{
	if (!p)
		return;
	if (p->yajl)
		yajl_free(p->yajl);
	free(p);
}

static int parse(struct json_path *p, const char *from, const char *to)
{
	yajl_status s = from < to ? yajl_parse(p->yajl, (const unsigned char *)from, (size_t)(to - from)) :
				    yajl_status_ok;

	if (s == yajl_status_ok)
		return 0;
	return p->error ? p->error : -EPROTO;
}

static bool inside_character(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* One byte of a string, its quotes left out. Is it beyond what is kept? */
static bool clip_string(struct clip *c, unsigned char byte)
{
	bool whole = !c->escape && !inside_character(byte);

	c->dropping |= whole && c->length >= JSON_STRING_MAX;
	c->length++;
	if (c->escape == 1)
		c->escape = byte == 'u' ? 5 : 0;
	else if (c->escape)
		c->escape = c->escape == 2 ? 0 : c->escape - 1;
	else if (byte == '\\')
		c->escape = 1;
	return c->dropping;
}

/* One byte outside strings. False: an endless number or word. */
static bool clip_other(struct clip *c, unsigned char byte)
{
	bool part = (byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'z') ||
		    byte == '-' || byte == '+' || byte == '.';

	c->length = part ? c->length + 1 : 0;
	return c->length <= JSON_ATOM_MAX;
}

int json_path_feed(struct json_path *p, struct slice data)
{
	const char *end = data.p + data.n, *from = data.p;
	struct clip *c = &p->clip;

	for (const char *at = data.p; at < end; at++) {
		unsigned char byte = (unsigned char)*at;
		bool was = c->dropping;
		int r = 0;

		p->any |= byte > ' ';
		if (byte == '"' && !c->escape) {
			c->string = !c->string;
			c->length = 0;
			c->dropping = false;
			if (was)
				from = at;
		} else if (!c->string) {
			r = clip_other(c, byte) ? 0 : -E2BIG;
		} else if (clip_string(c, byte) && !was) {
			r = parse(p, from, at);
		}
		if (r)
			return r;
	}
	return c->dropping ? 0 : parse(p, from, end);
}

int json_path_end(struct json_path *p)
{
	if (!p->any)
		return 0;
	return !p->depth && !p->clip.string && yajl_complete_parse(p->yajl) == yajl_status_ok ? 0 : -EPROTO;
}

uint32_t json_path_depth(const struct json_path *p)
{
	return p->depth;
}
