// SPDX-License-Identifier: Apache-2.0
#include "probe/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/stats.h"
#include "probe/inner.h"
#include "probe/tls.h"
#include "spandrel.skel.h"

#define TLS_TURN_NS (3 * NS_PER_MS) /* between two reads of the ring */

static void probe_free(struct probe **p)
{
	if (!*p)
		return;
	tls_free((*p)->tls);
	ring_fini(&(*p)->ring);
	plan_fini(&(*p)->plan);
	free(*p);
	*p = NULL;
}

static uint32_t ring_round(uint32_t want)
{
	uint32_t size = (uint32_t)sysconf(_SC_PAGESIZE);

	while (size < want && size < 1U << 30)
		size *= 2;
	return size;
}

static int features_require(struct features *f)
{
	features_read(f);
	if (f->btf)
		return 0;
	return log_ret(-EOPNOTSUPP, "this kernel shows no BTF at /sys/kernel/btf/vmlinux: it needs CONFIG_DEBUG_INFO_BTF, and /sys mounted");
}

/* Waiting for a process that is gone would be to wait for ever, or for a stranger with its number. */
static int pids_require(const struct select *s)
{
	bool any = !s->pid || !*s->pid;

	for (const char *const *pid = s->pid; pid && *pid; pid++) {
		if (!kill(atoi(*pid), 0) || errno != ESRCH)
			any = true;
		else
			log_warn("--pid %s: no such process", *pid);
	}
	return any ? 0 : log_ret(-ESRCH, "--pid: expected a process that runs");
}

static int selection_read(struct knobs **out, const struct select *s)
{
	struct knobs *k = calloc(1, sizeof(*k));
	char error[256];

	if (!k)
		return -ENOMEM;
	if (select_knobs(k, s, error, sizeof(error))) {
		free(k);
		return log_ret(-EINVAL, "%s", error);
	}
	*out = k;
	return 0;
}

/* ---- TLS ---- */

static void note_process(void *arg, const void *ids, size_t n)
{
	struct probe *p = arg;
	const uint32_t *id = ids;

	for (size_t i = 0; i + 1 < n / sizeof(*id); i += 2)
		tls_process(p->tls, id[i], id[i + 1]);
}

/* What selected processes map already. What they map from now on is told by the kernel: none is missed in between. */
static int tls_walk(struct probe *p, int walk)
{
	int err;

	p->plan.skel->bss->find = 2;
	err = walk_run(walk, note_process, p);
	p->plan.skel->bss->find = 1;
	return err;
}

static int tls_start(struct probe *p)
{
	_close_ int walk = walk_open(p->plan.skel->progs.each_task);
	int err = walk < 0 ? walk : tls_new(&p->tls, p->plan.skel);

	if (!err)
		err = tls_walk(p, walk);
	if (!err)
		tls_settle(p->tls);
	return err;
}

int probe_open(struct probe **out, const struct probe_config *config)
{
	_cleanup_(probe_free) struct probe *p = calloc(1, sizeof(*p));
	_free_ struct knobs *selected = NULL;
	uint32_t ring = ring_round(config->ring_size);
	_cleanup_(features_fini) struct features f = { 0 };
	int err;

	if (!p)
		return -ENOMEM;
	p->ring.epoll = -1;
	err = backend_check(config->backend);
	if (!err)
		err = pids_require(&config->select);
	if (!err)
		err = selection_read(&selected, &config->select);
	if (!err)
		err = features_require(&f);
	if (!err) {
		selected->subsys = f.v1.subsys;
		selected->hierarchy = f.v1.number;
		p->hierarchy = f.v1.name;
	}
	if (!err)
		err = plan_open(&p->plan, &f, config->backend, ring, selected);
	if (err)
		return err;
	if (p->plan.n_lost)
		log_info("on this kernel without: %s", p->plan.lost);
	stat_add(probes_missing, (uint64_t)p->plan.n_lost);
	p->n_cpus = libbpf_num_possible_cpus();
	for (int i = 0; i < FRAMINGS_MAX && config->framings[i]; i++)
		p->plan.skel->bss->framings[i] = *config->framings[i];
	err = ring_init(&p->ring, bpf_map__fd(p->plan.skel->maps.ring), ring);
	if (err)
		return log_ret(err, "cannot map the ring: %s", strerror(-err));
	if (!config->no_tls)
		err = tls_start(p);
	if (err)
		return log_ret(err, "cannot look for TLS libraries: %s", strerror(-err));
	plan_slim();
	*out = TAKE_PTR(p);
	return 0;
}

/* A descendant whose parents are gone is known only by its mark: the same --pid list leaves the marks alone. */
static bool same_pids(const struct knobs *a, const struct knobs *b)
{
	return a->n_pid == b->n_pid && !memcmp(a->pid, b->pid, a->n_pid * sizeof(a->pid[0]));
}

struct selection {
	struct knobs knobs;
	int walk; /* over the tasks that run */
};

void selection_free(struct selection *s)
{
	if (s)
		close_fd(&s->walk);
	free(s);
}

int probe_plan_select(struct probe *p, const struct select *s, struct selection **out, char *error, size_t size)
{
	struct selection *new = malloc(sizeof(*new));
	int err;

	snprintf(error, size, "out of memory");
	if (!new)
		return -ENOMEM;
	new->walk = -1;
	new->knobs = p->plan.skel->bss->knobs;
	err = select_knobs(&new->knobs, s, error, size);
	if (!err && (new->walk = walk_open(p->plan.skel->progs.each_task)) < 0) {
		err = new->walk;
		snprintf(error, size, "cannot look at the processes that run: %s", strerror(-err));
	}
	if (err) {
		selection_free(new);
		return err;
	}
	*out = new;
	return 0;
}

void probe_select(struct probe *p, struct selection *s)
{
	int err;

	p->plan.skel->bss->keep = same_pids(&s->knobs, &p->plan.skel->bss->knobs) ? SEL_PID : 0;
	p->plan.skel->bss->knobs = s->knobs;
	__atomic_fetch_add(&p->plan.skel->bss->procs_changes, 1, __ATOMIC_SEQ_CST);
	if (p->tls)
		tls_reselect(p->tls, clock_boot());
	err = p->tls ? tls_walk(p, s->walk) : walk_run(s->walk, NULL, NULL);
	if (err)
		log_warn("not all processes that run could be looked at: %s", strerror(-err));
	selection_free(s);
}

void probe_stop(struct probe *p)
{
	if (p->tls)
		tls_detach(p->tls);
	plan_detach(&p->plan);
}

void probe_close(struct probe *p)
{
	probe_free(&p);
}

int probe_fd(const struct probe *p)
{
	return p->ring.epoll;
}

const char *probe_backend(const struct probe *p)
{
	return p->plan.way->name;
}

/* ---- reading ---- */

struct reading {
	struct probe *p;
	void (*fn)(void *arg, const struct ev_head *ev);
	void *arg;
};

/* A record may be longer than what it says: it was reserved in a size class. */
static void read_one(void *arg, const void *record, size_t size)
{
	const struct reading *r = arg;
	const struct ev_head *ev = record;

	stat_inc(records);
	if (size < sizeof(*ev) || ev->len > size || !event_valid(ev, ev->len))
		stat_inc(bad_records);
	else if (ev->type != EV_MAPPED)
		r->fn(r->arg, ev);
	else if (r->p->tls)
		tls_event(r->p->tls, (const struct ev_mapped *)ev);
}

int probe_read(struct probe *p, void (*fn)(void *arg, const struct ev_head *ev), void *arg, int max)
{
	struct reading r = { p, fn, arg };
	int n = ring_read(&p->ring, read_one, &r, max);

	p->tls_work = p->tls && tls_turn(p->tls, clock_boot(), TLS_TURN_NS);
	return n;
}

bool probe_idle(struct probe *p)
{
	uint32_t *idle = &p->plan.skel->bss->wake.idle;

	if (p->tls_work)
		return false;
	p->ring.armed = true;
	__atomic_store_n(idle, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ring_empty(&p->ring))
		return true;
	__atomic_store_n(idle, 0, __ATOMIC_RELAXED);
	return false;
}

/* ---- verdicts: a slot in memory shared with the kernel ---- */

static struct verdict *slot_of(struct probe *p, uint64_t conn)
{
	return &p->plan.skel->bss->verdicts[conn & (VERDICT_SLOTS - 1)];
}

/* The slot becomes this connection's; one of an older connection has no verdict any more. */
static struct verdict *slot_take(struct probe *p, uint64_t conn)
{
	struct verdict *v = slot_of(p, conn);

	if ((v->conn & ~VERDICT_FRAMED) == conn)
		return v;
	__atomic_store_n(&v->conn, 0, __ATOMIC_SEQ_CST);
	v->seen[0] = v->seen[1] = v->seen_time = 0;
	v->skip_to[0] = v->skip_to[1] = v->grant_to[0] = v->grant_to[1] = 0;
	return v;
}

void probe_verdict(void *arg, uint64_t conn, const uint64_t skip_to[2], const uint64_t grant_to[2])
{
	struct verdict *v = slot_take(arg, conn);

	for (int dir = 0; dir < 2; dir++) {
		__atomic_store_n(&v->skip_to[dir], skip_to[dir], __ATOMIC_RELAXED);
		__atomic_store_n(&v->grant_to[dir], grant_to[dir], __ATOMIC_RELAXED);
	}
	if (!v->conn)
		__atomic_store_n(&v->conn, conn, __ATOMIC_RELEASE);
}

void probe_frames(struct probe *p, uint64_t conn, uint32_t framing, const uint64_t at[2])
{
	struct frame_slot *f = &p->plan.skel->bss->frame_slots[conn & (VERDICT_SLOTS - 1)];
	struct verdict *v = slot_take(p, conn);

	if (f->conn == conn && f->framing == framing + 1 && __atomic_load_n(&f->followed, __ATOMIC_RELAXED) == 3)
		return; /* the kernel needs no help */
	if (f->conn != conn) {
		__atomic_store_n(&f->conn, 0, __ATOMIC_SEQ_CST);
		f->followed = 0;
	}
	for (int dir = 0; dir < 2; dir++)
		__atomic_store_n(&f->at[dir], at[dir], __ATOMIC_RELAXED);
	f->framing = framing + 1;
	__atomic_store_n(&f->conn, conn, __ATOMIC_RELEASE);
	__atomic_store_n(&v->conn, conn | VERDICT_FRAMED, __ATOMIC_RELEASE);
}

bool probe_progress(struct probe *p, uint64_t conn, struct ev_progress *out)
{
	const struct verdict *v = slot_of(p, conn);

	if ((__atomic_load_n(&v->conn, __ATOMIC_ACQUIRE) & ~VERDICT_FRAMED) != conn)
		return false;
	*out = (struct ev_progress){
		.h = { .type = EV_PROGRESS, .len = sizeof(*out), .time = clock_boot() },
		.conn = conn,
		.seen = { v->seen[0], v->seen[1] },
		.time = v->seen_time,
	};
	return true;
}
