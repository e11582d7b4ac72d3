// SPDX-License-Identifier: Apache-2.0
/* From a process's container to its pod, as soon as the pod is known, and what its spans do until then. */
#include "base/clock.h"
#include "base/hex.h"
#include "base/scope.h"
#include "base/stats.h"
#include "host/inner.h"
#include "host/pod_facts.h"

#define KEY_DIGITS 16

static uint64_t key_of(struct slice id)
{
	uint64_t key = 0;

	for (size_t i = 0; i < KEY_DIGITS; i++)
		key = key << 4 | (uint64_t)(hex_digit(id.p[i]) & 15);
	return key;
}

static struct container *find(const struct host *h, struct slice id)
{
	struct container *c = id.n == CONTAINER_ID_MAX ? table_get(&h->containers, key_of(id)) : NULL;

	return c && slice_eq(slice_of(c->id, sizeof(c->id)), id) ? c : NULL;
}

static struct container *make(struct host *h, struct slice id)
{
	struct container *c;

	if (id.n != CONTAINER_ID_MAX || table_get(&h->containers, key_of(id)))
		return NULL; /* half of another one's id: a chance of 2^-64, or none */
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->key = key_of(id);
	memcpy(c->id, id.p, sizeof(c->id));
	list_init(&c->members);
	list_init(&c->waiting);
	if (table_set(&h->containers, c->key, c)) {
		free(c);
		return NULL;
	}
	return c;
}

void pod_leave(struct host *h, struct entry *e)
{
	struct container *c = TAKE_PTR(e->container);

	list_del(&e->member);
	if (!c || !list_empty(&c->members))
		return;
	table_del(&h->containers, c->key);
	list_del(&c->waiting);
	h->bytes -= c->n_facts;
	free(c->facts);
	free(c);
}

void pod_join(struct host *h, struct entry *e)
{
	struct slice id = facts_get(slice_of(e->facts.p, e->facts.n), FACTS_KNOWN, SLICE("container.id"));
	struct container *c = find(h, id);

	if (c && c == e->container)
		return;
	pod_leave(h, e);
	if (!id.n || (h->config.live && !h->config.pods))
		return;
	if (!c)
		c = make(h, id);
	if (!c)
		return;
	e->container = c;
	list_push(&c->members, &e->member);
}

uint8_t pod_state(const struct entry *e)
{
	const struct container *c = e->container;

	if (!c || !c->asked || c->facts)
		return RESOURCE_POD_NONE;
	return c->until ? RESOURCE_POD_AWAITED : RESOURCE_POD_MISSING;
}

/* ---- what becomes known ---- */

static void stop_waiting(struct container *c)
{
	c->until = 0;
	list_del(&c->waiting);
}

static void await(struct host *h, struct container *c, uint64_t until)
{
	c->asked = true;
	if (!until || c->facts || c->until)
		return;
	c->until = until;
	list_push(&h->waiting, &c->waiting);
}

/* True if that is news. */
static bool know(struct host *h, struct container *c, struct slice facts)
{
	char *copy;

	if (slice_eq(facts, slice_of(c->facts, c->n_facts)))
		return false;
	copy = malloc(facts.n);
	if (!copy)
		return false;
	memcpy(copy, facts.p, facts.n);
	h->bytes += facts.n - c->n_facts;
	free(c->facts);
	c->facts = copy;
	c->n_facts = facts.n;
	c->asked = true;
	stop_waiting(c);
	list_for_each_safe(at, &c->members)
		entry_retell(h, list_entry(at, struct entry, member));
	return true;
}

static void give_up(struct container *c)
{
	stop_waiting(c);
	list_for_each(at, &c->members) {
		struct entry *e = list_entry(at, struct entry, member);

		if (e->resource && e->resource->pod == RESOURCE_POD_AWAITED)
			e->resource->pod = RESOURCE_POD_MISSING;
	}
}

void pod_tick(struct host *h, uint64_t now)
{
	list_for_each_safe(at, &h->waiting) {
		struct container *c = list_entry(at, struct container, waiting);

		if (c->until <= now)
			give_up(c);
	}
}

void host_stop_waiting(struct host *h)
{
	pod_tick(h, UINT64_MAX);
}

void pod_event(struct host *h, const struct ev_blob *ev)
{
	struct slice facts = slice_of((const char *)ev->data, MIN(ev->size, (uint32_t)FACTS_MAX));
	struct container *c = find(h, facts_get(facts, FACTS_KNOWN, SLICE("container.id")));

	if (c && ev->h.flags & EVF_AWAITED)
		await(h, c, ev->h.time);
	else if (c)
		know(h, c, facts);
}

/* ---- live ---- */

static void tell_known(struct host *h, struct container *c, const struct pod *p, const struct pod_container *in)
{
	pod_facts(&h->pod_scratch, p, in, &h->config.naming);
	if (know(h, c, buf_slice(&h->pod_scratch)))
		host_tell(h, &(struct ev_head){ .type = EV_POD }, 0, buf_slice(&h->pod_scratch));
}

static void tell_awaited(struct host *h, struct container *c)
{
	uint64_t until = h->config.pod_wait ? clock_boot() + h->config.pod_wait : 0;

	await(h, c, until);
	facts_begin(&h->pod_scratch, 0, 0);
	facts_layer(&h->pod_scratch, FACTS_KNOWN);
	facts_text(&h->pod_scratch, SLICE("container.id"), slice_of(c->id, sizeof(c->id)));
	host_tell(h, &(struct ev_head){ .type = EV_POD, .flags = EVF_AWAITED, .time = until }, 0, buf_slice(&h->pod_scratch));
}

void pod_ask(struct host *h, struct container *c)
{
	struct slice id = slice_of(c->id, sizeof(c->id));
	const struct pod *p;
	const struct pod_container *in;

	if (c->asked)
		return;
	p = pods_by_container(h->config.pods, id);
	in = p ? pod_container(p, id) : NULL;
	if (in)
		tell_known(h, c, p, in);
	else
		tell_awaited(h, c);
}

/* What a pod that is gone was stays true of its processes. */
static void on_change(void *arg, enum pod_change change, const struct pod *pod, const struct pod *old)
{
	struct host *h = arg;

	(void)old;
	if (change != POD_ADDED && change != POD_CHANGED)
		return;
	for (size_t i = 0; i < pod->n_containers; i++) {
		struct container *c = find(h, pod->containers[i].id);

		if (c)
			tell_known(h, c, pod, &pod->containers[i]);
	}
}

void pod_link_start(struct host *h)
{
	if (!h->config.live || !h->config.pods)
		return;
	h->watcher = (struct pods_watcher){ .changed = on_change, .arg = h };
	list_init(&h->watcher.link);
	pods_subscribe(h->config.pods, &h->watcher);
}

void pod_link_stop(struct host *h)
{
	if (h->watcher.changed)
		pods_unsubscribe(&h->watcher);
}
