// SPDX-License-Identifier: Apache-2.0
/* Loads the BPF object and attaches its programs, in the order that leaves no process or connection unseen. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/scope.h"
#include "probe/inner.h"
#include "spandrel.skel.h"

/* libbpf's warnings are for those who ask: line by line, the verifier's reasons have thousands. */
static int to_debug(enum libbpf_print_level level, const char *format, va_list args)
{
	_free_ char *text = NULL;

	if (level == LIBBPF_DEBUG || !log_wants(LOG_DEBUG) || vasprintf(&text, format, args) < 0)
		return 0;
	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		log_debug("%s", line);
	return 0;
}

/* ---- load ---- */

static void note_lost(struct plan *p, const struct probe_row *r)
{
	size_t n = strlen(p->lost);

	p->n_lost++;
	if (!strstr(p->lost, r->lost))
		snprintf(p->lost + n, sizeof(p->lost) - n, "%s%s", n ? ", " : "", r->lost);
}

/* Our process id and network namespace as the kernel's programs see them. */
static int ask_who(struct spandrel_bpf *skel)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.whoami), &opts);

	if (err)
		return err;
	skel->bss->knobs.self = skel->bss->self.tgid;
	skel->bss->knobs.netns = skel->bss->self.netns;
	if (getrandom(&skel->bss->knobs.key, sizeof(skel->bss->knobs.key), 0) < 0)
		return -errno;
	return 0;
}

/* What only one way needs is small on the others. */
static int size_maps(struct spandrel_bpf *skel, uint32_t ring_size)
{
	int err = bpf_map__set_max_entries(skel->maps.ring, ring_size);

	if (!err)
		err = bpf_map__set_max_entries(skel->maps.scratches, SCRATCH_LEVELS * (uint32_t)libbpf_num_possible_cpus());
	if (!err) /* each processor keeps some places of such tables to itself */
		err = bpf_map__set_max_entries(skel->maps.sessions, SESSIONS_MAX + 128 * (uint32_t)libbpf_num_possible_cpus());
	if (!err && !skel->rodata->way.hashed)
		err = bpf_map__set_max_entries(skel->maps.hashed, 1);
	if (!err && !skel->rodata->way.kprobe)
		err = bpf_map__set_max_entries(skel->maps.enters, 64);
	if (!err && skel->rodata->way.kprobe) /* before 6.1 a kprobe must not allocate: the kernel says so in its log */
		err = bpf_map__set_map_flags(skel->maps.procs, 0) ?: bpf_map__set_map_flags(skel->maps.holders, 0);
	return err;
}

static void set_way(struct way *to, const struct features *f, const struct way_row *way)
{
	*to = f->way;
	to->registers = way->bit == WAY_SOCKTP;
	to->kprobe = way->bit == WAY_KPROBE;
	to->hashed |= to->kprobe;
}

static void use_row(struct spandrel_bpf *skel, const struct features *f, const struct probe_row *r)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(skel->obj, r->prog);

	bpf_program__set_autoload(prog, true);
	if (r->need == NEED_IN_FILES && f->uprobe_multi)
		bpf_program__set_expected_attach_type(prog, (enum bpf_attach_type)UPROBE_MULTI);
}

static int load_these(struct plan *p, const struct features *f, const bool use[PROBES_MAX], uint32_t ring_size)
{
	struct spandrel_bpf *skel = spandrel_bpf__open();
	struct bpf_program *prog;
	int err;

	if (!skel)
		return -errno;
	bpf_object__for_each_program(prog, skel->obj)
		bpf_program__set_autoload(prog, false);
	for (size_t i = 0; i < n_probe_rows; i++)
		if (use[i])
			use_row(skel, f, &probe_rows[i]);
	set_way(&skel->rodata->way, f, p->way);
	err = size_maps(skel, ring_size);
	if (!err)
		err = spandrel_bpf__load(skel);
	if (!err)
		err = ask_who(skel);
	if (err)
		spandrel_bpf__destroy(skel);
	else
		p->skel = skel;
	return err;
}

/* The verifier refuses something: first without all that is optional, then with each of those that does not spoil it. */
static int load_sparing(struct plan *p, const struct features *f, bool use[PROBES_MAX], uint32_t ring_size)
{
	bool want[PROBES_MAX];
	int err;

	memcpy(want, use, sizeof(want));
	for (size_t i = 0; i < n_probe_rows; i++)
		use[i] &= probe_required(f, i, p->way->bit);
	err = load_these(p, f, use, ring_size);
	for (size_t i = 0; !err && i < n_probe_rows; i++) {
		if (!want[i] || use[i])
			continue;
		use[i] = true;
		spandrel_bpf__destroy(TAKE_PTR(p->skel));
		if (!load_these(p, f, use, ring_size))
			continue;
		use[i] = false;
		note_lost(p, &probe_rows[i]);
		err = load_these(p, f, use, ring_size);
	}
	return err;
}

int plan_load(struct plan *p, const struct features *f, const struct way_row *way, uint32_t ring_size)
{
	bool use[PROBES_MAX] = { 0 };
	int err;

	libbpf_set_print(to_debug);
	*p = (struct plan){ .way = way };
	for (size_t i = 0; i < n_probe_rows; i++) {
		use[i] = probe_wanted(f, i, way->bit);
		if ((probe_rows[i].ways & way->bit) && !f->has[i] && (probe_rows[i].need == NEED_OPTIONAL || probe_rows[i].need == NEED_END))
			note_lost(p, &probe_rows[i]);
	}
	err = load_these(p, f, use, ring_size);
	return err && err != -EPERM ? load_sparing(p, f, use, ring_size) : err;
}

void plan_slim(void)
{
	size_t size, page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = (uintptr_t)spandrel_bpf__elf_bytes(&size), to = (from + size) & ~(page - 1);

	from = (from + page - 1) & ~(page - 1);
	if (from < to)
		madvise((void *)from, to - from, MADV_DONTNEED); /* constant: what is read again comes from our own file */
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

/* ---- walks ---- */

int walk_open(const struct bpf_program *prog)
{
	struct bpf_link *link;
	int fd;

	if (bpf_program__fd(prog) < 0)
		return -EOPNOTSUPP;
	link = bpf_program__attach_iter(prog, NULL);
	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		fd = -errno;
	bpf_link__destroy(link); /* the walk lives on */
	return fd;
}

int walk_run(int fd, void (*out)(void *arg, const void *p, size_t n), void *arg)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		if (n > 0 && out)
			out(arg, chunk, (size_t)n);
	return n < 0 ? -errno : 0;
}

int plan_walk(const struct bpf_program *prog, void (*out)(void *arg, const void *p, size_t n), void *arg)
{
	_close_ int fd = walk_open(prog);

	return fd < 0 ? fd : walk_run(fd, out, arg);
}

/* ---- attach ---- */

/* Twice: a process that changes while it is looked at is seen as it is now by the second walk. */
static int walk_tasks(struct plan *p)
{
	int err = plan_walk(p->skel->progs.each_task, NULL, NULL);

	return err ? err : plan_walk(p->skel->progs.each_task, NULL, NULL);
}

/* A socket first used before `ready` counts as old; the walk marks those that have not been used meanwhile. */
static int walk_files(struct plan *p)
{
	int err = plan_walk(p->skel->progs.each_file, NULL, NULL);

	if (!err)
		p->skel->bss->ready = 1;
	return err;
}

static int attach_row(struct plan *p, size_t i, const struct bpf_program *prog)
{
	const struct probe_row *r = &probe_rows[i];

	if (prog == p->skel->progs.each_task)
		return walk_tasks(p);
	if (prog == p->skel->progs.each_file)
		return walk_files(p);
	if (r->need == NEED_IN_FILES || prog == p->skel->progs.whoami || prog == p->skel->progs.each_unix ||
	    prog == p->skel->progs.identify || prog == p->skel->progs.identify_file) /* run when they are asked */
		return 0;
	if (r->func)
		p->links[i] = bpf_program__attach_kprobe(prog, !strncmp(r->prog, "return_", 7), r->func);
	else
		p->links[i] = bpf_program__attach(prog);
	return p->links[i] ? 0 : -errno;
}

/*
 * In the order of the table: processes first, and when their walk is done every selected one is known, and none that starts meanwhile
 * is missed.
 */
int plan_attach(struct plan *p, const struct features *f, const struct knobs *selected)
{
	const struct knobs mine = p->skel->bss->knobs;

	p->skel->bss->knobs = *selected;
	p->skel->bss->knobs.self = mine.self;
	p->skel->bss->knobs.netns = mine.netns;
	p->skel->bss->knobs.key = mine.key;
	for (size_t i = 0; i < n_probe_rows; i++) {
		const struct probe_row *r = &probe_rows[i];
		const struct bpf_program *prog = bpf_object__find_program_by_name(p->skel->obj, r->prog);
		int err;

		if (!probe_wanted(f, i, p->way->bit) || bpf_program__fd(prog) < 0)
			continue;
		err = attach_row(p, i, prog);
		if (!err)
			continue;
		log_debug("%s%s%s: %s", r->prog, r->func ? " on " : "", r->func ? r->func : "", strerror(-err));
		if (probe_required(f, i, p->way->bit))
			return err;
		note_lost(p, r);
	}
	return 0;
}

void plan_detach(struct plan *p)
{
	for (size_t i = n_probe_rows; i-- > 0;)
		bpf_link__destroy(TAKE_PTR(p->links[i]));
}

void plan_fini(struct plan *p)
{
	plan_detach(p);
	spandrel_bpf__destroy(TAKE_PTR(p->skel));
}
