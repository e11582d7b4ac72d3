// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target for what the API server answers. The first byte says to what: a list or a watch, of pods, Services or EndpointSlices, or a
 * refusal; the rest is the answer. In pieces it means the same as in one; what a store holds can be read and is found.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/scope.h"
#include "host/kube_answer.h"
#include "host/pod_json.h"
#include "host/service_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1000000000000ULL

static void need(bool truth)
{
	if (!truth)
		abort();
}

static uint64_t sum;

static void touch(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		sum = sum * 31 + (unsigned char)s.p[i];
}

static void touch_pairs(const struct pod_pair *v, uint16_t n)
{
	need(n <= POD_LABELS_MAX);
	for (uint16_t i = 0; i < n; i++) {
		touch(v[i].key);
		touch(v[i].value);
		need(v[i].value.n <= POD_VALUE_MAX);
	}
}

static void check_pod(const struct pods *s, const struct pod *p)
{
	touch(p->namespace);
	touch(p->name);
	touch(p->node);
	touch(p->owner.name);
	touch_pairs(p->labels, p->n_labels);
	touch_pairs(p->annotations, p->n_annotations);
	need(p->bytes <= POD_BYTES_MAX && p->uid.n && pods_by_uid(s, p->uid) == p);
	for (uint16_t i = 0; i < p->n_containers; i++) {
		touch(p->containers[i].image);
		touch(p->containers[i].name);
		if (p->containers[i].id.n)
			need(pods_by_container(s, p->containers[i].id));
	}
	for (uint8_t i = 0; i < p->n_ips; i++)
		pods_by_ip(s, &p->ips[i], NOW);
}

/* The same answer in one piece or in many. */
static int run(enum kube_ask ask, const struct kube_kind *kind, void *arg, struct slice text, uint64_t seed)
{
	struct kube_answer *a = kube_answer_new(ask, kind, arg);
	struct rng rng;
	int r = 0;

	rng_seed(&rng, seed, text.n);
	while (text.n && !r) {
		size_t n = seed ? rng_next(&rng) % 50 + 1 : text.n;

		r = kube_answer_feed(a, slice_to(text, n), NOW);
		text = slice_from(text, n);
	}
	if (!r)
		r = kube_answer_end(a, NOW);
	kube_answer_free(a);
	return r;
}

static uint64_t run_pods(enum kube_ask ask, struct slice text, uint64_t seed, int *r)
{
	struct pods *s = pods_new(&(struct pods_config){ .max_pods = 16, .labels = (const char *const[]){ "*a*" }, .n_labels = 1 });
	struct pod_reader *reader = pod_reader_new(s);
	const struct pod *p;
	size_t at = 0;

	sum = 0;
	*r = run(ask, &kube_kind_pods, reader, text, seed);
	while ((p = pods_next(s, &at)))
		check_pod(s, p);
	pods_tick(s, NOW + PODS_KEEP);
	sum = sum * 31 + pods_known(s);
	pod_reader_free(reader);
	pods_free(s);
	return sum;
}

static uint64_t run_services(enum kube_ask ask, enum service_source source, struct slice text, uint64_t seed, int *r)
{
	struct services *s = services_new(&(struct services_config){ 16, 16 });
	struct service_reader *reader = service_reader_new(s, source);
	struct service_name name;
	struct pod_ip ip;

	sum = 0;
	*r = run(ask, source == SERVICE_ITSELF ? &kube_kind_services : &kube_kind_slices, reader, text, seed);
	if (pod_ip_parse(SLICE("10.96.0.1"), &ip) && services_find(s, &ip, 80, &name)) {
		touch(name.name);
		touch(name.namespace);
		touch(name.pod);
	}
	sum = sum * 31 + services_known(s);
	service_reader_free(reader);
	services_free(s);
	return sum;
}

static uint64_t run_one(uint8_t what, struct slice text, uint64_t seed, int *r)
{
	enum kube_ask ask = what & 1 ? KUBE_WATCH : KUBE_LIST;

	switch (what / 2 % 4) {
	case 0:
		return run_pods(ask, text, seed, r);
	case 1:
		return run_services(ask, SERVICE_ITSELF, text, seed, r);
	case 2:
		return run_services(ask, SERVICE_ENDPOINTS, text, seed, r);
	}
	*r = run(KUBE_REFUSAL, NULL, NULL, text, seed);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_from(slice_of((const char *)data, size), 1);
	uint64_t whole, parts;
	int a, b;

	if (!size)
		return 0;
	whole = run_one(data[0], text, 0, &a);
	parts = run_one(data[0], text, size * 7 + data[0] + 1, &b);
	/* after an error the rest of a piece is dropped, so only what was taken whole compares */
	need(!a == !b && (a || whole == parts));
	return 0;
}
