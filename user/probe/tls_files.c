// SPDX-License-Identifier: Apache-2.0
#include "probe/tls_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

#define KEYS_TRIED 8 /* for names whose hashes meet */
#define BATCH 1024   /* processes dropped between two walks over the table */

struct tls_name {
	struct file_id id;
	struct tls_file *file;
};

struct tls_process {
	uint32_t pid, n, room;
	struct tls_file **files;
};

/* ---- names ---- */

uint64_t tls_files_key(const struct file_id *id)
{
	uint64_t key = table_mix(id->ino, (uint64_t)id->dev << 32 | id->generation);

	return table_mix(table_mix(key, id->size), id->mtime);
}

static bool same_id(const struct file_id *a, const struct file_id *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->generation == b->generation && a->size == b->size && a->mtime == b->mtime;
}

static struct tls_name *find_name(const struct tls_files *f, const struct file_id *id)
{
	uint64_t key = tls_files_key(id);

	for (int i = 0; i < KEYS_TRIED; i++) {
		struct tls_name *name = table_get(&f->names, key + (uint64_t)i);

		if (name && same_id(&name->id, id))
			return name;
	}
	return NULL;
}

struct tls_file *tls_files_find(const struct tls_files *f, const struct file_id *id)
{
	const struct tls_name *name = find_name(f, id);

	return name ? name->file : NULL;
}

int tls_files_name(struct tls_files *f, const struct file_id *id, struct tls_file *file)
{
	struct tls_name *name = find_name(f, id);
	uint64_t key = tls_files_key(id);
	int err;

	if (name)
		return 0;
	for (int i = 0; table_get(&f->names, key); key++)
		if (++i == KEYS_TRIED)
			return -ENOSPC;
	name = malloc(sizeof(*name));
	if (!name)
		return -ENOMEM;
	*name = (struct tls_name){ *id, file };
	err = table_set(&f->names, key, name);
	if (err)
		free(name);
	return err;
}

/* One name of the file, taken off the table; NULL: there is none. */
static struct tls_name *take_name(struct tls_files *f, const struct tls_file *file)
{
	struct tls_name *name;
	size_t at = 0;
	uint64_t key;

	while ((name = table_next(&f->names, &at, &key)))
		if (name->file == file)
			return table_del(&f->names, key);
	return NULL;
}

/* ---- files ---- */

void tls_files_init(struct tls_files *f)
{
	table_init(&f->names, TLS_NAMES_MAX);
	table_init(&f->processes, TLS_PROCESSES_MAX);
	list_init(&f->all);
	f->n = 0;
}

int tls_files_add(struct tls_files *f, const struct file_id *id, uint64_t now, struct tls_file **out)
{
	_free_ struct tls_file *file = calloc(1, sizeof(*file));
	int err;

	if (!file)
		return -ENOMEM;
	if (f->n == TLS_FILES_MAX)
		return -ENOSPC;
	*file = (struct tls_file){ .id = *id, .idle_since = now };
	err = tls_files_name(f, id, file);
	if (err)
		return err;
	list_push(&f->all, &file->all);
	f->n++;
	*out = TAKE_PTR(file);
	return 0;
}

struct tls_file *tls_files_version(const struct tls_files *f, const struct file_id *id)
{
	list_for_each(pos, &f->all) {
		struct tls_file *file = list_entry(pos, struct tls_file, all);

		if (file->id.dev == id->dev && file->id.ino == id->ino && !same_id(&file->id, id))
			return file;
	}
	return NULL;
}

void tls_files_remove(struct tls_files *f, struct tls_file *file, void (*gone)(void *arg, const struct file_id *id), void *arg)
{
	struct tls_name *name;

	while ((name = take_name(f, file))) {
		gone(arg, &name->id);
		free(name);
	}
	list_del(&file->all);
	f->n--;
	free(file);
}

struct tls_file *tls_files_idle(const struct tls_files *f, uint64_t now, uint64_t grace)
{
	list_for_each(pos, &f->all) {
		struct tls_file *file = list_entry(pos, struct tls_file, all);

		if (!file->processes && !file->pinned && !file->busy && now >= file->idle_since + grace)
			return file;
	}
	return NULL;
}

/* ---- processes ---- */

static struct tls_process *process_get(struct tls_files *f, uint32_t pid)
{
	struct tls_process *p = table_get(&f->processes, pid);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->pid = pid;
	if (!table_set(&f->processes, pid, p))
		return p;
	free(p);
	return NULL;
}

static bool holds(const struct tls_process *p, const struct tls_file *file)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->files[i] == file)
			return true;
	return false;
}

static bool process_add(struct tls_process *p, struct tls_file *file)
{
	if (p->n == p->room) {
		uint32_t room = p->room ? 2 * p->room : 2;
		struct tls_file **files = p->n < TLS_HELD_MAX ? realloc(p->files, room * sizeof(struct tls_file *)) : NULL;

		if (!files)
			return false;
		p->files = files;
		p->room = room;
	}
	p->files[p->n++] = file;
	file->processes++;
	return true;
}

void tls_files_hold(struct tls_files *f, uint32_t pid, struct tls_file *file)
{
	struct tls_process *p = process_get(f, pid);

	if (p && holds(p, file))
		return;
	if (!p || !process_add(p, file))
		file->pinned = true;
}

static void process_release(struct tls_process *p, uint64_t now)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (!--p->files[i]->processes)
			p->files[i]->idle_since = now;
	free(p->files);
	free(p);
}

void tls_files_drop(struct tls_files *f, uint32_t pid, uint64_t now)
{
	struct tls_process *p = table_del(&f->processes, pid);

	if (p)
		process_release(p, now);
}

void tls_files_fork(struct tls_files *f, uint32_t pid, uint32_t child, uint64_t now)
{
	const struct tls_process *p = table_get(&f->processes, pid);

	if (pid == child)
		return;
	tls_files_drop(f, child, now); /* the number was another's, whose end was not told */
	for (uint32_t i = 0; p && i < p->n; i++)
		tls_files_hold(f, child, p->files[i]);
}

/* A table that is walked must not change. */
static size_t find_dead(const struct tls_files *f, bool (*alive)(void *arg, uint32_t pid), void *arg, uint32_t dead[BATCH])
{
	const struct tls_process *p;
	size_t at = 0, n = 0;

	while (n < BATCH && (p = table_next(&f->processes, &at, NULL)))
		if (!alive(arg, p->pid))
			dead[n++] = p->pid;
	return n;
}

void tls_files_check(struct tls_files *f, bool (*alive)(void *arg, uint32_t pid), void *arg, uint64_t now)
{
	uint32_t dead[BATCH];
	size_t n;

	do {
		n = find_dead(f, alive, arg, dead);
		for (size_t i = 0; i < n; i++)
			tls_files_drop(f, dead[i], now);
	} while (n == BATCH);
}

static bool nobody(void *arg, uint32_t pid)
{
	(void)arg;
	(void)pid;
	return false;
}

void tls_files_drop_all(struct tls_files *f, uint64_t now)
{
	tls_files_check(f, nobody, NULL, now);
}

static void ignore(void *arg, const struct file_id *id)
{
	(void)arg;
	(void)id;
}

void tls_files_fini(struct tls_files *f)
{
	tls_files_drop_all(f, 0);
	while (!list_empty(&f->all))
		tls_files_remove(f, list_entry(f->all.next, struct tls_file, all), ignore, NULL);
	table_fini(&f->names);
	table_fini(&f->processes);
}
