// SPDX-License-Identifier: Apache-2.0
/* One pod. */
#include "host/pod.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/ip.h"

static struct slice pair_value(const struct pod_pair *v, uint16_t n, struct slice key)
{
	for (uint16_t i = 0; i < n; i++)
		if (slice_eq(v[i].key, key))
			return v[i].value;
	return SLICE_NONE;
}

struct slice pod_label(const struct pod *p, struct slice key)
{
	return pair_value(p->labels, p->n_labels, key);
}

struct slice pod_annotation(const struct pod *p, struct slice key)
{
	return pair_value(p->annotations, p->n_annotations, key);
}

const struct pod_container *pod_container(const struct pod *p, struct slice id)
{
	for (uint16_t i = 0; id.n && i < p->n_containers; i++)
		if (slice_eq(p->containers[i].id, id))
			return &p->containers[i];
	return NULL;
}

const struct pod *pod_ref(const struct pod *p)
{
	((struct pod *)p)->refs++;
	return p;
}

void pod_unref(const struct pod *p)
{
	if (p && !--((struct pod *)p)->refs)
		free((void *)p);
}

bool pod_ip_parse(struct slice text, struct pod_ip *out)
{
	char copy[INET6_ADDRSTRLEN];
	struct in_addr four;
	struct pod_ip ip;

	if (!text.n || text.n >= sizeof(copy) || memchr(text.p, '\0', text.n))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (inet_pton(AF_INET, copy, &four) == 1)
		ip_put_v4(ip.b, &four);
	else if (inet_pton(AF_INET6, copy, ip.b) != 1)
		return false;
	*out = ip;
	return true;
}
