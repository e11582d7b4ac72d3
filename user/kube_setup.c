// SPDX-License-Identifier: Apache-2.0
#include "kube_setup.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
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

static int open_stores(struct kube_setup *s, const struct config_kube *c)
{
	s->pods = pods_new(&(struct pods_config){ .labels = (const char *const *)c->pod_label.v, .n_labels = c->pod_label.n });
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
	r = open_stores(s, &config->kube);
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
