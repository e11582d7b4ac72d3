// SPDX-License-Identifier: Apache-2.0
/* Processes and contexts: who is known, and for how long. */
#include "trace/owner.h"

#include <stdlib.h>

#include "base/scope.h"
#include "host/process.h"

void owners_init(struct owners *o, struct list *ready)
{
	table_init(&o->contexts, OWNERS_MAX);
	table_init(&o->processes, OWNERS_MAX);
	table_init(&o->copies, SIZE_MAX / 2);
	list_init(&o->idle);
	o->ready = ready;
}

struct process *process_get(struct owners *o, uint32_t pid)
{
	struct process *p = table_get(&o->processes, pid);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->pid = pid;
	list_init(&p->owners);
	list_init(&p->open);
	if (table_set(&o->processes, pid, p)) {
		free(p);
		return NULL;
	}
	return p;
}

/* Without contexts and open exchanges a process says nothing, unless all of it is marked. */
void process_put(struct owners *o, struct process *p)
{
	if (p->n_owners || !list_empty(&p->open) || (p->loops && !p->exited))
		return;
	table_del(&o->processes, p->pid);
	free(p);
}

void owner_free(struct owners *o, struct owner *w)
{
	struct process *p = w->process;

	table_del(&o->contexts, table_mix(w->ctx, w->pid));
	list_del(&w->sibling);
	list_del(&w->idle);
	p->n_owners--;
	p->n_loops -= w->loop;
	free(w);
}

/* Room for one more, by forgetting the context that was idle for longest. */
static bool make_room(struct owners *o)
{
	struct owner *w;
	struct process *p;

	if (o->contexts.n < OWNERS_MAX)
		return true;
	if (list_empty(&o->idle))
		return false;
	w = list_entry(o->idle.next, struct owner, idle);
	p = w->process;
	owner_free(o, w);
	process_put(o, p);
	return true;
}

struct owner *owner_find(const struct owners *o, uint32_t pid, uint64_t ctx)
{
	struct owner *w = table_get(&o->contexts, table_mix(ctx, pid));

	return w && w->pid == pid && w->ctx == ctx ? w : NULL;
}

/*
 * Runtimes whose tasks go on in whatever thread is free: there a thread stands for nobody, and the
 * checks find that out only after a while. Their own contexts will.
 */
static bool moves_tasks(const struct resource *r)
{
	static const struct slice languages[] = {SLICE("go"), SLICE("rust"), SLICE("dotnet")};

	for (unsigned i = 0; r && i < r->n_attrs; i++) {
		const struct attr *a = &r->attrs[i];

		if (a->type != ATTR_STRING || !slice_eq(a->key, SLICE("telemetry.sdk.language")))
			continue;
		for (unsigned k = 0; k < ARRAY_SIZE(languages); k++)
			if (slice_eq(a->s, languages[k]))
				return true;
	}
	return false;
}

struct owner *owner_new(struct owners *o, struct process *p, uint64_t ctx, const struct resource *r)
{
	uint64_t key = table_mix(ctx, p->pid);
	struct owner *w;

	p->loops = p->loops || (!p->n_owners && moves_tasks(r));
	if (p->loops || p->exited || table_get(&o->contexts, key) || !make_room(o))
		return NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->pid = p->pid;
	w->ctx = ctx;
	if (table_set(&o->contexts, key, w)) {
		free(w);
		return NULL;
	}
	w->process = p;
	p->n_owners++;
	list_init(&w->owned);
	list_init(&w->idle);
	list_push(&p->owners, &w->sibling);
	return w;
}

/* After its last exchange: kept, for the mark or until the room is needed. */
void owner_rest(struct owners *o, struct owner *w)
{
	if (!list_empty(&w->owned))
		return;
	if (w->process->exited)
		owner_free(o, w);
	else if (!w->loop)
		list_push(&o->idle, &w->idle);
}

void owner_exit(struct owners *o, uint32_t pid)
{
	struct process *p = table_get(&o->processes, pid);

	if (!p)
		return;
	p->exited = true;
	list_for_each_safe(at, &p->owners) {
		struct owner *w = list_entry(at, struct owner, sibling);

		if (list_empty(&w->owned))
			owner_free(o, w);
	}
	process_put(o, p);
}

void owners_fini(struct owners *o)
{
	struct process *p;
	size_t at = 0;

	while ((p = table_next(&o->processes, &at, NULL))) {
		list_for_each_safe(w, &p->owners)
			free(list_entry(w, struct owner, sibling));
		free(p);
	}
	table_fini(&o->processes);
	table_fini(&o->contexts);
	table_fini(&o->copies);
}
