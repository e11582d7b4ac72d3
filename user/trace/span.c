// SPDX-License-Identifier: Apache-2.0
#include "trace/span.h"

#include "base/scope.h"
#include "base/stats.h"
#include "proto/redact.h"
#include "proto/semconv.h"
#include "trace/cause.h"
#include "trace/sample.h"

#define FLAG_SAMPLED	0x01
#define FLAG_RANDOM	0x02
#define FLAG_HAS_REMOTE 0x100 /* whether the parent is remote is known */
#define FLAG_REMOTE	0x200

/* The random bit is the sender's when the trace id is. */
static uint32_t flags_of(const struct placement *p)
{
	uint32_t random =
	    p->origin && p->origin->valid ? p->origin->flags & FLAG_RANDOM : FLAG_RANDOM;

	return FLAG_SAMPLED | random | FLAG_HAS_REMOTE | (p->parent_remote ? FLAG_REMOTE : 0);
}

static uint64_t last_byte(const struct exchange *x)
{
	uint64_t t = MAX(x->req_first.time, x->req_head.time);

	t = MAX(t, x->req_last.time);
	t = MAX(t, x->resp_first.time);
	return MAX(t, x->resp_last.time);
}

static uint64_t end_of(const struct exchange *x)
{
	switch ((enum call_end)x->call.end) {
	case CALL_ANSWERED:
		return x->resp_last.time;
	case CALL_CLOSED:
	case CALL_RESET:
		return x->ended;
	default: /* we stopped looking: what was seen is all that is known */
		return last_byte(x);
	}
}

static bool is_truncated(const struct call *call)
{
	return call->truncated || call->end == CALL_TIMEOUT || call->end == CALL_CUT ||
	       call->req->truncated || (call->resp && call->resp->truncated);
}

static void set_times(struct span *s, const struct placement *p, int64_t clock_offset)
{
	s->start = p->start + (uint64_t)clock_offset;
	s->end = MAX(end_of(s->exchange), p->start) + (uint64_t)clock_offset;
}

/* No probability is known, or the parent's was found inconsistent: no th. */
void span_keep(struct span *s, const struct sample_verdict *v)
{
	char th[THRESHOLD_TEXT] = "";

	if (v->has_th)
		threshold_text(v->threshold, th);
	s->trace_state = tracestate_with_th(s->trace_state, slice_str(th), &s->exchange->arena);
	semconv_apply(&s->d, s->kind == SPAN_SERVER || s->kind == SPAN_CONSUMER);
	redact_description(&s->d);
}

/* What every protocol shares. */
static void describe_shared(struct span *s, const struct placement *p)
{
	const struct call *call = &s->exchange->call;
	const char *link = link_name(p->link);

	if (link)
		describe_str(&s->d, "spandrel.link", slice_str(link));
	if (is_truncated(call))
		describe_bool(&s->d, "spandrel.truncated", true);
}

struct span *span_build(struct exchange *x, const struct placement *p, int64_t clock_offset,
			const struct describe_config *config)
{
	struct span *s = arena_zalloc(&x->arena, sizeof(*s));

	if (!s || describe_init(&s->d, &x->arena, config)) {
		stat_inc(drop_memory);
		exchange_free(x);
		return NULL;
	}
	list_init(&s->link);
	s->exchange = x;
	s->resource = x->resource;
	s->drop = -1;
	memcpy(s->trace_id, p->trace_id, sizeof(s->trace_id));
	memcpy(s->span_id, p->span_id, sizeof(s->span_id));
	memcpy(s->parent_id, p->parent_id, sizeof(s->parent_id));
	s->flags = flags_of(p);
	s->kind = x->call.server ? SPAN_SERVER : SPAN_CLIENT;
	s->origin = p->origin ? p->origin->sampled : SAMPLED_UNKNOWN;
	s->trace_state = p->origin ? p->origin->tracestate : SLICE_NONE;
	set_times(s, p, clock_offset);
	x->call.took = s->end - s->start;
	x->call.proto->fill(&s->d, &x->call);
	describe_shared(s, p);
	return s;
}

void span_name_peer(struct span *s, struct slice name, struct slice space)
{
	struct arena *arena = &s->exchange->arena;
	struct slice copies[] = { arena_copy(arena, name), arena_copy(arena, space) };

	if (s->kind != SPAN_CLIENT || !copies[0].n)
		return;
	describe_str(&s->d, "service.peer.name", copies[0]);
	if (copies[1].n)
		describe_str(&s->d, "service.peer.namespace", copies[1]);
}

void span_free(struct span *s)
{
	if (s)
		exchange_free(s->exchange);
}
