// SPDX-License-Identifier: Apache-2.0
#include "probe/tls.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/open_wait.h"
#include "base/scope.h"
#include "base/stats.h"
#include "probe/tls_hook.h"
#include "probe/tls_inner.h"
#include "probe/tls_rows.h"
#include "probe/uprobe.h"
#include "spandrel.skel.h"

#define IDLE_NS	  (250 * NS_PER_MS)
#define HURRY_NS  (100 * NS_PER_MS) /* what is urgent keeps the others waiting for so long, at most */
#define QUIET_NS  (50 * NS_PER_MS) /* since the last event: then what hooks nothing gets its turn */
#define BUSY_NS (50 * NS_PER_MS) /* where it never is quiet, one piece so often */

struct job { /* what the kernel told, or a process that is to be walked */
	struct list link;
	struct file_id file;
	uint64_t time;
	uint32_t pid, nr, child;
	uint16_t what; /* enum mapped_what */
	uint16_t path_len;
	bool untracked;
	char path[];
};

static uint64_t map_key(const struct tls_map *m)
{
	return table_mix(m->ino, m->dev);
}

/* ---- jobs ---- */

static void job_file(struct tls *t, const struct job *j, struct slice path)
{
	struct who who = { j->pid, j->untracked, j->time };
	struct tls_opened o;
	int err;

	if (!j->file.ino || tls_known(t, who, &j->file))
		return;
	err = tls_open(&o, t->skel, j->nr, &j->file, path);
	if (err) {
		if (j->pid && open_unanswered(err))
			stat_inc(tls_stuck);
		else if (j->pid)
			stat_inc(tls_gone);
		tls_forget(t, &j->file);
		return;
	}
	tls_begin_look(t, &o, who);
}

static void walk_begin(struct tls *t, const struct job *j)
{
	int n = tls_maps(j->nr, t->walk.maps, MAPS_MAX);

	t->walk.pid = j->pid;
	t->walk.nr = j->nr;
	t->walk.untracked = j->untracked;
	t->walk.blind = j->what == MAPPED_BLIND;
	t->walk.n = MAX(n, 0);
	t->walk.at = 0;
}

static void walk_step(struct tls *t)
{
	const struct tls_map *m = &t->walk.maps[t->walk.at++];
	struct who who = { .pid = t->walk.pid, .untracked = t->walk.untracked };
	struct tls_opened o;
	int err = table_get(&t->seen, map_key(m)) ? -EEXIST : tls_open_map(&o, t->skel, t->walk.nr, m);

	if (open_unanswered(err))
		stat_inc(tls_stuck);
	if (err)
		return;
	if (tls_known(t, who, &o.id)) {
		struct tls_file *file = tls_files_find(&t->files, &o.id);

		if (!file)
			tls_remember(&t->seen, map_key(m));
		else if (t->walk.blind)
			tls_hook_aside(file, t->skel, o.fd);
		close(o.fd);
		return;
	}
	tls_begin_look(t, &o, who);
}

static void job_run(struct tls *t, const struct job *j, uint64_t now)
{
	switch (j->what) {
	case MAPPED_EXEC:
		tls_files_drop(&t->files, j->pid, now);
		job_file(t, j, slice_of(j->path, j->path_len));
		break;
	case MAPPED_FILE:
		job_file(t, j, slice_of(j->path, j->path_len));
		break;
	case MAPPED_FORK:
		tls_files_fork(&t->files, j->pid, j->child, now);
		break;
	case MAPPED_EXIT:
		tls_files_drop(&t->files, j->pid, now);
		break;
	default:
		walk_begin(t, j);
		break;
	}
}

static void job_next(struct tls *t, uint64_t now)
{
	struct list *first = list_pop(&t->jobs);
	_free_ struct job *j = list_entry(first, struct job, link);

	t->n_jobs--;
	job_run(t, j, now);
}

/* ---- time ---- */

static void let_go(struct tls *t, struct tls_file *file)
{
	if (file->probes)
		stat_inc(tls_detached);
	tls_unhook(file);
	tls_files_remove(&t->files, file, tls_forget, t);
}

static bool alive(void *arg, uint32_t pid)
{
	(void)arg;
	return !kill((pid_t)pid, 0) || errno != ESRCH;
}

static void tidy(struct tls *t, uint64_t now)
{
	struct tls_file *file;

	if (now < t->next_idle)
		return;
	t->next_idle = now + IDLE_NS;
	if (t->seen.n) { /* what maps say of a file holds for a while only */
		table_fini(&t->seen);
		table_init(&t->seen, KNOWN_MAX);
	}
	if (stats[STAT_missed_mapped] + stats[STAT_tls_queue] != t->missed && !t->skel->bss->self.pid_level) {
		t->missed = stats[STAT_missed_mapped] + stats[STAT_tls_queue]; /* the end of some process may be among them */
		tls_files_check(&t->files, alive, NULL, now);
	}
	while ((file = tls_files_idle(&t->files, now, TLS_GRACE_NS)))
		let_go(t, file);
}

/* Of what can be waiting only the search for words hooks nothing. */
static bool may_hook(const struct tls *t)
{
	return t->look || t->walk.at < t->walk.n || t->n_jobs ||
	       (t->n_later && list_entry(t->later.next, struct tls_look, link)->static_later);
}

static bool step(struct tls *t, uint64_t now)
{
	if (t->look) {
		if (tls_look_on(t, t->look, false))
			t->look = NULL;
	} else if (t->walk.at < t->walk.n) {
		walk_step(t);
	} else if (t->n_jobs) {
		job_next(t, now);
	} else if (t->n_later && (may_hook(t) || now >= t->last_event + QUIET_NS || now >= t->last_search + BUSY_NS)) {
		struct tls_look *l = list_entry(t->later.next, struct tls_look, link);

		t->last_search = now;
		list_del(&l->link);
		if (tls_look_on(t, l, true))
			t->n_later--;
		else
			list_push(l->static_later ? t->later.next : &t->later, &l->link);
	} else {
		return false;
	}
	return true;
}

/* ---- what comes ---- */

/*
 * A program that may hold TLS itself runs already; and a process that loads a library of such a name will soon use it. The name
 * is a guess and decides nothing but the order.
 */
static bool is_urgent(const struct ev_mapped *ev)
{
	return ev->path_len && (ev->what == MAPPED_EXEC || tls_library_file(slice_of((const char *)ev->path, ev->path_len)));
}

static void enqueue(struct tls *t, const struct job *from, const uint8_t *path)
{
	uint32_t max = from->what == MAPPED_FILE ? TLS_QUEUE_MAX : 16 * TLS_QUEUE_MAX;
	uint16_t path_len = t->n_jobs < TLS_QUEUE_MAX ? from->path_len : 0; /* the process's maps tell as well */
	struct job *j = t->n_jobs < max ? malloc(sizeof(*j) + path_len) : NULL;

	if (!j) {
		stat_inc(tls_queue);
		if (from->what == MAPPED_FILE)
			tls_forget(t, &from->file);
		return;
	}
	*j = *from;
	j->path_len = path_len;
	if (path)
		memcpy(j->path, path, path_len);
	list_push(&t->jobs, &j->link);
	t->n_jobs++;
}

/* True: nothing is being looked at any more. */
static bool look_until(struct tls *t, uint64_t now, uint64_t end)
{
	while (t->look && clock_boot() < end)
		step(t, now);
	return !t->look;
}

/*
 * Before what else waits, which may be about the same process: so nothing but the file is looked at now. The process is counted when
 * its turn comes; a file that takes longer goes on when it is its turn as well.
 */
static void hurry(struct tls *t, const struct ev_mapped *ev)
{
	struct job j = { .file = ev->file, .time = ev->h.time, .nr = ev->nr };
	uint64_t end = clock_boot() + HURRY_NS;

	if (!look_until(t, ev->h.time, end))
		return;
	job_file(t, &j, slice_of((const char *)ev->path, ev->path_len));
	look_until(t, ev->h.time, end);
}

void tls_event(struct tls *t, const struct ev_mapped *ev)
{
	struct job j = {
		.file = ev->file,
		.time = ev->h.time,
		.pid = ev->pid,
		.nr = ev->nr,
		.child = ev->child,
		.what = ev->what,
		.path_len = ev->path_len,
		.untracked = ev->h.flags & EVF_UNTRACKED,
	};

	t->last_event = ev->h.time;
	if (is_urgent(ev))
		hurry(t, ev);
	enqueue(t, &j, ev->path);
}

void tls_process(struct tls *t, uint32_t pid, uint32_t nr)
{
	enqueue(t, &(struct job){ .pid = pid, .nr = nr, .what = MAPPED_ALL }, NULL);
}

/* ---- turns ---- */

bool tls_turn(struct tls *t, uint64_t now, uint64_t budget)
{
	uint64_t end = now + budget;

	do {
		if (!step(t, now)) {
			tidy(t, now);
			return false;
		}
	} while (clock_boot() < end);
	return true;
}

void tls_settle(struct tls *t)
{
	while (may_hook(t))
		step(t, clock_boot());
}

/* ---- life ---- */

int tls_new(struct tls **out, struct spandrel_bpf *skel)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->skel = skel;
	tls_files_init(&t->files);
	table_init(&t->plain, KNOWN_MAX);
	table_init(&t->seen, KNOWN_MAX);
	list_init(&t->jobs);
	list_init(&t->later);
	*out = t;
	return 0;
}

void tls_detach(struct tls *t)
{
	list_for_each(pos, &t->files.all) {
		struct tls_file *file = list_entry(pos, struct tls_file, all);

		tls_unhook(file);
		file->dead = true;
	}
}

void tls_reselect(struct tls *t, uint64_t now)
{
	tls_files_drop_all(&t->files, now);
}

void tls_free(struct tls *t)
{
	struct list *l;

	if (!t)
		return;
	tls_detach(t);
	tls_files_fini(&t->files);
	tls_look_free(&t->look);
	while ((l = list_pop(&t->later)))
		tls_look_free(&(struct tls_look *){ list_entry(l, struct tls_look, link) });
	while ((l = list_pop(&t->jobs)))
		free(list_entry(l, struct job, link));
	table_fini(&t->plain);
	table_fini(&t->seen);
	free(t);
}
