// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target for host: the first byte says what the rest is. e environment, c cgroup file, g path of a control group, n what an
 * address was called, in a recording, a command line (executable, NUL,
 * arguments), l an executable file, i an image's reference, s an SDK's process context, r records: { u8 kind, u8 pid, u16 size,
 * bytes } as a recording holds them. Whatever comes, names are parts of the input and resources hold clean text.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/scope.h"
#include "host/address_book.h"
#include "host/binary.h"
#include "host/cgroup.h"
#include "host/container.h"
#include "host/environ.h"
#include "host/facts.h"
#include "host/identity.h"
#include "host/image.h"
#include "host/process.h"
#include "host/sdk_context.h"
#include "host/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool truth)
{
	if (!truth)
		abort();
}

static void is_part(struct slice part, struct slice of)
{
	need(!part.n || (part.p >= of.p && part.p + part.n <= of.p + of.n));
}

static void see_attribute(void *arg, struct slice key, struct slice value)
{
	is_part(key, *(struct slice *)arg);
	is_part(value, *(struct slice *)arg);
}

static void try_environ(struct slice in)
{
	struct slice list = environ_get(in, SLICE("OTEL_RESOURCE_ATTRIBUTES")), room;
	_free_ char *bytes = malloc(in.n + 1);

	if (!bytes)
		return;
	is_part(list, in);
	room = slice_of(bytes, in.n);
	environ_attributes(in, bytes, see_attribute, &room);
	environ_attributes(list, bytes, see_attribute, &room);
}

static void try_path(struct slice in)
{
	struct cgroup_name n;
	size_t uid;

	cgroup_name(in, &n);
	is_part(n.id, in);
	uid = strlen(n.uid);
	need(!n.id.n == (n.kind != CGROUP_CONTAINER) && (!uid || uid == 32 || uid == CGROUP_UID_MAX));
	need(n.kind != CGROUP_POD || uid);
}

/* A record that is as long as it says, and the question that it answers. */
static void try_name(struct slice in)
{
	struct address_book *b = address_book_new(&(struct address_book_config){ 0 });
	_free_ struct ev_name *ev = calloc(1, sizeof(*ev) + in.n + 8);
	struct peer_name name;

	if (ev && b && in.n) {
		memcpy((char *)ev + offsetof(struct ev_name, addr), in.p, in.n);
		if (sizeof(ev->h) + in.n >= sizeof(*ev) + ev->name_len + ev->space_len) {
			address_book_event(b, ev);
			need(address_book_find(b, &(struct address){ ev->addr, ev->port, ev->at }, &name));
			need(name.name.n == ev->name_len && name.space.n == ev->space_len);
		}
	}
	address_book_free(b);
}

static void try_identity(struct slice in)
{
	ptrdiff_t end = slice_find(in, '\0');
	struct slice cwd = SLICE("/srv/shop");
	struct program p = { .exe = end < 0 ? in : slice_to(in, (size_t)end), .cwd = cwd };
	struct identity id;

	p.args = slice_from(in, p.exe.n + 1);
	identity_of(&p, &id);
	if (id.name.p < cwd.p || id.name.p > cwd.p + cwd.n)
		is_part(id.name, in);
}

static void try_binary(struct slice in)
{
	_close_ int fd = memfd_create("input", MFD_CLOEXEC);
	struct binary out;

	if (fd < 0 || write(fd, in.p, in.n) != (ssize_t)in.n)
		return;
	binary_inspect(fd, &out);
	need(!out.runtime || out.language);
}

static void try_image(struct slice in)
{
	struct image image;

	image_parse(in, &image);
	is_part(image.name, in);
	is_part(image.tag, in);
	is_part(image.digest, in);
	is_part(image.version, in);
	is_part(image_id(in), in);
}

static void see_pair(void *arg, const struct attr *a)
{
	is_part(a->key, *(struct slice *)arg);
	need(a->type == ATTR_INT || a->type == ATTR_STRING);
	if (a->type == ATTR_STRING)
		is_part(a->s, *(struct slice *)arg);
}

static void check_resource(struct host *h, uint32_t pid)
{
	struct resource *r = host_resource(h, pid);
	char clean[TEXT_MAX];

	need(r && r->n_attrs);
	for (uint16_t i = 0; i < r->n_attrs; i++) {
		const struct attr *a = &r->attrs[i];

		need(a->type != ATTR_STRINGS || a->strings.n == 1);
		if (a->type == ATTR_STRING)
			need(a->s.n <= TEXT_MAX && text_clean(clean, sizeof(clean), a->s) == a->s.n &&
			     !memcmp(clean, a->s.p, a->s.n));
	}
	resource_unref(r);
}

static void feed(struct host *h, uint8_t kind, uint32_t pid, struct slice body)
{
	static const uint16_t types[] = { EV_PROC, EV_HOST, EV_EXEC, EV_EXIT, EV_POD, EV_OTLP, EV_TICK };
	uint16_t type = types[kind % ARRAY_SIZE(types)];
	size_t len = type == EV_EXEC ? sizeof(struct ev_exec) : sizeof(struct ev_blob) + body.n;
	_free_ struct ev_head *ev = calloc(1, MAX(len, sizeof(struct ev_exit)));

	if (!ev)
		return;
	if (type == EV_EXEC) {
		memcpy(ev, body.p, MIN(body.n, len));
		((struct ev_exec *)ev)->pid = pid;
	} else {
		((struct ev_blob *)ev)->pid = pid; /* where ev_exit has it */
		((struct ev_blob *)ev)->size = (uint32_t)body.n;
		memcpy(((struct ev_blob *)ev)->data, body.p, body.n);
	}
	*ev = (struct ev_head){ .type = type, .flags = kind >> 7, .len = (uint32_t)len, .time = type == EV_EXEC ? ev->time : body.n };
	host_event(h, ev);
}

static void try_records(struct slice in)
{
	const struct slice extra[] = { SLICE("k=v") };
	struct host *h = host_new(&(struct host_config){ .proc = "/nowhere", .extra = extra, .n_extra = 1, .max_processes = 4 });

	need(h);
	while (in.n >= 4) {
		uint8_t kind = (uint8_t)in.p[0], pid = (uint8_t)in.p[1] % 8;
		size_t n = (uint8_t)in.p[2] | (size_t)(uint8_t)in.p[3] << 8;
		struct slice body = slice_to(slice_from(in, 4), n);

		feed(h, kind, pid, body);
		if (kind & 0x40)
			check_resource(h, pid);
		in = slice_from(in, 4 + body.n);
	}
	for (uint32_t pid = 0; pid < 8; pid++)
		check_resource(h, pid);
	host_free(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of((const char *)data, size), id;

	if (!in.n)
		return 0;
	in = slice_from(in, 1);
	switch (data[0]) {
	case 'e':
		try_environ(in);
		break;
	case 'c':
		id = container_id(in);
		is_part(id, in);
		break;
	case 'g':
		try_path(in);
		break;
	case 'n':
		try_name(in);
		break;
	case 'a':
		try_identity(in);
		break;
	case 'i':
		try_image(in);
		break;
	case 's':
		sdk_context_each(in, see_pair, &in);
		break;
	case 'l':
		try_binary(in);
		break;
	case 'r':
		try_records(in);
		break;
	}
	return 0;
}
