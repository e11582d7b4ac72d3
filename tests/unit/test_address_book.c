// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include <stdlib.h>

#include "host/address_book.h"
#include "host/process.h"
#include "probe/probe.h"

#define S 1000000000ULL

struct tape { /* what a recording would hold */
	struct ev_name *records[8];
	int n;
};

static void keep(void *arg, const struct ev_head *ev)
{
	struct tape *t = arg;

	CHECK(event_valid(ev, ev->len) && ev->len % 8 == 0);
	t->records[t->n] = malloc(ev->len);
	memcpy(t->records[t->n++], ev, ev->len);
}

static void tape_free(struct tape *t)
{
	for (int i = 0; i < t->n; i++)
		free(t->records[i]);
}

static struct pod_ip ip(const char *text)
{
	struct pod_ip out = { { 0 } };

	CHECK(pod_ip_parse(slice_str(text), &out));
	return out;
}

static struct pod *pod_make(const char *name, const char *uid, const char *address, uint64_t now)
{
	struct pod *p = calloc(1, sizeof(*p));

	*p = (struct pod){ .refs = 1, .namespace = SLICE("shop"), .name = slice_str(name), .uid = slice_str(uid),
			   .cgroup_uid = slice_str(uid), .n_ips = 1, .phase = POD_RUNNING, .known_at = now, .addressed_at = now };
	p->ips[0] = ip(address);
	return p;
}

static struct address_book *book_of(const struct pods *pods, struct tape *tape)
{
	return address_book_new(&(struct address_book_config){ .pods = pods, .on_name = tape ? keep : NULL, .arg = tape });
}

/* The name that an address has; "" none. */
static struct slice name_at(struct address_book *b, const char *address, uint64_t at)
{
	struct pod_ip a = ip(address);
	struct peer_name n;

	return address_book_find(b, &(struct address){ a.b, 80, at }, &n) ? n.name : SLICE("");
}

static void test_address_book__pods_of_the_node(void)
{
	static const struct pod_pair hash = { { "pod-template-hash", 17 }, { "7d4b9c8f6d", 10 } };
	static const struct pod_pair said[] = { { { "resource.opentelemetry.io/service.name", 38 }, { "till", 4 } },
						{ { "resource.opentelemetry.io/service.namespace", 43 }, { "front", 5 } } };
	struct pods *pods = pods_new(&(struct pods_config){ 0 });
	struct address_book *b = book_of(pods, NULL);
	struct peer_name n;
	struct pod_ip a;
	struct pod *p;

	pods_put(pods, pod_make("bare", "u1", "10.0.0.1", 1 * S), 1 * S);
	p = pod_make("web-7d4b9c8f6d-x2x4z", "u2", "10.0.0.2", 1 * S);
	p->owner.kind = SLICE("ReplicaSet");
	p->owner.name = SLICE("web-7d4b9c8f6d");
	p->labels = &hash;
	p->n_labels = 1;
	pods_put(pods, p, 1 * S);
	p = pod_make("named", "u3", "fd00::3", 1 * S);
	p->annotations = said;
	p->n_annotations = 2;
	pods_put(pods, p, 1 * S);
	CHECK_SLICE(name_at(b, "10.0.0.1", 2 * S), "bare");
	CHECK_SLICE(name_at(b, "10.0.0.2", 2 * S), "web"); /* as its own spans say */
	CHECK_SLICE(name_at(b, "fd00::3", 2 * S), "till");
	CHECK_SLICE(name_at(b, "10.0.0.9", 2 * S), "");
	a = ip("fd00::3");
	CHECK(address_book_find(b, &(struct address){ a.b, 80, 2 * S }, &n));
	CHECK_SLICE(n.space, "front");
	a = ip("10.0.0.1");
	CHECK(address_book_find(b, &(struct address){ a.b, 80, 2 * S }, &n));
	CHECK_SLICE(n.space, "shop");
	address_book_free(b);
	pods_free(pods);
}

/* However a server has come to say it: these addresses are many programs'. */
static void test_address_book__nobodys(void)
{
	static const char *const addresses[] = { "127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::" };
	struct pods *pods = pods_new(&(struct pods_config){ 0 });
	struct address_book *b = book_of(pods, NULL);
	struct pod *p = pod_make("host", "uh", "192.0.2.1", 1 * S);

	p->host_network = true;
	pods_put(pods, p, 1 * S);
	CHECK_SLICE(name_at(b, "192.0.2.1", 2 * S), "");
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		char uid[8];

		snprintf(uid, sizeof(uid), "n%zu", i);
		p = pod_make("liar", uid, addresses[i], 1 * S);
		CHECK_INT(pods_put(pods, p, 1 * S), 0);
		CHECK_SLICE(name_at(b, addresses[i], 2 * S), "");
	}
	address_book_free(b);
	pods_free(pods);
}

/* An address is given again: each request has the name of its own time, and a replay says the same. */
static void test_address_book__reused_and_replayed(void)
{
	struct pods *pods = pods_new(&(struct pods_config){ 0 });
	struct tape tape = { .n = 0 };
	struct address_book *b = book_of(pods, &tape), *replay = book_of(NULL, NULL);

	pods_put(pods, pod_make("first", "u1", "10.0.0.1", 10 * S), 10 * S);
	CHECK_SLICE(name_at(b, "10.0.0.1", 11 * S), "first");
	pods_delete(pods, SLICE("u1"), 20 * S);
	pods_put(pods, pod_make("second", "u2", "10.0.0.1", 25 * S), 25 * S);
	CHECK_SLICE(name_at(b, "10.0.0.1", 30 * S), "second");
	CHECK_SLICE(name_at(b, "10.0.0.1", 15 * S), "first");
	CHECK_SLICE(name_at(b, "10.0.0.7", 15 * S), "");
	CHECK_INT(tape.n, 3);
	for (int i = 0; i < tape.n; i++)
		address_book_event(replay, tape.records[i]);
	CHECK_SLICE(name_at(replay, "10.0.0.1", 15 * S), "first");
	CHECK_SLICE(name_at(replay, "10.0.0.1", 15 * S), "first"); /* two requests began then */
	CHECK_SLICE(name_at(replay, "10.0.0.1", 30 * S), "second");
	CHECK_SLICE(name_at(replay, "10.0.0.1", 11 * S), "first");
	CHECK_SLICE(name_at(replay, "10.0.0.1", 12 * S), "");
	CHECK_SLICE(name_at(replay, "10.0.0.7", 15 * S), "");
	tape_free(&tape);
	address_book_free(replay);
	address_book_free(b);
	pods_free(pods);
}

static void test_address_book__a_long_replay(void)
{
	struct address_book *b = book_of(NULL, NULL);
	struct ev_name *ev = calloc(1, sizeof(*ev) + 8);
	struct pod_ip a = ip("10.0.0.1");

	ev->h = (struct ev_head){ .type = EV_NAME, .len = sizeof(*ev) + 8 };
	ev->port = 80;
	ev->name_len = 3;
	memcpy(ev->text, "web", 3);
	memcpy(ev->addr, a.b, sizeof(a.b));
	for (uint64_t at = 1; at <= BOOK_ANSWERS + 5; at++) {
		ev->at = at;
		address_book_event(b, ev);
	}
	CHECK_SLICE(name_at(b, "10.0.0.1", 5), "");
	CHECK_SLICE(name_at(b, "10.0.0.1", 6), "web");
	CHECK_SLICE(name_at(b, "10.0.0.1", BOOK_ANSWERS + 5), "web");
	free(ev);
	address_book_free(b);
	address_book_free(NULL);
}

/* What the spans of the other end say is what it is called, once they say their pod; of a process in none the address tells. */
static void test_peer_name__own(void)
{
	struct attr attrs[] = { { .key = SLICE("service.name"), .type = ATTR_STRING, .s = SLICE("checkout") },
				{ .key = SLICE("service.namespace"), .type = ATTR_STRING, .s = SLICE("till") },
				{ .key = SLICE("k8s.pod.uid"), .type = ATTR_STRING, .s = SLICE("u1") } };
	struct resource r = { .attrs = attrs, .n_attrs = 2 };
	struct peer_name n = { SLICE("web"), SLICE("shop") };

	peer_name_own(&r, &n);
	CHECK_SLICE(n.name, "web");
	r.n_attrs = 3;
	r.pod = RESOURCE_POD_AWAITED;
	peer_name_own(&r, &n);
	CHECK_SLICE(n.name, "web");
	CHECK_SLICE(n.space, "shop");
	r.pod = RESOURCE_POD_NONE;
	peer_name_own(&r, &n);
	CHECK_SLICE(n.name, "checkout");
	CHECK_SLICE(n.space, "till");
}

int main(void)
{
	RUN(test_address_book__pods_of_the_node);
	RUN(test_address_book__nobodys);
	RUN(test_address_book__reused_and_replayed);
	RUN(test_address_book__a_long_replay);
	RUN(test_peer_name__own);
	return tap_done();
}
