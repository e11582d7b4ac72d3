// SPDX-License-Identifier: Apache-2.0
#include "trace/context.h"

#include <errno.h>

#include "base/hex.h"

#define TRACEPARENT_LEN 55
#define FLAGS_KNOWN	0x03

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static bool ids_valid(const struct trace_context *t)
{
	return !all_zero(t->trace_id, sizeof(t->trace_id)) &&
	       !all_zero(t->span_id, sizeof(t->span_id));
}

int traceparent_parse(struct slice s, struct trace_context *out)
{
	struct trace_context t = {.valid = true};
	uint8_t version;

	s = slice_trim(s);
	if (s.n < TRACEPARENT_LEN || s.p[2] != '-' || s.p[35] != '-' || s.p[52] != '-')
		return -EINVAL;
	if (!hex_get(&version, s.p, 1) || !hex_get(t.trace_id, s.p + 3, 16) ||
	    !hex_get(t.span_id, s.p + 36, 8) || !hex_get(&t.flags, s.p + 53, 1))
		return -EINVAL;
	if (version == 0xff)
		return -EINVAL;
	if (s.n > TRACEPARENT_LEN && (!version || s.p[TRACEPARENT_LEN] != '-'))
		return -EINVAL;
	if (!ids_valid(&t))
		return -EINVAL;
	t.flags &= FLAGS_KNOWN;
	t.sampled = t.flags & 1 ? SAMPLED_YES : SAMPLED_NO;
	*out = t;
	return 0;
}

/* How often the field came, and its last value without white space around it. */
static unsigned find_field(const struct carrier *c, enum carrier_id id, struct slice *value)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++) {
		if (c->fields[i].id != id)
			continue;
		*value = slice_trim(c->fields[i].value);
		n++;
	}
	return n;
}

static struct slice find_tracestate(const struct carrier *c, struct arena *arena)
{
	struct slice lines[CARRIER_MAX], out = SLICE_NONE;
	size_t n = 0;

	if (c->overflow)
		return SLICE_NONE;
	for (unsigned i = 0; i < c->n && n < CARRIER_MAX; i++)
		if (c->fields[i].id == CARRIER_TRACESTATE)
			lines[n++] = c->fields[i].value;
	if (!n || tracestate_parse(lines, n, arena, &out))
		return SLICE_NONE;
	return out;
}

/* These three: 0 with *out set, -ENOENT when nothing of the kind came, -EINVAL. */

static int parse_w3c(const struct carrier *c, struct arena *arena, struct trace_context *out)
{
	struct slice value;
	unsigned n = find_field(c, CARRIER_TRACEPARENT, &value);

	if (!n)
		return -ENOENT;
	if (n > 1 || traceparent_parse(value, out))
		return -EINVAL;
	out->tracestate = find_tracestate(c, arena);
	return 0;
}

/* Trace ids of 16 digits are the lower half. */
static int parse_b3_ids(struct slice trace, struct slice span, struct trace_context *out)
{
	struct trace_context t = {.valid = true};

	if ((trace.n != 16 && trace.n != 32) || span.n != 16)
		return -EINVAL;
	if (!hex_get(t.trace_id + 16 - trace.n / 2, trace.p, trace.n / 2) ||
	    !hex_get(t.span_id, span.p, 8))
		return -EINVAL;
	if (!ids_valid(&t))
		return -EINVAL;
	*out = t;
	return 0;
}

static void set_sampled(struct trace_context *t, enum sampled sampled)
{
	t->sampled = sampled;
	t->flags = sampled == SAMPLED_YES;
}

static int parse_b3_state(struct slice s, enum sampled *out)
{
	if (s.n != 1 || (*s.p != '0' && *s.p != '1' && *s.p != 'd'))
		return -EINVAL;
	*out = *s.p == '0' ? SAMPLED_NO : SAMPLED_YES;
	return 0;
}

static bool is_span_id(struct slice s)
{
	uint8_t id[8];

	return s.n == 16 && hex_get(id, s.p, 8);
}

static int parse_b3_single(const struct carrier *c, struct trace_context *out)
{
	struct slice rest, part[4];
	enum sampled sampled = SAMPLED_UNKNOWN;
	struct trace_context t = {0};
	unsigned n = find_field(c, CARRIER_B3, &rest), parts = 0;

	if (!n)
		return -ENOENT;
	while (n == 1 && parts < 4 && slice_split(&rest, '-', &part[parts]))
		parts++;
	if (!parts || rest.p)
		return -EINVAL;
	if (parts != 2 && parse_b3_state(part[parts == 1 ? 0 : 2], &sampled))
		return -EINVAL;
	if (parts > 1 && parse_b3_ids(part[0], part[1], &t))
		return -EINVAL;
	if (parts == 4 && !is_span_id(part[3]))
		return -EINVAL;
	set_sampled(&t, sampled);
	*out = t;
	return 0;
}

/* Debug implies the decision; a value that is not known decides nothing. */
static enum sampled b3_decision(struct slice sampled, struct slice flags)
{
	if (slice_eq(flags, SLICE("1")) || slice_eq(sampled, SLICE("1")) ||
	    slice_eq(sampled, SLICE("true")))
		return SAMPLED_YES;
	if (slice_eq(sampled, SLICE("0")) || slice_eq(sampled, SLICE("false")))
		return SAMPLED_NO;
	return SAMPLED_UNKNOWN;
}

static int parse_b3_multi(const struct carrier *c, struct trace_context *out)
{
	struct slice trace = SLICE_NONE, span = SLICE_NONE, sampled = SLICE_NONE,
		     flags = SLICE_NONE;
	unsigned n_trace = find_field(c, CARRIER_B3_TRACEID, &trace),
		 n_span = find_field(c, CARRIER_B3_SPANID, &span);
	unsigned n_sampled = find_field(c, CARRIER_B3_SAMPLED, &sampled),
		 n_flags = find_field(c, CARRIER_B3_FLAGS, &flags);
	struct trace_context t = {0};
	enum sampled decision = b3_decision(sampled, flags);

	if (!n_trace && !n_span && !n_sampled && !n_flags)
		return -ENOENT;
	if (n_trace > 1 || n_span > 1 || n_sampled > 1 || n_flags > 1)
		return -EINVAL;
	if (n_trace + n_span ? parse_b3_ids(trace, span, &t) : decision == SAMPLED_UNKNOWN)
		return -EINVAL;
	set_sampled(&t, decision);
	*out = t;
	return 0;
}

bool context_parse(const struct carrier *c, struct arena *arena, struct trace_context *out)
{
	int w3c, single, multi;

	*out = (struct trace_context){0};
	if (!c->n)
		return true;
	w3c = parse_w3c(c, arena, out);
	if (!w3c)
		return true;
	single = parse_b3_single(c, out);
	if (!single)
		return true;
	multi = parse_b3_multi(c, out);
	return !multi || (w3c == -ENOENT && single == -ENOENT && multi == -ENOENT);
}

bool context_equal(const struct trace_context *a, const struct trace_context *b)
{
	return a->valid && b->valid && !memcmp(a->trace_id, b->trace_id, sizeof(a->trace_id)) &&
	       !memcmp(a->span_id, b->span_id, sizeof(a->span_id));
}
