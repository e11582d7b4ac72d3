// SPDX-License-Identifier: Apache-2.0
/* Loads the BPF object and attaches its programs, in the order that leaves no process or connection unseen. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

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

static void leave_out(struct spandrel_bpf *skel, const struct features *f)
{
	const struct {
		struct bpf_program *prog;
		enum feature needs;
	} optional[] = {
		{ skel->progs.on_rename, FEAT_RENAME },	 { skel->progs.on_cgroup, FEAT_CGROUP },
		{ skel->progs.on_destroy, FEAT_DESTROY }, { skel->progs.each_file, FEAT_ITER_FILE },
		{ skel->progs.each_unix, FEAT_ITER_UNIX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(optional); i++)
		if (!f->has[optional[i].needs])
			bpf_program__set_autoload(optional[i].prog, false);
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

static int load_error(int err)
{
	char reason[REASON_MAX];

	refusal_reason(err, reason);
	return log_ret(err, "cannot trace: %s", reason);
}

int plan_load(struct spandrel_bpf **out, const struct features *f, uint32_t ring_size)
{
	struct spandrel_bpf *skel;
	int err;

	libbpf_set_print(to_debug);
	skel = spandrel_bpf__open();
	if (!skel)
		return load_error(-errno);
	leave_out(skel, f);
	err = bpf_map__set_max_entries(skel->maps.ring, ring_size);
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.scratches, (uint32_t)libbpf_num_possible_cpus());
	if (!err)
		err = spandrel_bpf__load(skel);
	if (!err)
		err = ask_who(skel);
	if (err) {
		spandrel_bpf__destroy(skel);
		return load_error(err);
	}
	*out = skel;
	return 0;
}

int plan_walk(const struct bpf_program *prog, void (*out)(void *arg, const void *p, size_t n), void *arg)
{
	struct bpf_link *link;
	char chunk[4096];
	_close_ int fd = -1;
	ssize_t n;

	if (bpf_program__fd(prog) < 0)
		return -EOPNOTSUPP;
	link = bpf_program__attach_iter(prog, NULL);
	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	n = fd < 0 ? -1 : 0;
	if (fd < 0)
		n = -errno;
	else
		while ((n = read(fd, chunk, sizeof(chunk))) > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
			if (n > 0 && out)
				out(arg, chunk, (size_t)n);
	if (n < 0 && fd >= 0)
		n = -errno;
	bpf_link__destroy(link);
	return (int)n;
}

static int attach_one(struct bpf_link **link, const struct bpf_program *prog)
{
	if (bpf_program__fd(prog) < 0)
		return 0; /* optional, not loaded */
	*link = bpf_program__attach(prog);
	if (*link)
		return 0;
	return log_ret(-errno, "cannot attach %s: %s", bpf_program__name(prog), strerror(errno));
}

/* Processes first: when the walk is done every selected one is known, and none that starts meanwhile is missed. */
static int attach_processes(struct spandrel_bpf *s)
{
	int err;

	if ((err = attach_one(&s->links.on_fork, s->progs.on_fork)) || (err = attach_one(&s->links.on_exec, s->progs.on_exec)) ||
	    (err = attach_one(&s->links.on_rename, s->progs.on_rename)) ||
	    (err = attach_one(&s->links.on_cgroup, s->progs.on_cgroup)) ||
	    (err = attach_one(&s->links.on_exit, s->progs.on_exit)))
		return err;
	/* twice: a process that changes while it is looked at is seen as it is now by the second walk */
	for (int i = 0; i < 2; i++) {
		err = plan_walk(s->progs.each_task, NULL, NULL);
		if (err)
			return log_ret(err, "cannot walk the running processes: %s", strerror(-err));
	}
	return 0;
}

/* A UNIX socket first used before `ready` counts as old; the walk marks those that have not been used meanwhile. */
static int attach_sockets(struct spandrel_bpf *s)
{
	int err;

	if ((err = attach_one(&s->links.on_state, s->progs.on_state)) ||
	    (err = attach_one(&s->links.on_destroy, s->progs.on_destroy)) ||
	    (err = attach_one(&s->links.on_send, s->progs.on_send)) || (err = attach_one(&s->links.on_recv, s->progs.on_recv)))
		return err;
	err = plan_walk(s->progs.each_file, NULL, NULL);
	if (err)
		log_debug("open UNIX sockets are not told from new ones: %s", strerror(-err));
	else
		s->bss->ready = 1;
	return 0;
}

int plan_attach(struct spandrel_bpf *skel)
{
	int err = attach_processes(skel);

	return err ? err : attach_sockets(skel);
}

void plan_detach(struct spandrel_bpf *skel)
{
	spandrel_bpf__detach(skel);
}
