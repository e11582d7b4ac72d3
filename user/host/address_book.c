// SPDX-License-Identifier: Apache-2.0
#include "host/address_book.h"

#include <stdlib.h>

#include "base/attr.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/scope.h"
#include "base/table.h"
#include "host/process.h"
#include "host/service.h"

#define NAME_MAX_BYTES POD_VALUE_MAX /* of a name or a namespace in a record */

struct answer { /* of a recording */
	struct list link; /* of the book, oldest first */
	uint64_t key;
	struct ev_name ev; /* its text follows */
};

struct address_book {
	struct address_book_config config;
	struct table answers; /* hash of the question → struct answer */
	struct list order;
};

struct address_book *address_book_new(const struct address_book_config *c)
{
	struct address_book *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->config = *c;
	table_init(&b->answers, BOOK_ANSWERS);
	list_init(&b->order);
	return b;
}

static void answer_drop(struct address_book *b, struct answer *a)
{
	table_del(&b->answers, a->key);
	list_del(&a->link);
	free(a);
}

void address_book_free(struct address_book *b)
{
	if (!b)
		return;
	for (struct list *l; (l = list_pop(&b->order));)
		free(list_entry(l, struct answer, link));
	table_fini(&b->answers);
	free(b);
}

/* ---- replay ---- */

static uint64_t key_of(const uint8_t addr[16], uint16_t port, uint64_t at)
{
	uint64_t half[2];

	memcpy(half, addr, sizeof(half));
	return table_mix(table_mix(half[0], half[1]), table_mix(port, at));
}

void address_book_event(struct address_book *b, const struct ev_name *ev)
{
	size_t size = (size_t)ev->name_len + ev->space_len;
	struct answer *a = malloc(sizeof(*a) + size), *old;

	if (!a)
		return;
	a->key = key_of(ev->addr, ev->port, ev->at);
	memcpy(&a->ev, ev, sizeof(*ev) + size);
	list_init(&a->link);
	old = table_get(&b->answers, a->key);
	if (!old && b->answers.n >= BOOK_ANSWERS)
		old = list_entry(b->order.next, struct answer, link);
	if (old)
		answer_drop(b, old);
	if (table_set(&b->answers, a->key, a)) {
		free(a);
		return;
	}
	list_push(&b->order, &a->link);
}

/* Requests of one connection may have begun at the same time: an answer stays. */
static bool recall(const struct address_book *b, const struct address *q, struct peer_name *out)
{
	struct answer *a = table_get(&b->answers, key_of(q->addr, q->port, q->at));

	if (!a || memcmp(a->ev.addr, q->addr, sizeof(a->ev.addr)) || a->ev.port != q->port || a->ev.at != q->at)
		return false;
	out->name = slice_of((const char *)a->ev.text, a->ev.name_len);
	out->space = slice_of((const char *)a->ev.text + a->ev.name_len, a->ev.space_len);
	return true;
}

/* ---- live ---- */

static bool is_nobodys(const uint8_t addr[16])
{
	static const uint8_t none[16];

	return ip_is_loopback(addr) || (ip_is_v4(addr) ? !memcmp(addr + IP_V4_AT, none, 4) : !memcmp(addr, none, sizeof(none)));
}

static bool find(const struct address_book *b, const struct address *q, struct peer_name *out)
{
	const struct pod *pod;
	struct service_name s;
	struct pod_ip ip;

	memcpy(ip.b, q->addr, sizeof(ip.b));
	if (is_nobodys(q->addr))
		return false;
	pod = b->config.pods ? pods_by_ip(b->config.pods, &ip, q->at) : NULL;
	if (pod) {
		out->name = pod_service_name(pod, &b->config.naming);
		out->space = pod_service_namespace(pod);
		return out->name.n;
	}
	if (!b->config.services || !services_find(b->config.services, &ip, q->port, &s) || !s.name.n)
		return false;
	out->name = s.name;
	out->space = s.namespace;
	return true;
}

/* What does not fit is not recorded, and a replay goes without. */
static void tell(const struct address_book *b, const struct address *q, const struct peer_name *n)
{
	size_t size = sizeof(struct ev_name) + ((n->name.n + n->space.n + 7) & ~(size_t)7);
	_free_ struct ev_name *ev = NULL;

	if (!b->config.on_name || n->name.n > NAME_MAX_BYTES || n->space.n > NAME_MAX_BYTES || !(ev = calloc(1, size)))
		return;
	ev->h = (struct ev_head){ .type = EV_NAME, .len = (uint32_t)size };
	memcpy(ev->addr, q->addr, sizeof(ev->addr));
	ev->at = q->at;
	ev->port = q->port;
	ev->name_len = (uint16_t)n->name.n;
	ev->space_len = (uint16_t)n->space.n;
	memcpy(ev->text, n->name.p, n->name.n);
	if (n->space.n)
		memcpy(ev->text + n->name.n, n->space.p, n->space.n);
	b->config.on_name(b->config.arg, &ev->h);
}

bool address_book_find(struct address_book *b, const struct address *q, struct peer_name *out)
{
	if (!b->config.pods && !b->config.services)
		return recall(b, q, out);
	if (!find(b, q, out))
		return false;
	tell(b, q, out);
	return true;
}

static struct slice text_of(const struct resource *r, const char *key)
{
	for (size_t i = 0; i < r->n_attrs; i++)
		if (r->attrs[i].type == ATTR_STRING && slice_eq(r->attrs[i].key, slice_str(key)))
			return r->attrs[i].s;
	return SLICE_NONE;
}

void peer_name_own(const struct resource *r, struct peer_name *out)
{
	struct slice name = text_of(r, "service.name");

	if (r->pod == RESOURCE_POD_AWAITED || !name.n || !text_of(r, "k8s.pod.uid").n)
		return;
	out->name = name;
	out->space = text_of(r, "service.namespace");
}
