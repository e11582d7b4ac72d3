// SPDX-License-Identifier: Apache-2.0
#include "host/pod_draft.h"

#include <stdlib.h>

#include "base/scope.h"
#include "base/stats.h"
#include "host/text.h"

void draft_begin(struct pod_draft *d)
{
	d->pod = (struct pod){ 0 };
	d->n_text = 0;
}

struct slice draft_text(struct pod_draft *d, struct slice s, size_t max)
{
	size_t n;
	char *to = d->text + d->n_text;

	if (s.n > max || s.n > sizeof(d->text) - d->n_text) {
		stat_inc(kube_values_cut);
		return SLICE_NONE;
	}
	n = text_clean(to, s.n, s);
	d->n_text += (uint32_t)n;
	return slice_of(to, n);
}

void draft_pair(struct pod_draft *d, struct pod_pair *v, uint16_t *n, struct slice key, struct slice value)
{
	struct slice cut = slice_to(value, POD_VALUE_MAX);

	if (*n == POD_LABELS_MAX || sizeof(d->text) - d->n_text < key.n + cut.n) {
		stat_inc(kube_values_cut);
		return;
	}
	v[*n].key = draft_text(d, key, POD_NAME_MAX + 64); /* it has a prefix */
	if (!v[*n].key.n)
		return;
	if (value.n > cut.n)
		stat_inc(kube_values_cut);
	v[(*n)++].value = draft_text(d, cut, POD_VALUE_MAX);
}

void draft_ip(struct pod_draft *d, struct slice text)
{
	struct pod *p = &d->pod;
	struct pod_ip ip;

	if (!pod_ip_parse(text, &ip))
		return;
	for (uint8_t i = 0; i < p->n_ips; i++)
		if (!memcmp(p->ips[i].b, ip.b, sizeof(ip.b)))
			return;
	if (p->n_ips == POD_IPS_MAX)
		stat_inc(kube_values_cut);
	else
		p->ips[p->n_ips++] = ip;
}

static struct pod_container *container_slot(struct pod_draft *d, const struct pod_part *t)
{
	struct pod *p = &d->pod;

	for (uint16_t i = 0; i < p->n_containers; i++) {
		struct pod_container *c = &d->containers[i];

		if (!c->former && c->kind == t->c.kind && slice_eq(c->name, t->c.name))
			return c;
	}
	if (p->n_containers == POD_CONTAINERS_MAX) {
		stat_inc(kube_values_cut);
		return NULL;
	}
	d->containers[p->n_containers] = (struct pod_container){ .name = t->c.name, .kind = t->c.kind, .restarts = -1 };
	return &d->containers[p->n_containers++];
}

static void add_former(struct pod_draft *d, const struct pod_part *t, struct pod_container c)
{
	if (d->pod.n_containers == POD_CONTAINERS_MAX) {
		stat_inc(kube_values_cut);
		return;
	}
	/* the run before may have had another image, and how often it had been started is not said */
	c.id = t->former;
	c.runtime = t->former_runtime;
	c.image_id = SLICE_NONE;
	c.restarts = -1;
	c.former = true;
	d->containers[d->pod.n_containers++] = c;
}

void draft_container(struct pod_draft *d, const struct pod_part *t)
{
	struct pod_container *c = t->c.name.n ? container_slot(d, t) : NULL;

	if (!c)
		return;
	if (t->c.image.n && (t->spec || !c->image.n))
		c->image = t->c.image;
	if (t->spec)
		return;
	c->image_id = t->c.image_id;
	c->id = t->c.id;
	c->runtime = t->c.runtime;
	c->restarts = t->c.restarts;
	if (t->former.n && !slice_eq(t->former, t->c.id))
		add_former(d, t, *c);
}

/* The draft as a block of its own */

struct packer {
	const char *from;
	char *to;
};

static void move(const struct packer *m, struct slice *s)
{
	if (s->n)
		s->p = m->to + (s->p - m->from);
}

static void move_pairs(const struct packer *m, struct pod_pair *v, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		move(m, &v[i].key);
		move(m, &v[i].value);
	}
}

static void move_all(const struct packer *m, struct pod *p)
{
	struct slice *v[] = { &p->namespace, &p->name, &p->uid, &p->cgroup_uid, &p->node, &p->hostname, &p->owner.kind,
			      &p->owner.name, &p->owner.uid, &p->version };

	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		move(m, v[i]);
	for (uint16_t i = 0; i < p->n_containers; i++) {
		struct pod_container *c = (struct pod_container *)&p->containers[i];
		struct slice *w[] = { &c->name, &c->id, &c->runtime, &c->image, &c->image_id };

		for (size_t k = 0; k < ARRAY_SIZE(w); k++)
			move(m, w[k]);
	}
	move_pairs(m, (struct pod_pair *)p->labels, p->n_labels);
	move_pairs(m, (struct pod_pair *)p->annotations, p->n_annotations);
}

static char *append(char *to, const void *from, size_t n)
{
	memcpy(to, from, n);
	return to + n;
}

struct pod *draft_pack(const struct pod_draft *r)
{
	const struct pod *d = &r->pod;
	size_t containers = d->n_containers * sizeof(r->containers[0]), labels = d->n_labels * sizeof(r->labels[0]);
	size_t annotations = d->n_annotations * sizeof(r->annotations[0]);
	size_t bytes = sizeof(struct pod) + containers + labels + annotations + r->n_text;
	struct pod *p = malloc(bytes);
	char *at = (char *)(p + 1);

	if (!p)
		return NULL;
	*p = *d;
	p->refs = 1;
	p->bytes = bytes;
	p->containers = (const struct pod_container *)at;
	at = append(at, r->containers, containers);
	p->labels = (const struct pod_pair *)at;
	at = append(at, r->labels, labels);
	p->annotations = (const struct pod_pair *)at;
	at = append(at, r->annotations, annotations);
	memcpy(at, r->text, r->n_text);
	move_all(&(struct packer){ r->text, at }, p);
	return p;
}
