// SPDX-License-Identifier: Apache-2.0
#include "choose.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "host/places.h"
#include "probe/probe.h"

#define RESCAN_NS NS_PER_S /* at most so often, where records about directories were missed */

struct chooser {
	struct probe *probe;
	struct pods *pods;
	struct selector *selector; /* NULL: nothing is selected by these */
	struct places *places;
	struct pods_watcher watcher;
	bool dirty;
	uint64_t missed; /* records about processes and directories, when the hierarchies were last walked, and */
	uint64_t next_scan;
};

static int place(void *arg, uint64_t key, uint32_t bits)
{
	return probe_place(((struct chooser *)arg)->probe, key, bits);
}

static void pod_changed(void *arg, enum pod_change change, const struct pod *pod, const struct pod *old)
{
	(void)change;
	(void)pod;
	(void)old;
	((struct chooser *)arg)->dirty = true;
}

int chooser_new(struct chooser **out, struct probe *probe, struct pods *pods)
{
	struct chooser *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->probe = probe;
	c->pods = pods;
	c->watcher = (struct pods_watcher){ .changed = pod_changed, .arg = c };
	if (pods)
		pods_subscribe(pods, &c->watcher);
	*out = c;
	return 0;
}

void chooser_free(struct chooser *c)
{
	if (!c)
		return;
	if (c->pods)
		pods_unsubscribe(&c->watcher);
	places_free(c->places);
	selector_free(c->selector);
	free(c);
}

/* ---- directories ---- */

static int places_open(struct chooser *c)
{
	const char *controller = probe_hierarchy(c->probe);
	char v2[1024], v1[1024];
	bool has_v2 = !places_root("/proc", NULL, v2, sizeof(v2));
	bool has_v1 = *controller && !places_root("/proc", controller, v1, sizeof(v1));

	if (!has_v2 && !has_v1)
		log_warn("containers that already run are not found: expected the host's /sys/fs/cgroup, or its process ids");
	c->places = places_new(&(struct places_config){
		.v2 = has_v2 ? v2 : NULL, .v1 = has_v1 ? v1 : NULL, .place = place, .arg = c });
	return c->places ? 0 : -ENOMEM;
}

static void scan(struct chooser *c, uint64_t now)
{
	c->missed = stats[STAT_missed_proc];
	c->next_scan = now + RESCAN_NS;
	places_scan(c->places);
	c->dirty = true;
}

static void decide(struct chooser *c)
{
	c->dirty = false;
	if (places_decide(c->places, c->selector, c->pods))
		probe_review(c->probe);
}

/* ---- selectors ---- */

/* Names of pods come from the API server alone. */
static int check_names(const struct chooser *c, const struct selector *s, char *error, size_t size)
{
	if (c->pods || !(selector_wants(s, SELECT_SPACE) || selector_wants(s, SELECT_POD) || selector_wants(s, SELECT_LABEL)))
		return 0;
	snprintf(error, size, "--kube-namespace, --kube-pod, --kube-label: expected a Kubernetes API server: see --kube, --kubeconfig");
	return -EINVAL;
}

int chooser_plan(struct chooser *c, const struct config *config, struct selector **out, char *error, size_t size)
{
	struct selector_lists lists;
	struct selector *s;
	int err;

	if (!config_selector(config, &lists) && !c->selector)
		return 0;
	s = selector_new(&lists);
	snprintf(error, size, "out of memory");
	err = s ? check_names(c, s, error, size) : -ENOMEM;
	if (!err && !c->places)
		err = places_open(c);
	if (err)
		selector_free(s);
	else
		*out = s;
	return err;
}

void chooser_select(struct chooser *c, struct selector *s)
{
	if (!s)
		return;
	selector_free(c->selector);
	c->selector = s;
	scan(c, clock_boot());
	decide(c);
}

/* ---- live ---- */

bool chooser_asks(const struct chooser *c)
{
	return c->selector && c->pods;
}

void chooser_event(struct chooser *c, const struct ev_cgroup *ev)
{
	if (c->selector)
		c->dirty |= places_event(c->places, ev);
}

void chooser_turn(struct chooser *c, uint64_t now)
{
	if (!c->selector)
		return;
	if (c->missed != stats[STAT_missed_proc] && now >= c->next_scan)
		scan(c, now);
	if (c->dirty)
		decide(c);
}
