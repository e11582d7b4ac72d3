// SPDX-License-Identifier: Apache-2.0
/*
 * The table of processes. Each entry holds facts until its resource is asked for, then the
 * resource. Least recently used entries leave first, so an ended process keeps its facts for the
 * exchanges that end after it.
 */
#include "base/scope.h"
#include "base/stats.h"
#include "host/inner.h"

static void forget(struct host *h, struct entry *e)
{
	table_del(&h->table, e->pid);
	list_del(&e->lru);
	entry_clear(h, e);
	free(e);
}

struct host *host_new(const struct host_config *config)
{
	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->config = *config;
	h->config.max_processes = MAX(config->max_processes, 1u);
	table_init(&h->table, h->config.max_processes);
	table_init(&h->containers, h->config.max_processes);
	list_init(&h->lru);
	list_init(&h->waiting);
	buf_init(&h->scratch, FACTS_MAX);
	buf_init(&h->pod_scratch, FACTS_MAX);
	pod_link_start(h);
	return h;
}

void host_free(struct host *h)
{
	if (!h)
		return;
	pod_link_stop(h);
	while (!list_empty(&h->lru))
		forget(h, list_entry(h->lru.next, struct entry, lru));
	table_fini(&h->table);
	table_fini(&h->containers);
	buf_fini(&h->scratch);
	buf_fini(&h->pod_scratch);
	free(h->host_facts);
	free(h);
}

static struct entry *touch(struct host *h, struct entry *e)
{
	list_del(&e->lru);
	list_push(&h->lru, &e->lru);
	return e;
}

static struct entry *entry_make(struct host *h, uint32_t pid)
{
	struct entry *e = table_get(&h->table, pid);

	if (e)
		return touch(h, e);
	if (h->table.n >= h->table.max)
		forget(h, list_entry(h->lru.next, struct entry, lru));
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->pid = pid;
	list_init(&e->lru);
	list_init(&e->member);
	if (table_set(&h->table, pid, e)) {
		free(e);
		return NULL;
	}
	return touch(h, e);
}

/* Facts are large where somebody makes them so: then fewer are kept. */
static void keep_bounds(struct host *h, const struct entry *in_use)
{
	while (h->bytes > HOST_BYTES_MAX && h->lru.next != &in_use->lru)
		forget(h, list_entry(h->lru.next, struct entry, lru));
}

void host_tell(struct host *h, const struct ev_head *head, uint32_t pid, struct slice data)
{
	size_t len = sizeof(struct ev_blob) + ((data.n + 7) & ~(size_t)7);
	_free_ struct ev_blob *ev = NULL;

	if (!h->config.on_facts)
		return;
	ev = calloc(1, len);
	if (!ev)
		return;
	ev->h = *head;
	ev->h.len = (uint32_t)len;
	ev->pid = pid;
	ev->size = (uint32_t)data.n;
	memcpy(ev->data, data.p, data.n);
	h->config.on_facts(h->config.arg, &ev->h);
}

static void keep_host(struct host *h, struct slice facts)
{
	char *copy = malloc(facts.n ? facts.n : 1);

	if (!copy)
		return;
	if (facts.n)
		memcpy(copy, facts.p, facts.n);
	free(h->host_facts);
	h->host_facts = copy;
	h->n_host_facts = facts.n;
}

static void read_host_once(struct host *h)
{
	if (h->host_read || !h->config.live)
		return;
	h->host_read = true;
	facts_read_host(&h->scratch, h->config.proc);
	keep_host(h, buf_slice(&h->scratch));
	host_tell(h, &(struct ev_head){.type = EV_HOST}, 0, buf_slice(&h->scratch));
}

static void on_exec(struct host *h, const struct ev_exec *ev)
{
	struct entry *e = entry_make(h, ev->pid);

	if (!e || (e->facts.exec && e->facts.exec == ev->h.time))
		return; /* replay: the facts that answer this record are here already */
	if (h->config.live) {
		reader_exec(h, e, ev);
	} else {
		facts_from_exec(&h->scratch, ev);
		entry_fill(h, e, buf_slice(&h->scratch));
	}
	keep_bounds(h, e);
}

static struct slice bytes_of(const struct ev_blob *ev)
{
	return slice_of((const char *)ev->data, MIN(ev->size, (uint32_t)FACTS_MAX));
}

static void on_proc(struct host *h, const struct ev_blob *ev)
{
	struct entry *e = entry_make(h, ev->pid);

	if (!e)
		return;
	entry_fill(h, e, bytes_of(ev));
	keep_bounds(h, e);
}

static void on_otlp(struct host *h, const struct ev_otlp *ev)
{
	struct entry *e = table_get(&h->table, ev->pid);
	bool was;

	if (!e)
		return;
	was = host_self_traced(h, ev->pid);
	e->otlp |= (uint8_t)(ev->role & (OTLP_SENDS | OTLP_RECEIVES));
	if (!was && host_self_traced(h, ev->pid))
		stat_inc(procs_self_traced);
}

void host_event(struct host *h, const struct ev_head *ev)
{
	struct entry *e;

	read_host_once(h);
	switch (ev->type) {
	case EV_EXEC:
		on_exec(h, (const struct ev_exec *)ev);
		break;
	case EV_EXIT:
		e = table_get(&h->table, ((const struct ev_exit *)ev)->pid);
		if (e)
			e->ended = true;
		break;
	case EV_PROC:
		on_proc(h, (const struct ev_blob *)ev);
		break;
	case EV_HOST:
		keep_host(h, bytes_of((const struct ev_blob *)ev));
		break;
	case EV_POD:
		pod_event(h, (const struct ev_blob *)ev);
		break;
	case EV_OTLP:
		on_otlp(h, (const struct ev_otlp *)ev);
		break;
	case EV_TICK:
		h->now = ev->time;
		pod_tick(h, ev->time);
		break;
	}
}

static struct entry *entry_find(struct host *h, uint32_t pid)
{
	struct entry *e = table_get(&h->table, pid);

	if (e)
		return touch(h, e);
	e = entry_make(h, pid);
	if (!e)
		return NULL;
	if (h->config.live) {
		reader_new(h, e);
	} else {
		stat_inc(procs_unread);
		facts_begin(&h->scratch, 0, 0);
		entry_fill(h, e, buf_slice(&h->scratch));
		e->ended = true;
	}
	keep_bounds(h, e);
	return e;
}

struct resource *host_resource(struct host *h, uint32_t pid)
{
	struct entry *e;

	read_host_once(h);
	e = entry_find(h, pid);
	if (!e)
		return NULL;
	if (h->config.live && (e->ended || e->facts.missed != stats[STAT_missed_proc]))
		reader_again(h, e);
	if (h->config.live && h->now >= e->look.at)
		reader_look(h, e);
	return entry_resource(h, e) ? NULL : resource_ref(e->resource);
}

uint8_t host_otlp(const struct host *h, uint32_t pid)
{
	const struct entry *e = table_get(&h->table, pid);

	return e ? e->otlp : 0;
}
