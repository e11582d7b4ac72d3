// SPDX-License-Identifier: Apache-2.0
#include "host/places.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/scope.h"
#include "base/stats.h"
#include "base/table.h"
#include "host/cgroup.h"

#define PATH_BYTES 4096
#define ID_BYTES   64

struct place {
	uint32_t bits;	     /* what the kernel side was told */
	uint32_t generation; /* of the walk that saw it last */
	uint8_t kind;	     /* enum cgroup_kind */
	uint8_t n_id;
	char id[ID_BYTES];
	char uid[CGROUP_UID_MAX + 1];
};

struct places {
	struct table table;
	char *roots[2]; /* v2, v1 */
	int (*place)(void *arg, uint64_t key, uint32_t bits);
	void *arg;
	uint32_t generation;
};

struct places *places_new(const struct places_config *c)
{
	struct places *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	table_init(&p->table, CGROUPS_MAX);
	p->place = c->place;
	p->arg = c->arg;
	p->roots[0] = c->v2 ? strdup(c->v2) : NULL;
	p->roots[1] = c->v1 ? strdup(c->v1) : NULL;
	if ((c->v2 && !p->roots[0]) || (c->v1 && !p->roots[1])) {
		places_free(p);
		return NULL;
	}
	return p;
}

void places_free(struct places *p)
{
	struct place *one;

	if (!p)
		return;
	for (size_t at = 0; (one = table_next(&p->table, &at, &(uint64_t){ 0 }));)
		free(one);
	table_fini(&p->table);
	free(p->roots[0]);
	free(p->roots[1]);
	free(p);
}

size_t places_known(const struct places *p)
{
	return p->table.n;
}

/* ---- what is there ---- */

static void forget(struct places *p, uint64_t key)
{
	struct place *one = table_del(&p->table, key);

	if (one && one->bits)
		p->place(p->arg, key, 0);
	free(one);
}

static struct place *place_make(struct places *p, uint64_t key)
{
	struct place *one = calloc(1, sizeof(*one));

	if (!one || table_set(&p->table, key, one)) {
		free(one);
		stat_inc(cgroups_refused);
		return NULL;
	}
	return one;
}

/* A directory keeps its name, and its number is not given again. */
static bool learn(struct places *p, uint64_t key, struct slice path)
{
	struct place *one = table_get(&p->table, key);
	struct cgroup_name name;

	if (!one) {
		cgroup_name(path, &name);
		one = name.kind == CGROUP_OTHER ? NULL : place_make(p, key);
		if (!one)
			return false;
		one->kind = (uint8_t)name.kind;
		one->n_id = (uint8_t)MIN(name.id.n, (size_t)ID_BYTES);
		if (one->n_id)
			memcpy(one->id, name.id.p, one->n_id);
		memcpy(one->uid, name.uid, sizeof(one->uid));
	}
	one->generation = p->generation;
	return true;
}

bool places_event(struct places *p, const struct ev_cgroup *ev)
{
	uint64_t key = ev->hierarchy ? ev->id | CGROUP_V1 : ev->id;

	if (!(ev->h.flags & EVF_GONE))
		return learn(p, key, slice_of((const char *)ev->path, ev->path_len));
	forget(p, key);
	return false;
}

/* ---- walking ---- */

struct walk {
	struct places *places;
	uint64_t tag;
	char path[PATH_BYTES]; /* of the directory, from the root */
	size_t n;
	int left;
};

static void walk_dir(struct walk *w, int dir, int depth);

static void walk_entry(struct walk *w, int dir, const struct dirent *d, int depth)
{
	size_t n = strlen(d->d_name), was = w->n;
	int fd;

	if (!w->left || w->n + n + 1 > sizeof(w->path)) {
		stat_inc(cgroups_unread);
		return;
	}
	w->left--;
	w->path[w->n] = '/';
	memcpy(w->path + w->n + 1, d->d_name, n);
	w->n += n + 1;
	learn(w->places, d->d_ino | w->tag, slice_of(w->path, w->n));
	fd = openat(dir, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		walk_dir(w, fd, depth + 1);
	w->n = was;
}

/* Takes the descriptor. */
static void walk_dir(struct walk *w, int fd, int depth)
{
	DIR *dir = depth < PLACES_DEPTH ? fdopendir(fd) : NULL;

	if (!dir) {
		stat_inc(cgroups_unread);
		close(fd);
		return;
	}
	for (const struct dirent *d; (d = readdir(dir));)
		if (d->d_type == DT_DIR && strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			walk_entry(w, dirfd(dir), d, depth);
	closedir(dir);
}

static bool walk_root(struct places *p, const char *root, uint64_t tag)
{
	_free_ struct walk *w = root ? calloc(1, sizeof(*w)) : NULL;
	int fd = w ? open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0)
		return false;
	w->places = p;
	w->tag = tag;
	w->left = PLACES_WALK;
	walk_dir(w, fd, 0);
	return true;
}

static void forget_unseen(struct places *p)
{
	struct place *one;
	uint64_t key;

	for (size_t at = 0; (one = table_next(&p->table, &at, &key));)
		if (one->generation != p->generation) {
			forget(p, key);
			at = 0;
		}
}

int places_scan(struct places *p)
{
	bool any;

	p->generation++;
	any = walk_root(p, p->roots[0], 0);
	any |= walk_root(p, p->roots[1], CGROUP_V1);
	if (!any)
		return -ENOENT;
	forget_unseen(p);
	return 0;
}

/* ---- deciding ---- */

static struct subject subject_of(const struct place *one, const struct pods *pods)
{
	struct subject s = { .id = slice_of(one->id, one->n_id), .in_pod = one->uid[0], .nameless = !pods };

	if (pods && s.id.n)
		s.pod = pods_by_container(pods, s.id);
	if (pods && !s.pod && one->uid[0])
		s.pod = pods_by_uid(pods, slice_str(one->uid));
	if (s.pod && s.id.n)
		s.container = pod_container(s.pod, s.id);
	return s;
}

/* Where nothing is said, what is said of the directory above holds: so below all pods, whatever is not decided is ruled out if anything is. */
static uint32_t bits_of(const struct place *one, const struct selector *s, const struct pods *pods)
{
	struct subject of = subject_of(one, pods);

	if (one->kind == CGROUP_PODS)
		return selector_excludes(s) ? EXCLUDED(SEL_KUBE) : 0;
	if (one->kind == CGROUP_MONITOR)
		return CGROUP_DECIDED;
	switch (selector_choose(s, &of)) {
	case CHOICE_YES:
		return CGROUP_DECIDED | SEL_KUBE;
	case CHOICE_EXCLUDED:
		return CGROUP_DECIDED | EXCLUDED(SEL_KUBE);
	case CHOICE_NO:
		return of.pod || of.in_pod ? CGROUP_DECIDED : 0;
	default:
		return 0;
	}
}

size_t places_decide(struct places *p, const struct selector *s, const struct pods *pods)
{
	struct place *one;
	size_t changed = 0;
	uint64_t key;

	for (size_t at = 0; (one = table_next(&p->table, &at, &key));) {
		uint32_t bits = bits_of(one, s, pods);

		if (bits == one->bits)
			continue;
		if (p->place(p->arg, key, bits)) {
			stat_inc(cgroups_refused);
			continue;
		}
		one->bits = bits;
		changed++;
	}
	return changed;
}
