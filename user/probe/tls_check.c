// SPDX-License-Identifier: Apache-2.0
#include "probe/tls_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/scope.h"
#include "base/table.h"
#include "probe/tls_look.h"
#include "probe/tls_open.h"
#include "probe/tls_rows.h"
#include "probe/tls_sites.h"

#define FILES_MAX 16384 /* of all processes together */
#define MAPS_MAX  4096

static char mark;

/* ---- one file ---- */

static void show_place(FILE *out, const struct tls_place *p)
{
	const struct tls_row *row = &tls_rows[p->row];

	fprintf(out, "  %-32s ", row->symbol);
	if (row->args)
		fprintf(out, p->entry ? "past the prologue (+%u)" : "entry", p->entry);
	if (p->cheap)
		fputs(", emulated", out);
	if (p->n_rets)
		fprintf(out, "; return by %u probe%s", p->n_rets, p->n_rets > 1 ? "s" : "");
	else if (p->ret)
		fprintf(out, "%sreturn by uretprobe", row->args ? "; " : "");
	fputc('\n', out);
}

static void show_sites(FILE *out, const char *path, const struct tls_look *l)
{
	_free_ struct tls_sites *s = malloc(sizeof(*s));
	const char *comma = "";

	if (l->n_go > 0) {
		fprintf(out, "TLS in %s: %s, %d probes\n", path, tls_library_name(TLS_GO), l->n_go);
		return;
	}
	if (!s || tls_sites_find(s, l->scan, false))
		return;
	fprintf(out, "TLS in %s: ", path);
	for (int i = 0; i < TLS_LIBRARIES; i++)
		if (s->libraries & 1u << i) {
			fprintf(out, "%s%s", comma, tls_library_name((enum tls_library)i));
			comma = ", ";
		}
	fprintf(out, ", %zu functions, %zu probes\n", s->n_places, s->n);
	for (size_t i = 0; i < s->n_places; i++)
		show_place(out, &s->place[i]);
}

/* Takes the descriptor. */
static void show_file(FILE *out, const char *path, int fd)
{
	_cleanup_(tls_look_free) struct tls_look *l = NULL;
	enum look_result r;

	if (tls_look_new(&l, &(struct tls_opened){ .fd = fd }))
		return;
	do
		r = tls_look_step(l);
	while (r == LOOK_MORE || r == LOOK_LATER);
	if (r == LOOK_TLS)
		show_sites(out, path, l);
	else if (r == LOOK_UNREADABLE)
		fprintf(out, "TLS in %s: %s, without symbols: not readable\n", path, tls_look_guess(l));
}

/* Once a file, by whatever name. */
static void check_file(FILE *out, struct table *seen, const char *at, const char *name)
{
	_close_ int fd = -1;
	struct stat st;
	uint64_t key;

	if (stat(at, &st) || !S_ISREG(st.st_mode)) /* to open a device may have effects */
		return;
	fd = open(at, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	key = table_mix(st.st_ino, st.st_dev);
	if (table_get(seen, key) || table_set(seen, key, &mark))
		return;
	show_file(out, name, TAKE_FD(fd));
}

/* ---- processes ---- */

static void check_process(FILE *out, struct table *seen, uint32_t nr, struct tls_map *maps)
{
	int n = tls_maps(nr, maps, MAPS_MAX);

	for (int i = 0; i < n; i++) {
		char at[96], name[512];
		ssize_t length;

		snprintf(at, sizeof(at), "/proc/%u/map_files/%llx-%llx", nr, (unsigned long long)maps[i].from, (unsigned long long)maps[i].to);
		length = readlink(at, name, sizeof(name) - 1);
		if (length <= 0)
			continue;
		name[length] = '\0';
		check_file(out, seen, at, name);
	}
}

void tls_check_processes(FILE *out, const uint32_t *nr, size_t n)
{
	_free_ struct tls_map *maps = malloc(MAPS_MAX * sizeof(*maps));
	_cleanup_(table_fini) struct table seen;

	table_init(&seen, FILES_MAX);
	for (size_t i = 0; maps && i < n; i++)
		check_process(out, &seen, nr[i], maps);
	fprintf(out, "TLS was looked for in %zu files that %zu selected processes map\n", seen.n, n);
}

/* ---- directories ---- */

static bool is_library(const char *name)
{
	return tls_library_file(slice_str(name)) && strstr(name, ".so");
}

static void check_directory(FILE *out, struct table *seen, const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char at[512];

		if (is_library(e->d_name) && snprintf(at, sizeof(at), "%s/%s", path, e->d_name) < (int)sizeof(at))
			check_file(out, seen, at, at);
	}
	if (d)
		closedir(d);
}

void tls_check_directories(FILE *out)
{
	static const char *const paths[] = {
		"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64",
#ifdef __x86_64__
		"/usr/lib/x86_64-linux-gnu",
#else
		"/usr/lib/aarch64-linux-gnu",
#endif
	};
	_cleanup_(table_fini) struct table seen;

	table_init(&seen, FILES_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		check_directory(out, &seen, paths[i]);
	if (!seen.n)
		fputs("TLS: no library in standard directories (with a selector: what the selected processes map)\n", out);
}
