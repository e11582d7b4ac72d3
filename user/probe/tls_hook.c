// SPDX-License-Identifier: Apache-2.0
#include "probe/tls_hook.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "probe/tls_sites.h"

#define SAID_MAX 10 /* files without symbols that are named */

static void count_failure(int err)
{
	if (err == -EPERM || err == -EACCES)
		stat_inc(tls_refused);
	else if (err == -ENOMEM || err == -ENOSPC || err == -EMFILE)
		stat_inc(tls_no_room);
	else
		stat_inc(tls_not_attached);
}

/* Without those that this kernel does not run. */
static size_t offered(const struct spandrel_bpf *skel, struct uprobe_site *site, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (uprobe_offered(skel, site[i].program))
			site[kept++] = site[i];
	return kept;
}

static int find_sites(struct tls_sites *out, const struct tls_look *l, bool plain)
{
	if (l->n_go <= 0)
		return tls_sites_find(out, l->scan, plain);
	*out = (struct tls_sites){ .n = (size_t)l->n_go, .libraries = 1u << TLS_GO };
	memcpy(out->site, l->go_sites, out->n * sizeof(*out->site));
	return 0;
}

static int attach(struct tls_file *file, const struct spandrel_bpf *skel, const struct tls_look *l, bool plain)
{
	_free_ struct tls_sites *s = malloc(sizeof(*s));
	int err = s ? find_sites(s, l, plain) : -ENOMEM;
	size_t n;

	if (err)
		return err;
	if (s->n) /* one program's own library: nobody else pays for what it needs */
		while (s->n_aside && s->n < TLS_SITES_MAX)
			s->site[s->n++] = s->aside[--s->n_aside];
	n = offered(skel, s->site, s->n);
	file->aside.n = offered(skel, s->aside, s->n_aside);
	memcpy(file->aside.site, s->aside, file->aside.n * sizeof(*s->aside));
	if (!n)
		return file->aside.n ? 0 : -EOPNOTSUPP;
	err = uprobe_attach(&file->probes, skel, l->file.fd, s->site, n);
	if (err)
		return err;
	stat_inc(tls_attached);
	stat_add(tls_probes, n);
	log_debug("TLS: inode %llu: %zu probes stand %llu µs after it was mapped", (unsigned long long)l->file.real.ino, n,
		  l->since ? (unsigned long long)(clock_boot() - l->since) / 1000 : 0ULL);
	return 0;
}

void tls_hook(struct tls_file *file, const struct spandrel_bpf *skel, const struct tls_look *l)
{
	int err = attach(file, skel, l, false);

	if (err && err != -EOPNOTSUPP) /* a place that the kernel does not want: it may want where functions begin */
		err = attach(file, skel, l, true);
	if (!err)
		return;
	file->dead = true;
	if (err != -EOPNOTSUPP) /* then no program runs here at all, which was said at the start */
		count_failure(err);
}

void tls_hook_aside(struct tls_file *file, const struct spandrel_bpf *skel, int fd)
{
	struct tls_aside *a = &file->aside;
	int err;

	if (!a->n || a->probes || file->dead)
		return;
	err = uprobe_attach(&a->probes, skel, fd, a->site, a->n);
	if (err) {
		a->n = 0;
		count_failure(err);
		return;
	}
	stat_add(tls_probes, a->n);
	log_debug("TLS: inode %llu: %zu probes more, for a process that enciphers in memory", (unsigned long long)file->id.ino, a->n);
}

void tls_unhook(struct tls_file *file)
{
	uprobe_detach(TAKE_PTR(file->probes));
	uprobe_detach(TAKE_PTR(file->aside.probes));
}

void tls_hook_unreadable(const struct tls_look *l, uint32_t *said)
{
	const char *library = tls_look_guess(l);
	char link[32], path[256];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", l->file.fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[MAX(n, 0)] = '\0';
	stats_gauge_add("tls_unreadable", "library", slice_str(library), 1);
	if (*said == SAID_MAX)
		return;
	log_info("%s has TLS in it (%s) and no symbols: what it moves there is not readable", path, library);
	if (++*said == SAID_MAX)
		log_info("more such files are not named: tls_unreadable counts them");
}
