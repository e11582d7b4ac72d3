// SPDX-License-Identifier: Apache-2.0
#include "kube_setup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "export/post.h"
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

struct globs {
	char **v;
	size_t n;
};

static void globs_fini(struct globs *g)
{
	for (size_t i = 0; i < g->n; i++)
		free(g->v[i]);
	free(g->v);
}

/* The store keeps labels that are to be exported, and those that pods are selected by. */
static int make_globs(struct globs *g, const struct strlist *shown, const struct config_select *s)
{
	size_t most = shown->n + s->kube_label.n + s->not_kube_label.n;

	*g = (struct globs){ .v = calloc(most + 1, sizeof(*g->v)) };
	if (!g->v)
		return -ENOMEM;
	for (; g->n < shown->n && (g->v[g->n] = strdup(shown->v[g->n])); g->n++)
		;
	g->n += add_keys(g->v + g->n, &s->kube_label);
	g->n += add_keys(g->v + g->n, &s->not_kube_label);
	return g->n == most ? 0 : -ENOMEM;
}

static struct pods *open_pods(const struct config *config)
{
	_cleanup_(globs_fini) struct globs g;

	if (make_globs(&g, &config->kube.pod_label, &config->select))
		return NULL;
	return pods_new(&(struct pods_config){ .labels = (const char *const *)g.v, .n_labels = g.n });
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
	if (!kube_wanted(&c)) {
		if (c.services)
			log_warn("--kube-services: no API server to ask: expected a service account, --kubeconfig or --kube-api");
		return 0;
	}
	r = open_stores(s, config);
	return r ? r : kube_new(&s->kube, &c, s->pods, s->services, multi);
}

int kube_setup_reload(struct kube_setup *s, const struct config *shown, const struct config *selects)
{
	_cleanup_(globs_fini) struct globs g = { 0 };
	int r;

	if (!s->kube)
		return 0;
	r = make_globs(&g, &shown->kube.pod_label, &selects->select);
	if (!r)
		r = pods_want_labels(s->pods, (const char *const *)g.v, g.n);
	if (r > 0)
		kube_list_again(s->kube, clock_boot());
	return MIN(r, 0);
}

#define CHECK_NS (5 * NS_PER_S)

/* Until it has answered, or has failed. */
static void ask(const struct kube_setup *s, CURLM *multi, struct kube_state *state)
{
	uint64_t end = clock_boot() + CHECK_NS, now;
	int running;

	do {
		now = clock_boot();
		kube_turn(s->kube, now);
		curl_multi_perform(multi, &running);
		posts_reap(multi, now);
		kube_state(s->kube, state);
		if (!state->synced && !*state->error)
			curl_multi_poll(multi, NULL, 0, 20, NULL);
	} while (!state->synced && !*state->error && now < end);
}

static void check(struct kube_setup *s, const struct config *config, CURLM *multi, FILE *out)
{
	struct kube_state k;

	if (kube_setup_open(s, config, multi)) {
		fputs("kubernetes: the API server cannot be asked\n", out);
	} else if (!s->kube) {
		fputs("kubernetes: off (no service account, --kubeconfig or --kube-api)\n", out);
	} else {
		ask(s, multi, &k);
		fprintf(out, "kubernetes: %s, node %s: ", k.server, k.node);
		if (k.synced)
			fprintf(out, "%u pods\n", pods_known(s->pods));
		else
			fprintf(out, "%s\n", *k.error ? k.error : "no answer");
	}
}

void kube_setup_check(const struct config *config, FILE *out)
{
	struct kube_setup s = { 0 };
	CURLM *multi = curl_multi_init();

	if (!multi)
		return;
	check(&s, config, multi, out);
	kube_setup_close(&s);
	curl_multi_cleanup(multi);
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
