// SPDX-License-Identifier: Apache-2.0
#include "kube_setup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/scope.h"
#include "host/kube.h"
#include "host/pod.h"
#include "host/service.h"

static struct kube_config config_of(const struct config_kube *c)
{
	return (struct kube_config){
		.mode = !strcmp(c->mode, "on") ? KUBE_ON : !strcmp(c->mode, "off") ? KUBE_OFF : KUBE_AUTO,
		.api = c->api,
		.kubeconfig = c->kubeconfig,
		.node = c->node_name,
		.version = VERSION,
		.services = c->services,
	};
}

/* Adds the keys of labels that pods are selected by. */
static size_t add_keys(char **to, const struct strlist *labels)
{
	for (size_t i = 0; i < labels->n; i++) {
		to[i] = strdup(labels->v[i]);
		if (!to[i])
			return i;
		to[i][strcspn(to[i], "=")] = '\0';
	}
	return labels->n;
}

/* The store keeps labels that are to be exported, or that pods are selected by. */
static struct pods *open_pods(const struct config *config)
{
	const struct config_select *s = &config->select;
	const struct strlist *shown = &config->kube.pod_label;
	size_t n = shown->n, shown_n = n, most = n + s->kube_label.n + s->not_kube_label.n;
	_free_ char **globs = calloc(most + 1, sizeof(*globs));
	struct pods *pods = NULL;

	if (!globs)
		return NULL;
	if (n)
		memcpy(globs, shown->v, n * sizeof(*globs));
	n += add_keys(globs + n, &s->kube_label);
	n += add_keys(globs + n, &s->not_kube_label);
	if (n == most)
		pods = pods_new(&(struct pods_config){ .labels = (const char *const *)globs, .n_labels = n });
	while (n > shown_n)
		free(globs[--n]);
	return pods;
}

static int open_stores(struct kube_setup *s, const struct config *config)
{
	const struct config_kube *c = &config->kube;

	s->pods = open_pods(config);
	s->services = c->services ? services_new(&(struct services_config){ 0 }) : NULL;
	return !s->pods || (c->services && !s->services) ? log_ret(-ENOMEM, "out of memory") : 0;
}

int kube_setup_open(struct kube_setup *s, const struct config *config, CURLM *multi)
{
	struct kube_config c = config_of(&config->kube);
	int r;

	*s = (struct kube_setup){ 0 };
	if (!kube_wanted(&c))
		return 0;
	r = open_stores(s, config);
	return r ? r : kube_new(&s->kube, &c, s->pods, s->services, multi);
}

void kube_setup_turn(struct kube_setup *s, uint64_t now)
{
	if (s->kube)
		kube_turn(s->kube, now);
}

bool kube_setup_busy(const struct kube_setup *s)
{
	return s->kube && kube_busy(s->kube);
}

bool kube_setup_settled(const struct kube_setup *s)
{
	struct kube_state state;

	if (!s->kube)
		return true;
	kube_state(s->kube, &state);
	return state.synced || *state.error;
}

void kube_setup_gauges(const struct kube_setup *s)
{
	if (s->kube)
		kube_gauges(s->kube);
}

void kube_setup_close(struct kube_setup *s)
{
	kube_free(s->kube);
	services_free(s->services);
	pods_free(s->pods);
	*s = (struct kube_setup){ 0 };
}
