// SPDX-License-Identifier: Apache-2.0
/* What is in the store of pods, and who is told. A changed pod is a new entry in the place of the old one. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/scope.h"
#include "base/stats.h"
#include "glob.h"
#include "host/pods_inner.h"

#define MAX_PODS  1024
#define MAX_BYTES (8 * 1024 * 1024)

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
	table_init(&s->index, (size_t)s->max_pods * PODS_KEYS_MAX);
	list_init(&s->ended);
	list_init(&s->watchers);
	s->all = calloc(s->max_pods + 1, sizeof(struct entry *));
	if (!s->all || pods_want_labels(s, c->labels, c->n_labels) < 0) {
		pods_free(s);
		return NULL;
	}
	return s;
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
	pods_unindex(s, e);
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

/* What a list holds stands beside what it is to replace: for that time there may be as much again. */
static bool make_room(struct pods *s, size_t bytes)
{
	while (s->n_ended && (s->n_all >= s->max_pods || s->bytes - s->staged_bytes + bytes > s->max_bytes))
		drop_oldest(s);
	return s->n_all < s->max_pods && s->bytes - s->staged_bytes + bytes <= s->max_bytes;
}

static struct entry *entry_new(struct pods *s, struct pod *p)
{
	struct entry *e = calloc(1, sizeof(*e) + (p->n_containers + p->n_ips + 2u) * sizeof(e->keys[0]));

	if (!e)
		return NULL;
	list_init(&e->link);
	e->pod = p;
	e->wish = s->wish;
	if (!pods_index(s, e))
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
		p->released_at = PODS_LONG_AGO;
	else
		p->released_at = old->released_at ? old->released_at : now;
}

static void replace(struct pods *s, struct entry *old, struct entry *e)
{
	bool back = old->pod->deleted_at;

	pods_unindex(s, old);
	s->n_ended -= back;
	e->slot = old->slot;
	s->all[e->slot] = e;
	tell(s, back ? POD_ADDED : POD_CHANGED, e->pod, back ? NULL : old->pod);
	entry_free(s, old);
}

/* The pod's bytes count already. */
static int put(struct pods *s, struct pod *p, uint64_t now)
{
	struct entry *old = pods_find(s, p->uid), *e;

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
	struct entry *e = pods_find(s, uid);

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
		e = pods_find(s, s->staged[i]->uid);
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
	for (uint32_t i = 0; i < s->n_all; i++)
		if (!s->all[i]->listed && !s->all[i]->pod->deleted_at)
			gone(s, s->all[i], now);
	for (uint32_t i = 0; i < n; i++) {
		s->staged_bytes -= staged[i]->bytes;
		put(s, staged[i], now);
	}
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
