// SPDX-License-Identifier: Apache-2.0
/*
 *   event ─▶ host (facts) ─▶ conn ▶ stream ▶ proto ▶ pair ──exchange──▶ cause ▶ await ▶ span ▶ tail, sample ──▶ export
 *                              └────────────── verdict ──▶ probe
 */
#include "pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/scope.h"
#include "base/stats.h"
#include "conn/conn.h"
#include "export/export.h"
#include "export_setup.h"
#include "glob.h"
#include "host/address_book.h"
#include "host/process.h"
#include "probe/probe.h"
#include "probe/record.h"
#include "self_traced.h"
#include "stages.h"
#include "texts.h"
#include "trace/await.h"
#include "trace/cause.h"
#include "trace/sample.h"
#include "trace/span.h"
#include "trace/tail.h"

#define MAX_AWAITING 16384 /* exchanges that wait for their pod */

struct pipeline {
	const struct config *config;
	struct pipeline_live live;
	struct texts texts;
	const struct proto_ops *protocols[PROTOCOLS_MAX]; /* --protocols */
	const struct framing *framings[FRAMINGS_MAX];
	size_t n_framings;
	struct export_setup setup;
	struct arena_pool pool;
	struct rng rng;
	struct sampler *sampler;
	struct tail *tail;
	struct describe_config describe;
	int64_t clock_offset; /* real time − boot time */
	uint64_t now;	      /* clock at the last tick or turn: what the exporters age and retry by */
	struct host *host;
	struct address_book *book;
	struct conn_table *conns;
	struct cause *cause;
	struct await *await;
	struct export *export;
	struct self_traced self_traced;
};

/* conn → cause */

static void on_begin(void *arg, struct exchange *x)
{
	struct pipeline *p = arg;

	x->resource = host_resource(p->host, x->req_first.pid);
	x->release = (void (*)(void *))resource_unref;
	self_traced_look(&p->self_traced, x);
	cause_begin(p->cause, x);
}

static void on_end(void *arg, struct exchange *x)
{
	cause_end(((struct pipeline *)arg)->cause, x);
}

static void on_abandon(void *arg, struct exchange *x)
{
	cause_abandon(((struct pipeline *)arg)->cause, x);
}

/* cause → await → span → tail → sample → export */

/* An access log has a line for each request, kept or not. */
static bool logs_all(const struct pipeline *p)
{
	return p->config->export.access_log;
}

static void on_decided(void *arg, struct span *span, const struct sample_verdict *v)
{
	struct pipeline *p = arg;

	sample_count(v);
	if (!v->keep && !logs_all(p)) {
		span_free(span);
		return;
	}
	span->unsampled = !v->keep;
	span_keep(span, v);
	export_push(p->export, span, p->now);
}

static uint64_t last_event(const struct exchange *x)
{
	uint64_t seen = MAX(x->req_first.time, x->resp_last.time);

	return MAX(seen, x->ended);
}

static uint64_t first_event(const struct exchange *x)
{
	return x->req_first.time ? x->req_first.time : last_event(x);
}

static bool excluded(const struct pipeline *p, const struct call *call)
{
	const struct strlist *globs = &p->config->protocols.exclude_method;
	struct slice method;

	if (!globs->n || !call->proto->method)
		return false;
	method = call->proto->method(call);
	for (size_t i = 0; method.n && i < globs->n; i++)
		if (glob_match(globs->v[i], (uint32_t)strlen(globs->v[i]), method.p, (uint32_t)method.n))
			return true;
	return false;
}

static uint16_t on_hidden(void *arg, const struct exchange *x)
{
	const struct pipeline *p = arg;

	if (self_traced_hides(&p->self_traced, x))
		return STAT_drop_self_traced;
	return excluded(p, &x->call) ? STAT_drop_excluded : 0;
}

/* Whom a client spoke to when its request began; the start of what was seen where that was not. */
static void name_peer(struct pipeline *p, struct span *s, const struct exchange *x)
{
	const struct conn_info *c = &x->call.conn;
	struct peer_name name;

	if (s->kind == SPAN_CLIENT && c->family != FAM_UNIX &&
	    address_book_find(p->book, &(struct address){ c->remote.addr, c->remote.port, first_event(x) }, &name)) {
		if (x->peer)
			peer_name_own(x->peer, &name);
		span_name_peer(s, name.name, name.space);
	}
}

/* Where the ids alone decide, what is not kept need not be described. */
static void on_placed(void *arg, struct exchange *x, const struct placement *place)
{
	struct pipeline *p = arg;
	struct sample_verdict v = { .keep = true };

	if (place->hidden) {
		stats[place->hidden]++;
		exchange_free(x);
		return;
	}
	if (!sampler_is_local(p->sampler))
		v = sample_decide(p->sampler, place->trace_id, place->origin);
	if (!v.keep && !logs_all(p)) {
		sample_count(&v);
		exchange_free(x);
		return;
	}
	await_add(p->await, x, place);
}

static void on_known(void *arg, struct exchange *x, const struct placement *place)
{
	struct pipeline *p = arg;
	uint64_t time = last_event(x);
	struct sample_verdict v;
	struct span *span;

	if (!sampler_is_local(p->sampler))
		v = sample_decide(p->sampler, place->trace_id, place->origin);
	span = span_build(x, place, p->clock_offset, &p->describe);
	if (span)
		name_peer(p, span, x);
	if (span && sampler_is_local(p->sampler))
		tail_add(p->tail, span, time);
	else if (span)
		on_decided(p, span, &v);
}

static void on_crowded(void *arg)
{
	host_stop_waiting(((struct pipeline *)arg)->host);
}

static void on_expect(void *arg, const uint8_t trace_id[16], bool root)
{
	tail_expect(((struct pipeline *)arg)->tail, trace_id, root);
}

static void on_settle(void *arg, const uint8_t trace_id[16], bool root)
{
	tail_settle(((struct pipeline *)arg)->tail, trace_id, root);
}

/* conn → probe */

static void on_verdict(void *arg, uint64_t conn, const uint64_t skip_to[2], const uint64_t grant_to[2])
{
	struct pipeline *p = arg;

	if (p->live.probe)
		probe_verdict(p->live.probe, conn, skip_to, grant_to);
}

static void on_frames(void *arg, uint64_t conn, const struct framing *framing, const uint64_t at[2])
{
	struct pipeline *p = arg;

	for (uint32_t i = 0; p->live.probe && i < (uint32_t)p->n_framings; i++)
		if (p->framings[i] == framing)
			probe_frames(p->live.probe, conn, i, at);
}

static void on_ask(void *arg, uint64_t conn)
{
	struct pipeline *p = arg;
	struct ev_progress ev;

	if (p->live.probe && probe_progress(p->live.probe, conn, &ev))
		pipeline_event(p, &ev.h);
}

static void on_facts(void *arg, const struct ev_head *record)
{
	struct pipeline *p = arg;

	if (record->type == EV_POD) /* what it brings about stands before it, as with all events */
		await_turn(p->await);
	if (p->live.recorder)
		recorder_put(p->live.recorder, record);
}

static void tell_self_traced(struct pipeline *p)
{
	struct ev_otlp ev;

	while (self_traced_next(&p->self_traced, &ev)) {
		host_event(p->host, &ev.h);
		if (p->live.recorder)
			recorder_put(p->live.recorder, &ev.h);
	}
}

/* configuration → stages */

static struct host *make_host(struct pipeline *p)
{
	struct host_config c;

	stages_host(p->config, &p->texts, &c);
	c.live = p->live.probe != NULL;
	c.pods = p->live.pods;
	c.on_facts = on_facts;
	c.arg = p;
	return host_new(&c);
}

static struct address_book *make_book(struct pipeline *p)
{
	return address_book_new(&(struct address_book_config){
		.pods = p->live.pods,
		.services = p->live.services,
		.naming = { .app_labels = p->config->kube.app_labels },
		.on_name = on_facts,
		.arg = p,
	});
}

static struct cause *make_cause(struct pipeline *p)
{
	struct cause_config c;

	stages_cause(p->config, &c);
	c.rng = &p->rng;
	return cause_new(&c, &(struct cause_sink){ .placed = on_placed, .expect = on_expect, .settle = on_settle,
						   .hidden = on_hidden, .arg = p });
}

static struct await *make_await(struct pipeline *p)
{
	return await_new(&(struct await_config){ .max = MAX_AWAITING, .pool = &p->pool },
			 &(struct await_sink){ .known = on_known, .crowded = on_crowded, .expect = on_expect,
					       .settle = on_settle, .arg = p });
}

static struct tail *make_tail(struct pipeline *p, uint64_t seed)
{
	struct tail_config c;

	stages_tail(p->config, &c);
	c.sampler = p->sampler;
	c.pool = &p->pool;
	c.seed = seed;
	return tail_new(&c, &(struct tail_sink){ .decided = on_decided, .arg = p });
}

static struct conn_table *make_conns(struct pipeline *p)
{
	struct conn_config c;

	stages_conn(p->config, &p->texts, &c);
	c.protocols = p->protocols;
	c.pool = &p->pool;
	return conn_table_new(&c, &(struct exchange_sink){ .begin = on_begin, .end = on_end, .abandon = on_abandon, .arg = p },
			      &(struct verdict_sink){ .set = on_verdict, .frames = on_frames, .ask = on_ask, .arg = p });
}

static int make_sampler(struct pipeline *p)
{
	char error[512];
	int r = stages_sampler(p->config, &p->sampler, error, sizeof(error));

	return r ? log_ret(r, "%s", error) : 0;
}

int pipeline_new(struct pipeline **out, const struct config *config, const struct pipeline_live *live,
		 const uint64_t seed[2], CURLM *multi)
{
	struct pipeline *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->config = config;
	p->live = *live;
	proto_enabled(slice_str(config->protocols.list), p->protocols);
	p->n_framings = proto_framings(p->framings);
	self_traced_configure(&p->self_traced, config, live->probe != NULL);
	rng_seed(&p->rng, seed[0], seed[1]);
	arena_pool_init(&p->pool, config->limits.memory_limit / 4 * 3);
	r = texts_init(&p->texts, config);
	stages_describe(config, &p->texts, &p->describe);
	if (!r)
		r = make_sampler(p);
	if (!r)
		r = export_setup_init(&p->setup, config);
	if (!r)
		r = export_new(&p->export, &p->setup.c, multi);
	if (!r && (!(p->tail = make_tail(p, seed[0] ^ seed[1])) || !(p->host = make_host(p)) || !(p->book = make_book(p)) ||
		   !(p->await = make_await(p)) || !(p->cause = make_cause(p)) || !(p->conns = make_conns(p))))
		r = log_ret(-ENOMEM, "out of memory");
	p->self_traced.host = p->host;
	if (r) {
		pipeline_free(p);
		return r;
	}
	*out = p;
	return 0;
}

void pipeline_event(struct pipeline *p, const struct ev_head *ev)
{
	switch (ev->type) {
	case EV_CLOCK:
		p->clock_offset = ((const struct ev_clock *)ev)->offset;
		break;
	case EV_EXEC:
	case EV_PROC:
	case EV_HOST:
	case EV_OTLP:
		host_event(p->host, ev);
		break;
	case EV_POD:
		host_event(p->host, ev);
		await_turn(p->await);
		break;
	case EV_NAME:
		address_book_event(p->book, (const struct ev_name *)ev);
		break;
	case EV_EXIT:
		conn_event(p->conns, ev);
		cause_exit(p->cause, ((const struct ev_exit *)ev)->pid);
		host_event(p->host, ev);
		break;
	case EV_TICK:
		conn_event(p->conns, ev);
		cause_tick(p->cause, ev->time);
		host_event(p->host, ev);
		await_turn(p->await);
		sampler_expire(p->sampler, ev->time);
		tail_tick(p->tail, ev->time);
		p->now = clock_boot();
		export_tick(p->export, p->now);
		break;
	default:
		conn_event(p->conns, ev);
	}
	if (p->live.recorder)
		recorder_put(p->live.recorder, ev);
	tell_self_traced(p);
}

void pipeline_turn(struct pipeline *p, uint64_t now)
{
	p->now = now;
	export_turn(p->export, now);
}

void pipeline_sampling(struct pipeline *p, const struct config *config, struct sampler *sampler)
{
	sampler_replace(p->sampler, sampler);
	self_traced_configure(&p->self_traced, config, p->live.probe != NULL);
}

struct sampler *pipeline_sampler(struct pipeline *p)
{
	return p->sampler;
}

void pipeline_reopen(struct pipeline *p)
{
	export_reopen(p->export);
}

static void count_open(void *arg, const struct exchange *x)
{
	const struct resource *r = x->resource;

	(void)arg;
	stats_gauge_add("requests_open", "service", r ? r->service : SLICE(""), 1);
}

void pipeline_gauges(const struct pipeline *p)
{
	stats_gauge_clear("requests_open");
	conn_each_open(p->conns, count_open, NULL);
}

bool pipeline_exporter(const struct pipeline *p, uint32_t i, struct export_state *out)
{
	return export_state(p->export, i, out);
}

void pipeline_finish(struct pipeline *p, uint64_t now)
{
	pipeline_gauges(p);
	conn_table_close(p->conns);
	cause_flush(p->cause);
	await_flush(p->await);
	tail_flush(p->tail);
	export_flush(p->export, now);
}

bool pipeline_idle(const struct pipeline *p)
{
	return export_idle(p->export);
}

bool pipeline_crowded(const struct pipeline *p)
{
	return export_crowded(p->export);
}

void pipeline_free(struct pipeline *p)
{
	if (!p)
		return;
	if (p->conns)
		conn_table_free(p->conns);
	if (p->cause)
		cause_free(p->cause);
	await_free(p->await);
	tail_free(p->tail);
	sampler_free(p->sampler);
	if (p->export)
		export_free(p->export);
	if (p->host)
		host_free(p->host);
	address_book_free(p->book);
	arena_pool_fini(&p->pool);
	texts_fini(&p->texts);
	export_setup_fini(&p->setup);
	free(p);
}
