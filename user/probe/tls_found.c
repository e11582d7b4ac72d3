// SPDX-License-Identifier: Apache-2.0
/* What becomes of a file that a process maps: known already, under another name, looked at, kept, hooked, of no interest. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/scope.h"
#include "base/stats.h"
#include "probe/tls_hook.h"
#include "probe/tls_inner.h"
#include "probe/uprobe.h"
#include "spandrel.skel.h"

static char mark; /* what tables of keys hold */

/* ---- what the kernel knows of a file ---- */

static void tell_kernel(const struct tls *t, const struct file_id *id, uint32_t state)
{
	bpf_map_update_elem(bpf_map__fd(t->skel->maps.files), id, &state, BPF_ANY);
}

void tls_forget(void *arg, const struct file_id *id)
{
	const struct tls *t = arg;

	bpf_map_delete_elem(bpf_map__fd(t->skel->maps.files), id);
}

void tls_remember(struct table *t, uint64_t key)
{
	if (table_set(t, key, &mark) == -ENOSPC) { /* all of them again, then */
		table_fini(t);
		table_init(t, KNOWN_MAX);
		table_set(t, key, &mark);
	}
}

static void note_plain(struct tls *t, const struct tls_opened *o)
{
	tls_remember(&t->plain, tls_files_key(&o->id));
	tell_kernel(t, &o->id, FILE_PLAIN);
}

/* ---- what a look has found ---- */

static void hold(struct tls *t, struct who who, struct tls_file *file)
{
	if (who.untracked)
		file->pinned = true;
	else if (who.pid && !file->dead)
		tls_files_hold(&t->files, who.pid, file);
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
	hold(t, (struct who){ l->pid, l->pinned, l->since }, file);
	return file;
}

static void found_tls(struct tls *t, struct tls_look *l)
{
	struct tls_file *file = keep(t, l);

	if (!file)
		return;
	file->busy = false;
	if (!file->probes && !file->aside.n && !file->dead)
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
	tls_hook_unreadable(l, &t->named);
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
		if (l->static_later)
			stat_inc(tls_no_room);
		else
			stat_inc(tls_unsearched);
		found_nothing(t, l);
		tls_look_free(&l);
		return;
	}
	list_push(l->static_later ? t->later.next : &t->later, &l->link); /* what may be hooked goes first */
	t->n_later++;
}

bool tls_look_on(struct tls *t, struct tls_look *l, bool later)
{
	enum look_result r = tls_look_step(l);

	if (r == LOOK_MORE || (r == LOOK_LATER && later))
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

bool tls_known(struct tls *t, struct who who, const struct file_id *id)
{
	struct tls_file *file = tls_files_find(&t->files, id);

	if (file)
		hold(t, who, file);
	else if (table_get(&t->plain, tls_files_key(id)))
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
	tls_unhook(old);
	old->dead = true;
}

void tls_begin_look(struct tls *t, struct tls_opened *o, struct who who)
{
	struct tls_file *file = tls_files_find(&t->files, &o->real);
	struct tls_opened copy = *o;

	stat_inc(tls_looked);
	if (!file)
		forget_older(t, &o->real);
	if (file) { /* under another name */
		tls_files_name(&t->files, &o->id, file);
		tell_kernel(t, &o->id, file->dead ? FILE_PLAIN : FILE_TLS);
		hold(t, who, file);
		close(o->fd);
		return;
	}
	if (tls_look_new(&t->look, o)) {
		note_plain(t, &copy);
		return;
	}
	t->look->pid = who.pid;
	t->look->pinned = who.untracked;
	t->look->since = who.since;
}
