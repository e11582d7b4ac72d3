// SPDX-License-Identifier: Apache-2.0
/* Ways to find a pod. Keys are hashes; whoever looks up compares. */
#include <errno.h>

#include "base/hash.h"
#include "base/stats.h"
#include "host/pods_inner.h"

#define CHAIN_MAX 64 /* pods that claim the same: more is not to be believed */

enum key_kind { KEY_CONTAINER = 1, KEY_UID, KEY_IP };

static uint64_t hash_of(enum key_kind kind, struct slice s)
{
	return table_mix(hash_bytes(HASH_BEGIN + kind, s.p, s.n), kind);
}

static struct slice ip_bytes(const struct pod_ip *ip)
{
	return slice_of((const char *)ip->b, sizeof(ip->b));
}

void pods_unindex(struct pods *s, struct entry *e)
{
	for (uint16_t i = 0; i < e->n_keys; i++) {
		struct key *k = &e->keys[i], *head = table_get(&s->index, k->hash);

		if (head == k && k->next) {
			table_set(&s->index, k->hash, k->next); /* a key that is there: cannot fail */
		} else if (head == k) {
			table_del(&s->index, k->hash);
		} else {
			while (head->next != k)
				head = head->next;
			head->next = k->next;
		}
	}
	e->n_keys = 0;
}

static size_t length(const struct key *k)
{
	size_t n = 0;

	for (; k; k = k->next)
		n++;
	return n;
}

static int add_key(struct pods *s, struct entry *e, enum key_kind kind, struct slice text)
{
	struct key *k = &e->keys[e->n_keys];
	int r;

	if (!text.n)
		return 0;
	*k = (struct key){ .entry = e, .hash = hash_of(kind, text) };
	k->next = table_get(&s->index, k->hash);
	if (length(k->next) >= CHAIN_MAX) {
		stat_inc(kube_values_cut);
		return 0;
	}
	r = table_set(&s->index, k->hash, k);
	e->n_keys += !r;
	return r;
}

int pods_index(struct pods *s, struct entry *e)
{
	const struct pod *p = e->pod;
	int r = add_key(s, e, KEY_UID, p->uid);

	if (!r && !slice_eq(p->uid, p->cgroup_uid))
		r = add_key(s, e, KEY_UID, p->cgroup_uid);
	for (uint16_t i = 0; i < p->n_containers && !r; i++)
		r = add_key(s, e, KEY_CONTAINER, p->containers[i].id);
	for (uint8_t i = 0; i < p->n_ips && !r && !p->host_network && p->released_at != PODS_LONG_AGO; i++)
		r = add_key(s, e, KEY_IP, ip_bytes(&p->ips[i]));
	if (r)
		pods_unindex(s, e);
	return r;
}

static struct key *chain(const struct pods *s, enum key_kind kind, struct slice text)
{
	return text.n ? table_get(&s->index, hash_of(kind, text)) : NULL;
}

static bool has_ip(const struct pod *p, const struct pod_ip *ip)
{
	for (uint8_t i = 0; i < p->n_ips && !p->host_network; i++)
		if (!memcmp(p->ips[i].b, ip->b, sizeof(ip->b)))
			return true;
	return false;
}

/* Of two pods that claim the same: the one that lives, then the one that was heard of later. */
static const struct pod *better(const struct pod *a, const struct pod *b)
{
	if (!a || !a->deleted_at != !b->deleted_at)
		return a && !a->deleted_at ? a : b;
	return b->known_at > a->known_at ? b : a;
}

const struct pod *pods_by_container(const struct pods *s, struct slice id)
{
	const struct pod *found = NULL;

	for (const struct key *k = chain(s, KEY_CONTAINER, id); k; k = k->next)
		if (pod_container(k->entry->pod, id))
			found = better(found, k->entry->pod);
	return found;
}

const struct pod *pods_by_uid(const struct pods *s, struct slice uid)
{
	const struct pod *own = NULL, *called = NULL;

	for (const struct key *k = chain(s, KEY_UID, uid); k; k = k->next) {
		if (slice_eq(k->entry->pod->uid, uid))
			own = k->entry->pod;
		else if (slice_eq(k->entry->pod->cgroup_uid, uid))
			called = better(called, k->entry->pod);
	}
	return own ? own : called; /* what a pod says of itself in an annotation never hides another */
}

static bool had_ip(const struct pod *p, const struct pod_ip *ip, uint64_t at)
{
	if (!has_ip(p, ip))
		return false;
	return at ? p->addressed_at <= at && (!p->released_at || at <= p->released_at) : !p->released_at;
}

const struct pod *pods_by_ip(const struct pods *s, const struct pod_ip *ip, uint64_t at)
{
	const struct pod *found = NULL;

	for (const struct key *k = chain(s, KEY_IP, ip_bytes(ip)); k; k = k->next) {
		if (!had_ip(k->entry->pod, ip, at) || k->entry->pod == found)
			continue;
		if (found)
			return NULL;
		found = k->entry->pod;
	}
	return found;
}

struct entry *pods_find(const struct pods *s, struct slice uid)
{
	for (struct key *k = chain(s, KEY_UID, uid); k; k = k->next)
		if (slice_eq(k->entry->pod->uid, uid))
			return k->entry;
	return NULL;
}
