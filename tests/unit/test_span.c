// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include "base/scope.h"
#include "base/stats.h"
#include "trace/cause.h"
#include "trace/sample.h"
#include "trace/span.h"

static void fill(struct description *d, const struct call *call)
{
	describe_name(d, SLICE("GET"));
	describe_int(d, "seen", call->resp != NULL);
}

static const struct proto_ops proto = { .name = "fake", .fill = fill };
static const struct describe_config config;
static struct arena_pool pool;

static struct mark at(uint64_t t)
{
	return (struct mark){ .time = t, .ctx = 1, .pid = 1, .tid = 1 };
}

/* Request 100–110, response 120–200. */
static struct exchange *make(bool server, enum call_end how)
{
	struct conn_info conn = { .id = 1, .family = FAM_INET };
	struct exchange *x = exchange_new(&pool, &conn, &proto);

	x->call.req = arena_zalloc(&x->arena, sizeof(struct message));
	x->call.resp = arena_zalloc(&x->arena, sizeof(struct message));
	x->call.server = server;
	x->call.end = (uint8_t)how;
	x->req_first = x->req_head = at(100);
	x->req_last = at(110);
	x->resp_first = at(120);
	x->resp_last = at(200);
	return x;
}

static struct placement placement(void)
{
	struct placement p = { .start = 100 };

	memset(p.trace_id, 1, sizeof(p.trace_id));
	memset(p.span_id, 2, sizeof(p.span_id));
	return p;
}

static const struct sample_verdict kept = { .keep = true };

static struct span *build(struct exchange *x, const struct placement *p, const struct sample_verdict *v)
{
	struct span *s = span_build(x, p, 1000, &config);

	if (s)
		span_keep(s, v);
	return s;
}

static void test_span__root_of_ours(void)
{
	struct placement p = placement();
	struct sample_verdict v = { .keep = true, .has_th = true, .threshold = 1ULL << 55 };
	struct span *s = build(make(true, CALL_ANSWERED), &p, &v);

	REQUIRE(s);
	CHECK(!memcmp(s->trace_id, p.trace_id, 16) && !memcmp(s->span_id, p.span_id, 8) && !memcmp(s->parent_id, p.parent_id, 8));
	CHECK_INT(s->flags, 0x103); /* sampled, random, known not to be remote */
	CHECK_INT(s->kind, SPAN_SERVER);
	CHECK_SLICE(s->trace_state, "ot=th:8");
	CHECK_INT(s->start, 1100);
	CHECK_INT(s->end, 1200);
	CHECK_SLICE(s->d.name, "GET");
	CHECK(describe_find(&s->d, "seen") && !describe_find(&s->d, "spandrel.link") && !describe_find(&s->d, "spandrel.truncated"));
	CHECK_INT(s->drop, -1);
	span_free(s);
	CHECK_INT(pool.used, 0);
}

static void test_span__child_of_a_remote_parent(void)
{
	struct trace_context origin = { .valid = true, .flags = 1, .sampled = SAMPLED_YES, .tracestate = SLICE("a=1,ot=th:c;rv:00000000000000") };
	struct placement p = placement();
	struct span *s;

	p.parent_remote = true;
	p.link = LINK_HEADER;
	p.origin = &origin;
	memset(p.parent_id, 3, sizeof(p.parent_id));
	s = build(make(false, CALL_ANSWERED), &p, &kept);
	REQUIRE(s);
	CHECK_INT(s->flags, 0x301); /* the sender did not say that its id is random */
	CHECK_INT(s->kind, SPAN_CLIENT);
	CHECK(s->parent_id[0] == 3);
	CHECK_SLICE(s->trace_state, "ot=rv:00000000000000,a=1"); /* an inconsistent th is taken out */
	CHECK_SLICE(describe_find(&s->d, "spandrel.link")->s, "header");
	span_free(s);
}

static void test_span__flags_of_continued_traces(void)
{
	struct trace_context origin = { .valid = true, .flags = 3, .sampled = SAMPLED_YES };
	struct placement p = placement();
	struct span *s;

	p.origin = &origin;
	p.link = LINK_THREAD;
	s = build(make(false, CALL_ANSWERED), &p, &kept);
	CHECK_INT(s->flags, 0x103);
	CHECK_SLICE(describe_find(&s->d, "spandrel.link")->s, "thread");
	span_free(s);
	origin = (struct trace_context){ .sampled = SAMPLED_YES, .flags = 1 }; /* `b3: 1`: the ids are ours */
	p.link = LINK_CONNECTION;
	s = build(make(true, CALL_ANSWERED), &p, &kept);
	CHECK_INT(s->flags, 0x103);
	CHECK_SLICE(describe_find(&s->d, "spandrel.link")->s, "connection");
	span_free(s);
}

static void test_span__end_by_how_it_ended(void)
{
	static const struct {
		enum call_end how;
		uint64_t end;
		bool truncated;
	} cases[] = { { CALL_ANSWERED, 200, false }, { CALL_CLOSED, 500, false }, { CALL_RESET, 500, false },
		      { CALL_TIMEOUT, 200, true }, { CALL_CUT, 200, true } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct exchange *x = make(true, cases[i].how);
		struct placement p = placement();
		struct span *s;

		x->ended = 500;
		s = build(x, &p, &kept);
		CHECK_INT(s->end, 1000 + cases[i].end);
		CHECK((describe_find(&s->d, "spandrel.truncated") != NULL) == cases[i].truncated);
		span_free(s);
	}
}

static void test_span__never_ends_before_it_begins(void)
{
	struct exchange *x = make(true, CALL_TIMEOUT);
	struct placement p = placement();
	struct span *s;

	x->call.resp = NULL;
	x->req_last = x->resp_first = x->resp_last = at(0);
	s = build(x, &p, &kept);
	CHECK(s->start == 1100 && s->end == 1100);
	span_free(s);
	x = make(true, CALL_CLOSED);
	x->ended = 50;
	s = build(x, &p, &kept);
	CHECK(s->start == 1100 && s->end == 1100);
	span_free(s);
}

static void test_span__truncated_heads_are_said(void)
{
	struct placement p = placement();

	for (int how = 0; how < 3; how++) {
		struct exchange *x = make(true, CALL_ANSWERED);
		struct span *s;

		if (how == 0)
			x->call.truncated = true;
		else
			((struct message *)(how == 1 ? x->call.req : x->call.resp))->truncated = true;
		s = build(x, &p, &kept);
		CHECK(describe_find(&s->d, "spandrel.truncated") && describe_find(&s->d, "spandrel.truncated")->b);
		span_free(s);
	}
}

static void test_span__without_memory_is_a_counted_drop(void)
{
	struct exchange *x = make(true, CALL_ANSWERED);
	struct placement p = placement();

	stats[STAT_drop_memory] = 0;
	while (arena_alloc(&x->arena, 1))
		pool.limit = pool.used;
	CHECK(!build(x, &p, &kept));
	CHECK_INT(stats[STAT_drop_memory], 1);
	CHECK_INT(pool.used, 0);
	pool.limit = 1 << 20;
}

static struct slice said(const struct span *s, const char *key)
{
	const struct attr *a = describe_find(&s->d, key);

	return a ? a->s : SLICE("(none)");
}

/* The name is copied; a server's span has none; in older words it is peer.service. */
static void test_span__the_other_end(void)
{
	static const struct describe_config both = { .semconv = SEMCONV_LEGACY | SEMCONV_STABLE };
	struct placement p = placement();
	char name[] = "till", space[] = "shop";
	struct span *s = span_build(make(false, CALL_ANSWERED), &p, 1000, &both);

	span_name_peer(s, slice_str(name), slice_str(space));
	name[0] = space[0] = 'x';
	span_keep(s, &kept);
	CHECK_SLICE(said(s, "service.peer.name"), "till");
	CHECK_SLICE(said(s, "service.peer.namespace"), "shop");
	CHECK_SLICE(said(s, "peer.service"), "till");
	span_free(s);
	s = span_build(make(true, CALL_ANSWERED), &p, 1000, &config);
	span_name_peer(s, SLICE("till"), SLICE("shop"));
	CHECK_SLICE(said(s, "service.peer.name"), "(none)");
	span_free(s);
	s = span_build(make(false, CALL_ANSWERED), &p, 1000, &config);
	span_name_peer(s, SLICE_NONE, SLICE("shop"));
	CHECK_SLICE(said(s, "service.peer.namespace"), "(none)");
	span_free(s);
}

int main(void)
{
	arena_pool_init(&pool, 1 << 20);
	RUN(test_span__root_of_ours);
	RUN(test_span__child_of_a_remote_parent);
	RUN(test_span__flags_of_continued_traces);
	RUN(test_span__the_other_end);
	RUN(test_span__end_by_how_it_ended);
	RUN(test_span__never_ends_before_it_begins);
	RUN(test_span__truncated_heads_are_said);
	RUN(test_span__without_memory_is_a_counted_drop);
	CHECK_INT(pool.used, 0);
	arena_pool_fini(&pool);
	return tap_done();
}
