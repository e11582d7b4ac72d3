// SPDX-License-Identifier: Apache-2.0
/*
 * Services and slices are things of the same shape: addresses × ports. A thing is one block of memory, its addresses are
 * chained by hash. Things of a list that is being read are not in the tables until it has ended.
 */
#include "host/service.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/scope.h"
#include "base/stats.h"
#include "base/table.h"

#define MAX_SERVICES  16384
#define MAX_ENDPOINTS 65536
#define CHAIN_MAX     64 /* things with the same address; what is beyond could only be ambiguous */

struct thing;

struct address {
	struct address *next; /* of the same hash */
	bool chained;
	struct thing *thing;
	struct pod_ip ip;
	struct slice pod;
};

struct thing {
	struct list link; /* of its source's things, or of those staged */
	uint8_t source;
	bool listed;
	uint16_t n_ports;
	uint32_t n_addresses;
	struct slice uid, version, name, namespace;
	uint16_t *ports;
	struct address addresses[];
};

struct services {
	uint32_t max[SERVICE_SOURCES], n[SERVICE_SOURCES]; /* addresses, those staged not counted */
	uint32_t n_staged[SERVICE_SOURCES];
	struct list things[SERVICE_SOURCES], staged[SERVICE_SOURCES];
	bool listing[SERVICE_SOURCES];
	struct table by_uid, by_address;
	uint32_t n_services;
};

static uint64_t hash_of(uint64_t seed, const void *data, size_t n)
{
	return table_mix(hash_bytes(HASH_BEGIN + seed, data, n), seed);
}

static uint64_t hash_ip(const struct pod_ip *ip, enum service_source source)
{
	return hash_of(source, ip->b, sizeof(ip->b));
}

static uint64_t hash_uid(struct slice uid, enum service_source source)
{
	return hash_of(source, uid.p, uid.n);
}

struct services *services_new(const struct services_config *c)
{
	struct services *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->max[SERVICE_ITSELF] = c->max_services ? c->max_services : MAX_SERVICES;
	s->max[SERVICE_ENDPOINTS] = c->max_endpoints ? c->max_endpoints : MAX_ENDPOINTS;
	for (int i = 0; i < SERVICE_SOURCES; i++) {
		list_init(&s->things[i]);
		list_init(&s->staged[i]);
	}
	/* a thing may have no address: it costs one uid */
	table_init(&s->by_uid, (size_t)s->max[0] + s->max[1]);
	table_init(&s->by_address, (size_t)s->max[0] + s->max[1]);
	return s;
}

/* Things */

static struct slice put_text(char **at, struct slice s)
{
	struct slice copy = slice_of(*at, s.n);

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

static size_t text_size(const struct service_object *o)
{
	size_t n = o->uid.n + o->version.n + o->name.n + o->namespace.n;

	for (uint16_t i = 0; i < o->n_addresses; i++)
		n += o->addresses[i].pod.n;
	return n;
}

static struct thing *thing_new(const struct service_object *o)
{
	size_t addresses = o->n_addresses * sizeof(struct address), ports = o->n_ports * sizeof(uint16_t);
	struct thing *t = malloc(sizeof(*t) + addresses + ports + text_size(o));
	char *at;

	if (!t)
		return NULL;
	*t = (struct thing){ .source = (uint8_t)o->source, .n_ports = o->n_ports, .n_addresses = o->n_addresses };
	list_init(&t->link);
	t->ports = (uint16_t *)((char *)t->addresses + addresses);
	if (ports)
		memcpy(t->ports, o->ports, ports);
	at = (char *)t->ports + ports;
	t->uid = put_text(&at, o->uid);
	t->version = put_text(&at, o->version);
	t->name = put_text(&at, o->name);
	t->namespace = put_text(&at, o->namespace);
	for (uint16_t i = 0; i < o->n_addresses; i++)
		t->addresses[i] = (struct address){ .thing = t, .ip = o->addresses[i].ip,
						    .pod = put_text(&at, o->addresses[i].pod) };
	return t;
}

/* Addresses */

static void unchain(struct services *s, struct address *a)
{
	uint64_t hash = hash_ip(&a->ip, a->thing->source);
	struct address *head = table_get(&s->by_address, hash);

	if (!a->chained)
		return;
	if (head == a && a->next) {
		table_set(&s->by_address, hash, a->next);
	} else if (head == a) {
		table_del(&s->by_address, hash);
	} else {
		while (head->next != a)
			head = head->next;
		head->next = a->next;
	}
}

static int chain(struct services *s, struct address *a)
{
	uint64_t hash = hash_ip(&a->ip, a->thing->source);
	size_t n = 0;
	int r;

	a->next = table_get(&s->by_address, hash);
	for (const struct address *i = a->next; i; i = i->next)
		n++;
	if (n >= CHAIN_MAX) {
		stat_inc(kube_values_cut);
		return 0;
	}
	r = table_set(&s->by_address, hash, a);
	a->chained = !r;
	return r;
}

static struct thing *find(const struct services *s, enum service_source source, struct slice uid)
{
	struct thing *t = table_get(&s->by_uid, hash_uid(uid, source));

	return t && t->source == source && slice_eq(t->uid, uid) ? t : NULL;
}

static void take_out(struct services *s, struct thing *t)
{
	for (uint32_t i = 0; i < t->n_addresses; i++)
		unchain(s, &t->addresses[i]);
	table_del(&s->by_uid, hash_uid(t->uid, t->source));
	s->n[t->source] -= t->n_addresses;
	s->n_services -= t->source == SERVICE_ITSELF;
	list_del(&t->link);
	free(t);
}

/* Takes t, also on failure. */
static int put_in(struct services *s, struct thing *t)
{
	uint32_t done = 0;
	int r = table_get(&s->by_uid, hash_uid(t->uid, t->source)) || s->n[t->source] + t->n_addresses > s->max[t->source] ?
			-ENOSPC : table_set(&s->by_uid, hash_uid(t->uid, t->source), t);

	if (r) {
		free(t);
		return r;
	}
	for (; done < t->n_addresses && !r; done += !r)
		r = chain(s, &t->addresses[done]);
	t->n_addresses = done; /* all, but without memory */
	t->listed = true;
	s->n[t->source] += done;
	s->n_services += t->source == SERVICE_ITSELF;
	list_push(&s->things[t->source], &t->link);
	if (r)
		take_out(s, t);
	return r;
}

static int replace(struct services *s, struct thing *t)
{
	struct thing *old = find(s, t->source, t->uid);

	if (old && t->version.n && slice_eq(old->version, t->version)) {
		old->listed = true;
		free(t);
		return 0;
	}
	if (old)
		take_out(s, old);
	return put_in(s, t);
}

static int stage(struct services *s, struct thing *t)
{
	if (s->n_staged[t->source] + t->n_addresses + 1 > 2 * s->max[t->source]) {
		free(t);
		return -ENOSPC;
	}
	s->n_staged[t->source] += t->n_addresses + 1;
	list_push(&s->staged[t->source], &t->link);
	return 0;
}

int services_put(struct services *s, const struct service_object *o)
{
	struct thing *t = o->uid.n && o->name.n ? thing_new(o) : NULL;
	int r = !t ? -EINVAL : s->listing[o->source] ? stage(s, t) : replace(s, t);

	if (r)
		stat_inc(kube_services_refused);
	return r;
}

void services_delete(struct services *s, enum service_source source, struct slice uid)
{
	struct thing *t = s->listing[source] ? NULL : find(s, source, uid); /* what a list lacks goes at its end */

	if (t)
		take_out(s, t);
}

/* Lists */

void services_list_begin(struct services *s, enum service_source source)
{
	services_list_abort(s, source);
	s->listing[source] = true;
}

void services_list_abort(struct services *s, enum service_source source)
{
	struct list *i;

	while ((i = list_pop(&s->staged[source])))
		free(list_entry(i, struct thing, link));
	s->n_staged[source] = 0;
	s->listing[source] = false;
}

static void mark(struct services *s, enum service_source source)
{
	list_for_each(i, &s->things[source])
		list_entry(i, struct thing, link)->listed = false;
	list_for_each(i, &s->staged[source]) {
		struct thing *old = find(s, source, list_entry(i, struct thing, link)->uid);

		if (old)
			old->listed = true;
	}
}

void services_list_end(struct services *s, enum service_source source)
{
	struct list *i;

	if (!s->listing[source])
		return;
	mark(s, source);
	list_for_each_safe(at, &s->things[source]) {
		struct thing *t = list_entry(at, struct thing, link);

		if (!t->listed)
			take_out(s, t);
	}
	while ((i = list_pop(&s->staged[source])))
		if (replace(s, list_entry(i, struct thing, link)))
			stat_inc(kube_services_refused);
	services_list_abort(s, source);
}

void services_free(struct services *s)
{
	if (!s)
		return;
	for (int i = 0; i < SERVICE_SOURCES; i++) {
		services_list_abort(s, (enum service_source)i);
		list_for_each_safe(at, &s->things[i])
			free(list_entry(at, struct thing, link));
	}
	table_fini(&s->by_uid);
	table_fini(&s->by_address);
	free(s);
}

/* Names */

static bool has_port(const struct thing *t, uint16_t port)
{
	for (uint16_t i = 0; i < t->n_ports; i++)
		if (t->ports[i] == port)
			return true;
	return false;
}

static bool same(struct slice a, struct slice b, struct slice c, struct slice d)
{
	return slice_eq(a, b) && slice_eq(c, d);
}

/* What all who answer there agree on. False when nobody does, or when nothing is left. */
static bool find_in(const struct services *s, enum service_source source, const struct pod_ip *ip, uint16_t port,
		    struct service_name *out)
{
	struct service_name found = { 0 };
	bool any = false;

	for (const struct address *a = table_get(&s->by_address, hash_ip(ip, source)); a; a = a->next) {
		const struct thing *t = a->thing;

		if (t->source != source || memcmp(a->ip.b, ip->b, sizeof(ip->b)) || !has_port(t, port))
			continue;
		if (!any) {
			found = (struct service_name){ t->name, t->namespace, a->pod };
			any = true;
			continue;
		}
		if (!same(found.pod, a->pod, found.namespace, t->namespace))
			found.pod = SLICE_NONE;
		if (!same(found.name, t->name, found.namespace, t->namespace))
			found.name = SLICE_NONE;
	}
	if (!found.name.n && !found.pod.n)
		return false;
	*out = found;
	return true;
}

bool services_find(const struct services *s, const struct pod_ip *ip, uint16_t port, struct service_name *out)
{
	return find_in(s, SERVICE_ITSELF, ip, port, out) || find_in(s, SERVICE_ENDPOINTS, ip, port, out);
}

uint32_t services_known(const struct services *s)
{
	return s->n_services;
}
