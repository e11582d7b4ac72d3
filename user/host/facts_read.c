// SPDX-License-Identifier: Apache-2.0
/* Facts from /proc, or from an exec record when the process is gone already. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/scope.h"
#include "host/binary.h"
#include "host/container.h"
#include "host/environ.h"
#include "host/facts.h"
#include "host/identity.h"
#include "host/proc.h"
#include "host/text.h"

#define ARGS_BYTES   (64 * 1024) /* a long class path comes before the class */
#define CGROUP_BYTES (16 * 1024)
#define PASSWD_BYTES (64 * 1024)
#define NS_PER_TICK  10000000 /* the kernel shows times to programs in 1/100 s */
#define FIRST_UTS    0xeffffffe /* number of the first name space of host names, as in linux/proc_ns.h */

/* Text that may be NULL; nothing then. */
static void put_known(struct buf *b, struct slice key, const char *value)
{
	if (value)
		facts_text(b, key, slice_str(value));
}

static struct slice without_deleted(struct slice path)
{
	struct slice mark = SLICE(" (deleted)");

	return path.n > mark.n && slice_eq(slice_from(path, path.n - mark.n), mark)
		   ? slice_to(path, path.n - mark.n)
		   : path;
}

static void put_program(struct buf *b, const struct program *p, struct identity *id)
{
	identity_of(p, id);
	if (id->name.n)
		facts_text(b, SLICE("service.name"), id->name);
	put_known(b, SLICE("telemetry.sdk.language"), id->language);
	put_known(b, SLICE("process.runtime.name"), id->runtime);
	facts_text(b, SLICE("process.executable.name"), text_base(p->exe));
	if (p->exe.n && p->exe.p[0] == '/')
		facts_text(b, SLICE("process.executable.path"), p->exe);
}

static void put_declared(void *arg, struct slice key, struct slice value)
{
	facts_declare(arg, key, value);
}

static void put_environ(struct buf *b, const struct proc *p)
{
	_cleanup_(buf_fini) struct buf env;
	struct slice list, name;
	char room[ENVIRON_LIST];

	buf_init(&env, ENVIRON_MAX);
	if (proc_read(p, "environ", &env, NULL) < 0)
		return;
	list = environ_get(buf_slice(&env), SLICE("OTEL_RESOURCE_ATTRIBUTES"));
	if (list.n && list.n <= sizeof(room))
		environ_attributes(list, room, put_declared, b);
	name = slice_trim(environ_get(buf_slice(&env), SLICE("OTEL_SERVICE_NAME")));
	if (name.n)
		facts_declare(b, SLICE("service.name"), name);
}

static void put_container(struct buf *b, const struct proc *p)
{
	_cleanup_(buf_fini) struct buf text;
	struct slice id;

	buf_init(&text, CGROUP_BYTES);
	if (proc_read(p, "cgroup", &text, NULL) < 0)
		return;
	id = container_id(buf_slice(&text));
	if (id.n)
		facts_text(b, SLICE("container.id"), id);
}

/* A file of process 1, which is the host's where we see its processes. */
static int read_first_file(const char *root, const char *path, struct buf *b)
{
	char full[256];
	int n = snprintf(full, sizeof(full), "%s/1/root%s", root, path);

	buf_reset(b);
	return n > 0 && (size_t)n < sizeof(full) ? read_file(AT_FDCWD, full, b, NULL) : -ENAMETOOLONG;
}

/* A file of the host's own root, which is not ours when we run in a container. */
static int read_host_file(const char *root, const char *path, struct buf *b)
{
	if (!read_first_file(root, path, b))
		return 0;
	buf_reset(b);
	return read_file(AT_FDCWD, path, b, NULL);
}

/* The user's name as the host knows it. */
static void put_owner(struct buf *b, const struct proc *p, const char *root)
{
	_cleanup_(buf_fini) struct buf text;
	struct slice rest, line, name, field;
	uint32_t uid;
	uint64_t id;

	buf_init(&text, PASSWD_BYTES);
	if (proc_uid(p, &uid) < 0 || read_host_file(root, "/etc/passwd", &text) < 0)
		return;
	rest = buf_slice(&text);
	while (slice_split(&rest, '\n', &line)) {
		if (!slice_split(&line, ':', &name) || !slice_split(&line, ':', &field) ||
		    !slice_split(&line, ':', &field) || !slice_u64(field, &id) || id != uid ||
		    !name.n)
			continue;
		facts_text(b, SLICE("process.owner"), name);
		return;
	}
}

static void put_binary(struct buf *b, const struct proc *p)
{
	_close_ int fd = proc_exe(p);
	struct binary found;

	if (fd < 0)
		return;
	binary_inspect(fd, &found);
	put_known(b, SLICE("telemetry.sdk.language"), found.language);
	put_known(b, SLICE("process.runtime.name"), found.runtime);
}

static struct slice exec_path(const struct ev_exec *exec)
{
	const char *p = (const char *)exec->exe;

	return without_deleted(slice_of(p, strnlen(p, MIN(exec->exe_len, EV_EXE_MAX))));
}

/* Is the process what the record says? The path's root can differ, the name cannot. */
static bool same_program(const struct ev_exec *exec, uint64_t start, struct slice exe)
{
	struct slice want = exec_path(exec);

	return exec->start / NS_PER_TICK == start &&
	       (!want.n || slice_eq(text_base(want), text_base(exe)));
}

static void put_texts(struct buf *b, const struct proc *p, struct slice exe)
{
	_cleanup_(buf_fini) struct buf args, cwd;
	struct program program = {.exe = exe};
	struct identity id;
	bool cut = false;

	buf_init(&args, ARGS_BYTES);
	buf_init(&cwd, 4096);
	if (proc_read(p, "cmdline", &args, &cut) < 0)
		buf_reset(&args);
	while (cut && args.n && args.p[args.n - 1])
		args.n--; /* half an argument is none */
	proc_link(p, "cwd", &cwd);
	program.args = buf_slice(&args);
	program.cwd = buf_slice(&cwd);
	put_program(b, &program, &id);
	if (!id.language)
		put_binary(b, p);
}

/* The executable's path; only its short name where we may not look closer. */
static int read_exe(const struct proc *p, struct buf *b)
{
	int r = proc_link(p, "exe", b);

	if (r != -EACCES && r != -EPERM)
		return r;
	r = proc_read(p, "comm", b, NULL);
	if (!r && b->n && b->p[b->n - 1] == '\n')
		b->n--;
	return r;
}

int facts_read(struct buf *b, const char *root, uint32_t pid, const struct ev_exec *exec)
{
	_cleanup_(buf_fini) struct buf exe;
	_cleanup_(proc_close) struct proc p;
	struct proc_stat stat;
	int r;

	buf_init(&exe, 4096);
	buf_reset(b);
	r = proc_open(&p, root, pid);
	if (!r)
		r = proc_stat(&p, &stat);
	if (!r)
		r = read_exe(&p, &exe);
	if (!r && exec && !same_program(exec, stat.start, buf_slice(&exe)))
		r = -ESTALE;
	if (r)
		return r;
	facts_begin(b, stat.start, exec ? exec->h.time : 0);
	facts_number(b, SLICE("process.parent_pid"), stat.ppid);
	put_texts(b, &p, buf_slice(&exe));
	put_owner(b, &p, root);
	facts_layer(b, FACTS_DECLARED);
	put_environ(b, &p);
	facts_layer(b, FACTS_KNOWN);
	put_container(b, &p);
	facts_end(b, clock_boot());
	return 0;
}

void facts_from_exec(struct buf *b, const struct ev_exec *exec)
{
	struct slice args = slice_of((const char *)exec->args, MIN(exec->args_len, EV_ARGS_MAX));
	struct program p = {.exe = exec_path(exec)};
	struct identity id;

	while (args.n == EV_ARGS_MAX && args.p[args.n - 1])
		args.n--;
	p.args = args;
	if (!p.exe.n) /* not seen whole: the name that the kernel keeps */
		p.exe = slice_of((const char *)exec->comm,
				 strnlen((const char *)exec->comm, sizeof(exec->comm)));
	facts_begin(b, exec->start / NS_PER_TICK, exec->h.time);
	if (exec->ppid)
		facts_number(b, SLICE("process.parent_pid"), exec->ppid);
	put_program(b, &p, &id);
}

static struct slice arch_name(const char *machine)
{
	static const char *const names[][2] = {
	    {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i386", "x86"},	   {"i686", "x86"},
	    {"armv7l", "arm32"}, {"ppc64le", "ppc64"}, {"s390x", "s390x"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i][0], machine))
			return slice_str(names[i][1]);
	return slice_str(machine);
}

bool facts_named_as_host(const char *root)
{
	struct stat ours, first;
	char path[256];

	snprintf(path, sizeof(path), "%s/self/ns/uts", root);
	if (stat(path, &ours) || ours.st_ino == FIRST_UTS)
		return true;
	snprintf(path, sizeof(path), "%s/1/ns/uts", root);
	return !stat(path, &first) && first.st_ino == ours.st_ino && first.st_dev == ours.st_dev;
}

/* What the host was told to be called; "localhost" is what it is called when nobody has told it. */
static void put_written_name(struct buf *b, const char *root)
{
	_cleanup_(buf_fini) struct buf text;
	struct slice rest, line;

	buf_init(&text, 256);
	if (read_first_file(root, "/etc/hostname", &text) < 0)
		return;
	rest = buf_slice(&text);
	while (slice_split(&rest, '\n', &line)) {
		line = slice_trim(line);
		if (!line.n || line.p[0] == '#')
			continue;
		if (!slice_starts(line, SLICE("localhost")))
			facts_text(b, SLICE("host.name"), line);
		return;
	}
}

void facts_read_host(struct buf *b, const char *root)
{
	_cleanup_(buf_fini) struct buf text;
	struct utsname name;
	struct slice rest, line;
	bool known = !uname(&name);

	buf_init(&text, 256);
	facts_begin(b, 0, 0);
	facts_text(b, SLICE("os.type"), SLICE("linux"));
	if (known)
		facts_text(b, SLICE("host.arch"), arch_name(name.machine));
	if (!facts_named_as_host(root))
		put_written_name(b, root);
	else if (known)
		facts_text(b, SLICE("host.name"), slice_str(name.nodename));
	if (read_host_file(root, "/etc/machine-id", &text) < 0)
		return;
	rest = buf_slice(&text);
	if (slice_split(&rest, '\n', &line) && slice_trim(line).n)
		facts_text(b, SLICE("host.id"), slice_trim(line));
}
