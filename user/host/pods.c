// SPDX-License-Identifier: Apache-2.0
/*
 * The store of pods. What it knows of a pod is an entry, which is in three indexes at once: by container, by uid, by
 * address. Keys are hashes; whoever looks up compares. A changed pod is a new entry in the place of the old one.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/scope.h"
#include "base/stats.h"
#include "base/table.h"
#include "glob.h"
#include "host/pod.h"

#define MAX_PODS  1024
#define MAX_BYTES (8 * 1024 * 1024)
#define CHAIN_MAX 64 /* pods that claim the same: more is not to be believed */
#define KEYS_MAX  (POD_CONTAINERS_MAX + POD_IPS_MAX + 2)

#define LONG_AGO 1 /* a pod that had ended when it was first heard of: its addresses are others' */

enum key_kind { KEY_CONTAINER = 1, KEY_UID, KEY_IP };

/* One way to find a pod; those of one hash are chained. */
struct key {
	struct key *next;
	struct entry *entry;
	uint64_t hash;
};

struct entry {
	struct list link; /* of s->ended, oldest first; else linked to itself */
	struct pod *pod;
	uint32_t slot; /* in s->all */
	bool listed;   /* by the list that has just been read */
	uint32_t wish; /* s->wish when it was read */
	uint16_t n_keys;
	struct key keys[];
};

struct pods {
	uint32_t max_pods;
	size_t max_bytes, bytes; /* of pods: in entries and staged */
	char **labels;		 /* globs */
	size_t n_labels;
	uint32_t wish; /* which labels: counts the changes */
	struct table index; /* hash → struct key */
	struct entry **all;
	uint32_t n_all, n_ended;
	struct list ended;
	struct pod **staged; /* by the list that is being read; NULL: none is */
	uint32_t n_staged;
	size_t staged_bytes; /* among bytes */
	struct list watchers;
};

static uint64_t hash_of(enum key_kind kind, struct slice s)
{
	uint64_t x = 0xcbf29ce484222325ULL + kind;

	for (size_t i = 0; i < s.n; i++)
		x = (x ^ (unsigned char)s.p[i]) * 0x100000001b3ULL;
	return table_mix(x, kind);
}

static struct slice ip_bytes(const struct pod_ip *ip)
{
	return slice_of((const char *)ip->b, sizeof(ip->b));
}

static void free_labels(char **labels, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(labels[i]);
	free(labels);
}

static bool same_labels(const struct pods *s, const char *const *labels, size_t n)
{
	for (size_t i = 0; i < n && n == s->n_labels; i++)
		if (strcmp(labels[i], s->labels[i]))
			return false;
	return n == s->n_labels;
}

int pods_want_labels(struct pods *s, const char *const *labels, size_t n)
{
	char **copy = same_labels(s, labels, n) ? NULL : calloc(n + 1, sizeof(*copy));

	if (!copy)
		return same_labels(s, labels, n) ? 0 : -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		copy[i] = strdup(labels[i]);
		if (!copy[i]) {
			free_labels(copy, i);
			return -ENOMEM;
		}
	}
	free_labels(s->labels, s->n_labels);
	s->labels = copy;
	s->n_labels = n;
	s->wish++;
	return 1;
}

struct pods *pods_new(const struct pods_config *c)
{
	struct pods *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->max_pods = c->max_pods ? c->max_pods : MAX_PODS;
	s->max_bytes = c->max_bytes ? c->max_bytes : MAX_BYTES;
	table_init(&s->index, (size_t)s->max_pods * KEYS_MAX);
	list_init(&s->ended);
	list_init(&s->watchers);
	s->all = calloc(s->max_pods + 1, sizeof(struct entry *));
	if (!s->all || pods_want_labels(s, c->labels, c->n_labels) < 0) {
		pods_free(s);
		return NULL;
	}
	return s;
}

/* Indexes */

static void unindex(struct pods *s, struct entry *e)
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

static int index_entry(struct pods *s, struct entry *e)
{
	const struct pod *p = e->pod;
	int r = add_key(s, e, KEY_UID, p->uid);

	if (!r && !slice_eq(p->uid, p->cgroup_uid))
		r = add_key(s, e, KEY_UID, p->cgroup_uid);
	for (uint16_t i = 0; i < p->n_containers && !r; i++)
		r = add_key(s, e, KEY_CONTAINER, p->containers[i].id);
	for (uint8_t i = 0; i < p->n_ips && !r && !p->host_network && p->released_at != LONG_AGO; i++)
		r = add_key(s, e, KEY_IP, ip_bytes(&p->ips[i]));
	if (r)
		unindex(s, e);
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

const struct pod *pods_next(const struct pods *s, size_t *at)
{
	return *at < s->n_all ? s->all[(*at)++]->pod : NULL;
}

uint32_t pods_known(const struct pods *s)
{
	return s->n_all - s->n_ended;
}

/* What is kept of a pod's labels and annotations */

static bool any_glob(char *const *globs, size_t n, struct slice key)
{
	for (size_t i = 0; i < n; i++)
		if (glob_match(globs[i], (uint32_t)strlen(globs[i]), key.p, (uint32_t)key.n))
			return true;
	return false;
}

bool pods_keeps_label(const struct pods *s, struct slice key)
{
	static const struct slice always[] = {
		{ "pod-template-hash", 17 },	     { "app.kubernetes.io/name", 22 },
		{ "app.kubernetes.io/instance", 26 }, { "app.kubernetes.io/version", 25 },
		{ "app.kubernetes.io/part-of", 25 },  { "app.kubernetes.io/component", 27 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		if (slice_eq(always[i], key))
			return true;
	return any_glob(s->labels, s->n_labels, key);
}

bool pods_keeps_annotation(struct slice key)
{
	return slice_starts(key, SLICE("resource.opentelemetry.io/"));
}

/* Subscribers */

void pods_subscribe(struct pods *s, struct pods_watcher *w)
{
	list_push(&s->watchers, &w->link);
}

void pods_unsubscribe(struct pods_watcher *w)
{
	list_del(&w->link);
}

static void tell(struct pods *s, enum pod_change change, const struct pod *pod, const struct pod *old)
{
	list_for_each_safe(i, &s->watchers) {
		struct pods_watcher *w = list_entry(i, struct pods_watcher, link);

		w->changed(w->arg, change, pod, old);
	}
}

/* Entries */

static void pod_leave(struct pods *s, struct pod *p)
{
	s->bytes -= p->bytes;
	pod_unref(p);
}

static void entry_free(struct pods *s, struct entry *e)
{
	pod_leave(s, e->pod);
	list_del(&e->link);
	free(e);
}

/* The pod is forgotten. */
static void drop(struct pods *s, struct entry *e)
{
	unindex(s, e);
	s->n_ended -= !list_empty(&e->link);
	s->all[e->slot] = s->all[--s->n_all];
	s->all[e->slot]->slot = e->slot;
	tell(s, POD_DROPPED, e->pod, NULL);
	entry_free(s, e);
}

static void drop_oldest(struct pods *s)
{
	drop(s, list_entry(s->ended.next, struct entry, link));
}

static bool make_room(struct pods *s, size_t bytes)
{
	while (s->n_ended && (s->n_all >= s->max_pods || s->bytes + bytes > s->max_bytes))
		drop_oldest(s);
	return s->n_all < s->max_pods && s->bytes + bytes <= s->max_bytes;
}

static struct entry *find(const struct pods *s, struct slice uid)
{
	for (struct key *k = chain(s, KEY_UID, uid); k; k = k->next)
		if (slice_eq(k->entry->pod->uid, uid))
			return k->entry;
	return NULL;
}

static struct entry *entry_new(struct pods *s, struct pod *p)
{
	struct entry *e = calloc(1, sizeof(*e) + (p->n_containers + p->n_ips + 2u) * sizeof(e->keys[0]));

	if (!e)
		return NULL;
	list_init(&e->link);
	e->pod = p;
	e->wish = s->wish;
	if (!index_entry(s, e))
		return e;
	free(e);
	return NULL;
}

static bool is_over(const struct pod *p)
{
	return p->phase == POD_SUCCEEDED || p->phase == POD_FAILED;
}

/* The start of a pod is this host's clock, like ours: the kubelet of this node has written it. */
static uint64_t addressed(const struct pod *p, uint64_t now)
{
	int64_t at = p->started > 0 && p->started < INT64_MAX / (int64_t)NS_PER_S ?
			     p->started * (int64_t)NS_PER_S - clock_offset() : (int64_t)now;

	return at < 1 ? 1 : MIN((uint64_t)at, now);
}

static void set_times(struct pod *p, const struct pod *old, uint64_t now)
{
	p->known_at = old ? old->known_at : now;
	p->deleted_at = 0;
	p->addressed_at = !p->n_ips ? 0 : old && old->addressed_at ? old->addressed_at : addressed(p, now);
	if (!is_over(p))
		p->released_at = 0;
	else if (!old)
		p->released_at = LONG_AGO;
	else
		p->released_at = old->released_at ? old->released_at : now;
}

static void replace(struct pods *s, struct entry *old, struct entry *e)
{
	bool back = old->pod->deleted_at;

	unindex(s, old);
	s->n_ended -= back;
	e->slot = old->slot;
	s->all[e->slot] = e;
	tell(s, back ? POD_ADDED : POD_CHANGED, e->pod, back ? NULL : old->pod);
	entry_free(s, old);
}

/* The pod's bytes count already. */
static int put(struct pods *s, struct pod *p, uint64_t now)
{
	struct entry *old = find(s, p->uid), *e;

	if (old && !old->pod->deleted_at && old->wish == s->wish && p->version.n && slice_eq(old->pod->version, p->version)) {
		old->listed = true;
		pod_leave(s, p);
		return 0;
	}
	set_times(p, old ? old->pod : NULL, now);
	e = old || make_room(s, 0) ? entry_new(s, p) : NULL;
	if (!e) {
		stat_inc(kube_pods_refused);
		pod_leave(s, p);
		return -ENOSPC;
	}
	e->listed = true;
	if (old) {
		replace(s, old, e);
		return 0;
	}
	e->slot = s->n_all;
	s->all[s->n_all++] = e;
	tell(s, POD_ADDED, p, NULL);
	return 0;
}

/* What a list holds stands beside what it is to replace: for that time there may be as much again. */
static bool fits(struct pods *s, const struct pod *p)
{
	if (!p->uid.n)
		return false;
	if (s->staged)
		return s->n_staged < s->max_pods && s->staged_bytes + p->bytes <= s->max_bytes;
	return s->bytes + p->bytes <= s->max_bytes || make_room(s, p->bytes);
}

static void stage(struct pods *s, struct pod *p)
{
	s->staged[s->n_staged++] = p;
	s->staged_bytes += p->bytes;
}

int pods_put(struct pods *s, struct pod *p, uint64_t now)
{
	int r = 0;

	if (!fits(s, p)) {
		stat_inc(kube_pods_refused);
		pod_unref(p);
		return -ENOSPC;
	}
	s->bytes += p->bytes;
	if (s->staged)
		stage(s, p);
	else
		r = put(s, p, now);
	return r;
}

static void gone(struct pods *s, struct entry *e, uint64_t now)
{
	e->pod->deleted_at = now;
	if (!e->pod->released_at)
		e->pod->released_at = now;
	list_push(&s->ended, &e->link);
	s->n_ended++;
	tell(s, POD_GONE, e->pod, NULL);
}

void pods_delete(struct pods *s, struct slice uid, uint64_t now)
{
	struct entry *e = find(s, uid);

	if (e && !e->pod->deleted_at)
		gone(s, e, now);
}

/* Lists */

void pods_list_begin(struct pods *s)
{
	pods_list_abort(s);
	s->staged = calloc(s->max_pods + 1, sizeof(struct pod *));
}

void pods_list_abort(struct pods *s)
{
	for (uint32_t i = 0; i < s->n_staged; i++)
		pod_leave(s, s->staged[i]);
	s->n_staged = 0;
	s->staged_bytes = 0;
	free(TAKE_PTR(s->staged));
}

static void mark_listed(struct pods *s)
{
	struct entry *e;

	for (uint32_t i = 0; i < s->n_all; i++)
		s->all[i]->listed = false;
	for (uint32_t i = 0; i < s->n_staged; i++) {
		e = find(s, s->staged[i]->uid);
		if (e)
			e->listed = true;
	}
}

void pods_list_end(struct pods *s, uint64_t now)
{
	_free_ struct pod **staged = s->staged;
	uint32_t n = s->n_staged;

	if (!staged)
		return;
	mark_listed(s);
	s->staged = NULL;
	s->n_staged = 0;
	s->staged_bytes = 0;
	for (uint32_t i = 0; i < s->n_all; i++)
		if (!s->all[i]->listed && !s->all[i]->pod->deleted_at)
			gone(s, s->all[i], now);
	for (uint32_t i = 0; i < n; i++)
		put(s, staged[i], now);
}

void pods_tick(struct pods *s, uint64_t now)
{
	while (s->n_ended) {
		struct entry *e = list_entry(s->ended.next, struct entry, link);

		if (now < e->pod->deleted_at + PODS_KEEP)
			return;
		drop(s, e);
	}
}

void pods_free(struct pods *s)
{
	if (!s)
		return;
	pods_list_abort(s);
	for (uint32_t i = 0; i < s->n_all; i++)
		entry_free(s, s->all[i]);
	free_labels(s->labels, s->n_labels);
	free(s->all);
	table_fini(&s->index);
	free(s);
}
