// SPDX-License-Identifier: Apache-2.0
/*
 * The table of processes. Each entry holds facts until its resource is asked for, then the
 * resource. Least recently used entries leave first, so an ended process keeps its facts for the
 * exchanges that end after it.
 */
#include "host/process.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/scope.h"
#include "base/stats.h"
#include "base/table.h"
#include "host/facts.h"
#include "host/resource.h"

struct entry {
	struct list lru;
	uint32_t pid;
	bool ended;	 /* or another process has taken its id since */
	uint64_t start;	 /* of the process, in ticks */
	uint64_t exec;	 /* time of the EV_EXEC the facts answer */
	uint64_t read;	 /* when the facts were read */
	uint64_t digest; /* of the facts */
	uint64_t missed; /* process records missed when the facts were read */
	char *facts;	 /* owned; NULL once the resource is made */
	size_t n_facts;
	struct resource *resource;
};

struct host {
	struct host_config config;
	struct table table; /* process id → entry */
	struct list lru;
	struct buf scratch;
	char *host_facts; /* owned */
	size_t n_host_facts;
	bool host_read;
	uint64_t next_id;
};

static void entry_clear(struct entry *e)
{
	free(e->facts);
	e->facts = NULL;
	e->n_facts = 0;
	resource_unref(TAKE_PTR(e->resource));
}

static void forget(struct host *h, struct entry *e)
{
	table_del(&h->table, e->pid);
	list_del(&e->lru);
	entry_clear(e);
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
	list_init(&h->lru);
	buf_init(&h->scratch, FACTS_MAX);
	return h;
}

void host_free(struct host *h)
{
	if (!h)
		return;
	while (!list_empty(&h->lru))
		forget(h, list_entry(h->lru.next, struct entry, lru));
	table_fini(&h->table);
	buf_fini(&h->scratch);
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
	if (table_set(&h->table, pid, e)) {
		free(e);
		return NULL;
	}
	return touch(h, e);
}

/* FNV-1a over the items: the same facts, whenever they were read. */
static uint64_t digest_of(struct slice facts)
{
	struct facts_head head;
	struct slice items;
	uint64_t x = 0xcbf29ce484222325ULL;

	if (!facts_open(facts, &head, &items))
		return 0;
	x ^= head.start;
	for (size_t i = 0; i < items.n; i++)
		x = (x ^ (unsigned char)items.p[i]) * 0x100000001b3ULL;
	return x;
}

/*
 * The facts were read after the process had begun its next program, which we learn only now: they
 * told of that one. Of the program before nothing is known but whose process it was.
 */
static void take_back(struct host *h, struct entry *e)
{
	struct facts_head head = {.version = FACTS_VERSION, .start = e->start};
	struct resource *r = resource_new(
	    &h->config, e->resource->id,
	    &(struct resource_parts){.pid = e->pid,
				     .process = slice_of((const char *)&head, sizeof(head)),
				     .host = slice_of(h->host_facts, h->n_host_facts)});

	if (!r)
		return;
	resource_retell(e->resource, r);
	stat_inc(procs_unread);
}

static int entry_fill(struct host *h, struct entry *e, struct slice facts)
{
	struct facts_head head = {0};
	struct slice items;
	char *copy = malloc(facts.n ? facts.n : 1);

	if (!copy)
		return -1;
	if (facts.n)
		memcpy(copy, facts.p, facts.n);
	facts_open(facts, &head, &items);
	if (e->resource && head.exec && head.exec != e->exec && head.exec < e->read)
		take_back(h, e);
	entry_clear(e);
	e->facts = copy;
	e->n_facts = facts.n;
	e->digest = digest_of(facts);
	e->start = head.start;
	e->exec = head.exec;
	e->read = head.read;
	e->missed = stats[STAT_missed_proc];
	e->ended = false;
	return 0;
}

static void tell(struct host *h, uint16_t type, uint32_t pid, struct slice data)
{
	size_t len = sizeof(struct ev_blob) + ((data.n + 7) & ~(size_t)7);
	_free_ struct ev_blob *ev = NULL;

	if (!h->config.on_facts)
		return;
	ev = calloc(1, len);
	if (!ev)
		return;
	ev->h = (struct ev_head){.type = type, .len = (uint32_t)len};
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
	tell(h, EV_HOST, 0, buf_slice(&h->scratch));
}

/* New facts are in scratch: keep them and tell the recorder. */
static void learn(struct host *h, struct entry *e)
{
	if (!entry_fill(h, e, buf_slice(&h->scratch)) && h->config.live)
		tell(h, EV_PROC, e->pid, buf_slice(&h->scratch));
}

static void on_exec(struct host *h, const struct ev_exec *ev)
{
	struct entry *e = entry_make(h, ev->pid);

	if (!e || (e->exec && e->exec == ev->h.time))
		return; /* replay: the facts that answer this record are here already */
	if (!h->config.live || facts_read(&h->scratch, h->config.proc, ev->pid, ev)) {
		if (h->config.live)
			stat_inc(procs_unread);
		facts_from_exec(&h->scratch, ev);
	}
	learn(h, e);
}

void host_event(struct host *h, const struct ev_head *ev)
{
	const struct ev_blob *blob = (const struct ev_blob *)ev;
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
		e = entry_make(h, blob->pid);
		if (e)
			entry_fill(h, e,
				   slice_of((const char *)blob->data,
					    MIN(blob->size, (uint32_t)FACTS_MAX)));
		break;
	case EV_HOST:
		keep_host(h,
			  slice_of((const char *)blob->data, MIN(blob->size, (uint32_t)FACTS_MAX)));
		break;
	}
}

/* Facts of a process that is new to us; or, if it is gone, that nothing is known. */
static void read_new(struct host *h, struct entry *e)
{
	int r = h->config.live ? facts_read(&h->scratch, h->config.proc, e->pid, NULL) : -1;

	if (r) {
		stat_inc(procs_unread);
		facts_begin(&h->scratch, 0, 0);
	}
	learn(h, e);
	e->ended = r != 0;
}

/* The id may belong to another process by now, or to another program of it. Facts of one that is
 * gone stay. */
static void read_again(struct host *h, struct entry *e)
{
	uint64_t exec = e->exec;

	e->missed = stats[STAT_missed_proc];
	if (facts_read(&h->scratch, h->config.proc, e->pid, NULL))
		return;
	if (digest_of(buf_slice(&h->scratch)) == e->digest)
		return;
	learn(h, e);
	e->exec = exec;
}

struct resource *host_resource(struct host *h, uint32_t pid)
{
	struct entry *e = table_get(&h->table, pid);

	read_host_once(h);
	if (e) {
		touch(h, e);
		if (h->config.live && (e->ended || e->missed != stats[STAT_missed_proc]))
			read_again(h, e);
	} else {
		e = entry_make(h, pid);
		if (!e)
			return NULL;
		read_new(h, e);
	}
	if (!e->resource) {
		e->resource = resource_new(
		    &h->config, h->next_id++,
		    &(struct resource_parts){.pid = pid,
					     .process = slice_of(e->facts, e->n_facts),
					     .host = slice_of(h->host_facts, h->n_host_facts)});
		if (!e->resource)
			return NULL;
		free(TAKE_PTR(e->facts));
		e->n_facts = 0;
	}
	return resource_ref(e->resource);
}
