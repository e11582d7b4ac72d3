// SPDX-License-Identifier: Apache-2.0
#include "host/resource.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/scope.h"
#include "base/stats.h"
#include "host/facts.h"
#include "host/text.h"
#include "host/uuid.h"

/* Attributes that are still borrowed. */
struct draft {
	struct attr attrs[RESOURCE_ATTRS];
	size_t n;
};

static bool key_is_plain(struct slice key)
{
	for (size_t i = 0; i < key.n; i++)
		if (key.p[i] <= ' ' || key.p[i] >= 0x7f)
			return false;
	return key.n > 0;
}

static void set(struct draft *d, const struct attr *a)
{
	if (!key_is_plain(a->key))
		return;
	for (size_t i = 0; i < d->n; i++)
		if (slice_eq(d->attrs[i].key, a->key)) {
			d->attrs[i] = *a;
			return;
		}
	if (d->n < RESOURCE_ATTRS)
		d->attrs[d->n++] = *a;
	else
		stat_inc(resource_cut);
}

static void set_text(struct draft *d, struct slice key, struct slice value)
{
	if (value.n)
		set(d, &(struct attr){.key = key, .type = ATTR_STRING, .s = value});
}

static void set_facts(struct draft *d, struct slice data, enum facts_layer layer)
{
	unsigned at = FACTS_FOUND;
	struct facts_head head;
	struct slice items;
	struct attr a;

	if (!facts_open(data, &head, &items))
		return;
	while (facts_next(&items, &at, &a))
		if (at == layer)
			set(d, &a);
}

static void set_extra(struct draft *d, const struct host_config *c)
{
	for (size_t i = 0; i < c->n_extra; i++) {
		ptrdiff_t eq = slice_find(c->extra[i], '=');

		if (eq > 0)
			set(d, &(struct attr){.key = slice_to(c->extra[i], (size_t)eq),
					      .type = ATTR_STRING,
					      .s = slice_from(c->extra[i], (size_t)eq + 1)});
	}
}

static struct slice get_text(const struct draft *d, struct slice key)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->attrs[i].type == ATTR_STRING && slice_eq(d->attrs[i].key, key))
			return d->attrs[i].s;
	return SLICE_NONE;
}

/*
 * An id of this process for good: the same in every run of the tracer, another after a restart of
 * the process. The name space is the one that OpenTelemetry gives for service.instance.id.
 */
static void set_instance(struct draft *d, uint32_t pid, struct slice facts, char *room)
{
	static const uint8_t name_space[16] = {0x4d, 0x63, 0x00, 0x9a, 0x8d, 0x0f, 0x11, 0xee,
					       0xaa, 0xd7, 0x4c, 0x79, 0x6e, 0xd8, 0xe3, 0x20};
	struct slice host = get_text(d, SLICE("host.id")), items;
	struct facts_head head;
	char name[256];
	int n;

	if (!facts_open(facts, &head, &items) || !head.start)
		return;
	if (!host.n)
		host = get_text(d, SLICE("host.name"));
	host = slice_to(host, 128);
	n = snprintf(name, sizeof(name), "%.*s/%" PRIu32 "/%" PRIu64, SLICE_ARG(host), pid,
		     head.start);
	uuid_v5(room, name_space, slice_of(name, (size_t)n));
	set_text(d, SLICE("service.instance.id"), slice_of(room, UUID_TEXT));
}

static struct slice copy(char **to, struct slice s)
{
	struct slice out = {*to, text_clean(*to, TEXT_MAX, s)};

	if (s.n > TEXT_MAX)
		stat_inc(resource_cut);
	*to += out.n;
	return out;
}

static bool is_text(const struct attr *a)
{
	return a->type == ATTR_STRING || a->type == ATTR_STRINGS;
}

/* Bytes of the attributes, the one element of each list, and the text. */
static size_t size_of(const struct draft *d)
{
	size_t size = d->n * sizeof(struct attr);

	for (size_t i = 0; i < d->n; i++) {
		const struct attr *a = &d->attrs[i];

		size += a->key.n + (is_text(a) ? MIN(a->s.n, (size_t)TEXT_MAX) : 0);
		size += a->type == ATTR_STRINGS ? sizeof(struct slice) : 0;
	}
	return size;
}

static uint8_t runs(const struct attr *a)
{
	if (a->type != ATTR_STRING)
		return 0;
	if (slice_eq(a->key, SLICE("process.executable.name")))
		return slice_eq(a->s, SLICE("nginx")) ? RESOURCE_NGINX : 0;
	return slice_eq(a->key, SLICE("telemetry.sdk.language")) && slice_eq(a->s, SLICE("java")) ? RESOURCE_JAVA : 0;
}

/* Two blocks of memory: the resource; and all that its attributes are made of. */
static struct resource *finish(const struct draft *d, uint64_t id)
{
	_free_ struct resource *r = malloc(sizeof(*r));
	struct slice *lists;
	size_t n_lists = 0;
	char *to;

	if (!r)
		return NULL;
	*r = (struct resource){
	    .refs = 1, .id = id, .attrs = malloc(size_of(d)), .n_attrs = (uint16_t)d->n};
	if (!r->attrs)
		return NULL;
	for (size_t i = 0; i < d->n; i++)
		n_lists += d->attrs[i].type == ATTR_STRINGS;
	lists = (struct slice *)(r->attrs + d->n);
	to = (char *)(lists + n_lists);
	for (size_t i = 0; i < d->n; i++) {
		struct attr *a = &r->attrs[i];

		*a = d->attrs[i];
		a->key = copy(&to, a->key);
		if (is_text(a))
			a->s = copy(&to, a->s);
		if (slice_eq(a->key, SLICE("service.name")))
			r->service = a->s;
		r->runs |= runs(a);
		if (a->type != ATTR_STRINGS)
			continue;
		*lists = a->s;
		a->strings.v = lists++;
		a->strings.n = 1;
	}
	return TAKE_PTR(r);
}

static void set_operator(struct draft *d, const struct host_config *c)
{
	set_text(d, SLICE("k8s.cluster.name"), c->cluster);
	set_extra(d, c);
	set_text(d, SLICE("deployment.environment.name"), c->environment);
	set_text(d, SLICE("service.name"), c->service_name);
}

/* What nobody may push out of the table has its place from the beginning. */
static void set_first(struct draft *d, const struct host_config *c, const struct resource_parts *p)
{
	set_facts(d, p->process, FACTS_KNOWN);
	set_facts(d, p->pod, FACTS_KNOWN);
	set_operator(d, c);
}

struct resource *resource_new(const struct host_config *c, uint64_t id,
			      const struct resource_parts *p)
{
	char instance[UUID_TEXT];
	struct draft d;

	d.n = 0;
	set_text(&d, SLICE("service.name"), SLICE("unknown_service"));
	set_text(&d, SLICE("telemetry.sdk.name"), SLICE("spandrel"));
	set_text(&d, SLICE("telemetry.sdk.version"), SLICE(VERSION));
	set_facts(&d, p->host, FACTS_FOUND);
	set_instance(&d, p->pid, p->process, instance);
	set(&d, &(struct attr){.key = SLICE("process.pid"), .type = ATTR_INT, .i = p->pid});
	set_facts(&d, p->process, FACTS_FOUND);
	set_first(&d, c, p);
	for (unsigned layer = FACTS_FOUND + 1; layer < FACTS_LAYERS; layer++) {
		set_facts(&d, p->process, layer);
		set_facts(&d, p->pod, layer);
	}
	set_operator(&d, c);
	return finish(&d, id);
}

struct resource *resource_ref(struct resource *r)
{
	r->refs++;
	return r;
}

void resource_unref(struct resource *r)
{
	if (!r || --r->refs)
		return;
	free(r->attrs);
	free(r);
}

void resource_retell(struct resource *r, struct resource *with)
{
	free(r->attrs);
	r->attrs = TAKE_PTR(with->attrs);
	r->n_attrs = with->n_attrs;
	r->service = with->service;
	r->runs = with->runs;
	r->pod = with->pod;
	resource_unref(with);
}
