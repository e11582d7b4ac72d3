// SPDX-License-Identifier: Apache-2.0
#include "probe/tls.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "probe/tls_files.h"
#include "probe/tls_hook.h"
#include "probe/tls_look.h"
#include "probe/tls_open.h"
#include "probe/uprobe.h"
#include "spandrel.skel.h"

#define MAPS_MAX  4096 /* files of one process */
#define KNOWN_MAX 8192 /* files without TLS that are remembered */
#define LATER_MAX 64   /* files whose search is long, each with an open descriptor */
#define IDLE_NS	  (250 * NS_PER_MS)
#define QUIET_NS  (50 * NS_PER_MS) /* since the last event: then what hooks nothing gets its turn */

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

struct walk { /* over what one process maps */
	uint32_t pid, nr;
	int n, at;
	bool untracked;
	struct tls_map maps[MAPS_MAX];
};

struct tls {
	struct spandrel_bpf *skel;
	struct tls_files files;
	struct table plain; /* identities of files without TLS: the key alone says it */
	struct table seen;  /* the same by what maps say, while processes are walked */
	struct list jobs, later;
	uint32_t n_jobs, n_later;
	struct tls_look *look;
	struct walk walk;
	uint64_t next_idle, last_event;
	uint64_t missed; /* counters of what was not told, when processes were checked last */
};

static char mark; /* what tables of keys hold */

/* ---- what the kernel knows of a file ---- */

static void tell_kernel(const struct tls *t, const struct file_id *id, uint32_t state)
{
	bpf_map_update_elem(bpf_map__fd(t->skel->maps.files), id, &state, BPF_ANY);
}

/* Whoever maps it next is told of again. */
static void forget(void *arg, const struct file_id *id)
{
	const struct tls *t = arg;

	bpf_map_delete_elem(bpf_map__fd(t->skel->maps.files), id);
}

static uint64_t id_key(const struct file_id *id)
{
	uint64_t key = table_mix(id->ino, (uint64_t)id->dev << 32 | id->generation);

	return table_mix(table_mix(key, id->size), id->mtime);
}

static uint64_t map_key(const struct tls_map *m)
{
	return table_mix(m->ino, m->dev);
}

static void remember(struct table *t, uint64_t key)
{
	if (table_set(t, key, &mark) == -ENOSPC) { /* all of them again, then */
		table_fini(t);
		table_init(t, KNOWN_MAX);
		table_set(t, key, &mark);
	}
}

static void note_plain(struct tls *t, const struct tls_opened *o)
{
	remember(&t->plain, id_key(&o->id));
	tell_kernel(t, &o->id, FILE_PLAIN);
}

/* ---- what a look has found ---- */

/* pid 0: for nobody yet. */
static void hold(struct tls *t, uint32_t pid, bool untracked, struct tls_file *file)
{
	if (untracked)
		file->pinned = true;
	else if (pid && !file->dead)
		tls_files_hold(&t->files, pid, file);
}

/* The file that is being looked at becomes one of those that are kept. NULL: no room. */
static struct tls_file *keep(struct tls *t, const struct tls_look *l)
{
	struct tls_file *file = tls_files_find(&t->files, &l->file.real);

	if (!file && tls_files_add(&t->files, &l->file.real, clock_boot(), &file)) {
		stat_inc(tls_no_room);
		return NULL;
	}
	tls_files_name(&t->files, &l->file.id, file);
	tell_kernel(t, &l->file.id, file->dead ? FILE_PLAIN : FILE_TLS);
	hold(t, l->pid, l->pinned, file);
	return file;
}

static void found_tls(struct tls *t, struct tls_look *l)
{
	struct tls_file *file = keep(t, l);

	if (!file)
		return;
	file->busy = false;
	if (!file->probes && !file->dead)
		tls_hook(file, t->skel, l);
	if (file->dead)
		tell_kernel(t, &l->file.id, FILE_PLAIN);
}

static void found_nothing(struct tls *t, const struct tls_look *l)
{
	struct tls_file *file = tls_files_find(&t->files, &l->file.real);

	if (file) { /* kept while its symbols were read */
		file->busy = false;
		file->dead = true;
	}
	note_plain(t, &l->file);
}

static void found_unreadable(struct tls *t, const struct tls_look *l)
{
	tls_hook_unreadable(l);
	found_nothing(t, l);
}

/* The rest of the search can wait. A file that may still turn out to be of interest is kept, one that cannot is not. */
static void postpone(struct tls *t, struct tls_look *l)
{
	struct tls_file *file = l->static_later ? keep(t, l) : NULL;

	if (file)
		file->busy = true;
	else
		note_plain(t, &l->file);
	if (t->n_later == LATER_MAX) {
		stat_inc(tls_no_room);
		found_nothing(t, l);
		tls_look_free(&l);
		return;
	}
	list_push(l->static_later ? t->later.next : &t->later, &l->link); /* what may be hooked goes first */
	t->n_later++;
}

static bool look_step(struct tls *t, struct tls_look *l, bool is_later)
{
	enum look_result r = tls_look_step(l);

	if (r == LOOK_MORE || (r == LOOK_LATER && is_later))
		return false;
	if (r == LOOK_TLS)
		found_tls(t, l);
	else if (r == LOOK_UNREADABLE)
		found_unreadable(t, l);
	else if (r == LOOK_PLAIN)
		found_nothing(t, l);
	else
		postpone(t, l);
	if (r != LOOK_LATER)
		tls_look_free(&l);
	return true;
}

/* ---- a file that has been opened ---- */

/* True: it is known, and the process is counted. */
static bool known(struct tls *t, uint32_t pid, bool untracked, const struct file_id *id)
{
	struct tls_file *file = tls_files_find(&t->files, id);

	if (file)
		hold(t, pid, untracked, file);
	else if (table_get(&t->plain, id_key(id)))
		tell_kernel(t, id, FILE_PLAIN);
	else
		return false;
	return true;
}

/* The same file before it was written to: its probes may stand anywhere now. */
static void forget_older(struct tls *t, const struct file_id *id)
{
	struct tls_file *old = tls_files_version(&t->files, id);

	if (!old)
		return;
	uprobe_detach(TAKE_PTR(old->probes));
	old->dead = true;
}

static void begin_look(struct tls *t, struct tls_opened *o, uint32_t pid, bool untracked, uint64_t since)
{
	struct tls_file *file = tls_files_find(&t->files, &o->real);
	struct tls_opened copy = *o;

	stat_inc(tls_looked);
	if (!file)
		forget_older(t, &o->real);
	if (file) { /* under another name */
		tls_files_name(&t->files, &o->id, file);
		tell_kernel(t, &o->id, file->dead ? FILE_PLAIN : FILE_TLS);
		hold(t, pid, untracked, file);
		close(o->fd);
		return;
	}
	if (tls_look_new(&t->look, o)) {
		note_plain(t, &copy);
		return;
	}
	t->look->pid = pid;
	t->look->pinned = untracked;
	t->look->since = since;
}

/* ---- jobs ---- */

static void job_file(struct tls *t, const struct job *j, struct slice path)
{
	struct tls_opened o;

	if (!j->file.ino || known(t, j->pid, j->untracked, &j->file))
		return;
	if (tls_open(&o, t->skel, j->nr, &j->file, path)) {
		if (j->pid)
			stat_inc(tls_gone);
		forget(t, &j->file);
		return;
	}
	begin_look(t, &o, j->pid, j->untracked, j->time);
}

static void walk_begin(struct tls *t, const struct job *j)
{
	int n = tls_maps(j->nr, t->walk.maps, MAPS_MAX);

	t->walk.pid = j->pid;
	t->walk.nr = j->nr;
	t->walk.untracked = j->untracked;
	t->walk.n = MAX(n, 0);
	t->walk.at = 0;
}

static void walk_step(struct tls *t)
{
	const struct tls_map *m = &t->walk.maps[t->walk.at++];
	struct tls_opened o;

	if (table_get(&t->seen, map_key(m)) || tls_open_map(&o, t->skel, t->walk.nr, m))
		return;
	if (known(t, t->walk.pid, t->walk.untracked, &o.id)) {
		if (!tls_files_find(&t->files, &o.id))
			remember(&t->seen, map_key(m));
		close(o.fd);
		return;
	}
	begin_look(t, &o, t->walk.pid, t->walk.untracked, 0);
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
	uprobe_detach(file->probes);
	tls_files_remove(&t->files, file, forget, t);
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
		if (look_step(t, t->look, false))
			t->look = NULL;
	} else if (t->walk.at < t->walk.n) {
		walk_step(t);
	} else if (t->n_jobs) {
		job_next(t, now);
	} else if (t->n_later && (may_hook(t) || now >= t->last_event + QUIET_NS)) {
		struct tls_look *l = list_entry(t->later.next, struct tls_look, link);

		list_del(&l->link);
		if (look_step(t, l, true))
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
	static const char *const names[] = { "/libssl", "/libgnutls.", "/libmbedtls", "/libwolfssl", "/libs2n", "/librustls" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (ev->path_len && memmem(ev->path, ev->path_len, names[i], strlen(names[i])))
			return true;
	return ev->what == MAPPED_EXEC && ev->path_len;
}

static void enqueue(struct tls *t, const struct job *from, const uint8_t *path)
{
	uint32_t max = from->what == MAPPED_FILE ? TLS_QUEUE_MAX : 16 * TLS_QUEUE_MAX;
	struct job *j = t->n_jobs < max ? malloc(sizeof(*j) + from->path_len) : NULL;

	if (!j) {
		stat_inc(tls_queue);
		if (from->what == MAPPED_FILE)
			forget(t, &from->file);
		return;
	}
	*j = *from;
	if (path)
		memcpy(j->path, path, from->path_len);
	list_push(&t->jobs, &j->link);
	t->n_jobs++;
}

/*
 * Before what else waits, which may be about the same process: so nothing but the file is looked at now. The process is counted when
 * its turn comes.
 */
static void hurry(struct tls *t, const struct ev_mapped *ev)
{
	struct job j = { .file = ev->file, .time = ev->h.time, .nr = ev->nr };

	while (t->look)
		step(t, ev->h.time);
	job_file(t, &j, slice_of((const char *)ev->path, ev->path_len));
	while (t->look)
		step(t, ev->h.time);
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

		uprobe_detach(TAKE_PTR(file->probes));
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
