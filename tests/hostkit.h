/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of host: a /proc of our own making (between kit_start and kit_stop), a recorder in memory, and looks at resources.
 * Processes are in the container ID_A, of root, children of 77.
 */
#ifndef SPANDREL_HOSTKIT_H
#define SPANDREL_HOSTKIT_H

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scope.h"
#include "host/process.h"

#define HOST_FN static __attribute__((unused))

#define ID_A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char root[64]; /* the false /proc */

/* ---- making processes ---- */

HOST_FN void put_file(uint32_t pid, const char *name, const void *p, size_t n)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%u/%s", root, pid, name);
	f = fopen(path, "w");
	if (f) {
		fwrite(p, 1, n, f);
		fclose(f);
	}
}

HOST_FN void put_link(uint32_t pid, const char *name, const char *target)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%u/%s", root, pid, name);
	unlink(path);
	if (symlink(target, path))
		perror(path);
}

HOST_FN void make_process(uint32_t pid, uint64_t start, const char *exe, const char *args, size_t n_args)
{
	char path[256], text[256];
	int n;

	snprintf(path, sizeof(path), "%s/%u", root, pid);
	mkdir(path, 0700);
	put_link(pid, "exe", exe);
	put_link(pid, "cwd", "/srv/shop");
	put_file(pid, "cmdline", args, n_args);
	n = snprintf(text, sizeof(text), "%u (a) b) S 77 1 1 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 %llu 1 1\n", pid,
		     (unsigned long long)start);
	put_file(pid, "stat", text, (size_t)n);
	put_file(pid, "status", "Name:\tx\\nUid:\t7\nUid:\t0\t0\t0\t0\n", 30);
	put_file(pid, "cgroup", "0::/docker/" ID_A "\n", 12 + 64);
	put_file(pid, "environ", "", 0);
}

HOST_FN void end_process(uint32_t pid)
{
	char path[256];

	snprintf(path, sizeof(path), "rm -rf %s/%u", root, pid);
	if (system(path))
		perror(path);
}

HOST_FN struct ev_exec make_exec(uint32_t pid, uint64_t time, uint64_t ticks, const char *exe, const char *args, size_t n_args)
{
	struct ev_exec e = { .h = { EV_EXEC, 0, sizeof(e), time }, .start = ticks * 10000000 + 1234, .pid = pid, .ppid = 5 };

	e.exe_len = (uint16_t)strlen(exe);
	memcpy(e.exe, exe, e.exe_len);
	e.args_len = (uint16_t)n_args;
	memcpy(e.args, args, n_args);
	memcpy(e.comm, "comm", 5);
	return e;
}

HOST_FN struct ev_exit make_exit(uint32_t pid)
{
	return (struct ev_exit){ .h = { EV_EXIT, 0, sizeof(struct ev_exit), 9 }, .pid = pid };
}

/* ---- looking at resources ---- */

HOST_FN struct slice text_of(const struct resource *r, const char *key)
{
	for (uint16_t i = 0; r && i < r->n_attrs; i++)
		if (r->attrs[i].type == ATTR_STRING && slice_eq(r->attrs[i].key, slice_str(key)))
			return r->attrs[i].s;
	return SLICE_NONE;
}

HOST_FN int64_t number_of(const struct resource *r, const char *key)
{
	for (uint16_t i = 0; r && i < r->n_attrs; i++)
		if (r->attrs[i].type == ATTR_INT && slice_eq(r->attrs[i].key, slice_str(key)))
			return r->attrs[i].i;
	return -1;
}

HOST_FN void unref_resource(struct resource **r)
{
	resource_unref(*r);
}

HOST_FN void free_host(struct host **h)
{
	host_free(*h);
}

#define _resource_ _cleanup_(unref_resource) struct resource
#define _host_ _cleanup_(free_host) struct host

/* A recorder in memory. */
struct tape {
	struct ev_head *events[64];
	size_t n;
};

HOST_FN void tape_put(void *arg, const struct ev_head *ev)
{
	struct tape *t = arg;

	if (t->n < ARRAY_SIZE(t->events)) {
		t->events[t->n] = malloc(ev->len);
		memcpy(t->events[t->n++], ev, ev->len);
	}
}

HOST_FN void tape_fini(struct tape *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->events[i]);
}

HOST_FN bool same_resource(const struct resource *a, const struct resource *b)
{
	if (!a || !b || a->n_attrs != b->n_attrs || !slice_eq(a->service, b->service))
		return false;
	for (uint16_t i = 0; i < a->n_attrs; i++) {
		const struct attr *x = &a->attrs[i], *y = &b->attrs[i];

		if (x->type != y->type || !slice_eq(x->key, y->key) ||
		    (x->type == ATTR_INT ? x->i != y->i : !slice_eq(x->s, y->s)))
			return false;
	}
	return true;
}

HOST_FN bool kit_start(void)
{
	strcpy(root, "/tmp/spandrel-proc-XXXXXX");
	return mkdtemp(root);
}

HOST_FN void kit_stop(void)
{
	char clean[128];

	snprintf(clean, sizeof(clean), "rm -rf %s", root);
	if (system(clean))
		perror(clean);
}

#endif
