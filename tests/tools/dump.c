// SPDX-License-Identifier: Apache-2.0
/* Prints what the kernel side reports: dump [pid|exe|comm|port|cgroup VALUE | all] … seconds. A tool for looking at probe/ alone. */
#include <ctype.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "probe/probe.h"

static void print_bytes(const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n && i < 60; i++)
		putchar(isprint(p[i]) ? p[i] : '.');
}

static void print_addr(const uint8_t a[16], uint16_t port)
{
	for (int i = 0; i < 16; i += 2)
		printf("%s%02x%02x", i ? ":" : "", a[i], a[i + 1]);
	printf(" %u", port);
}

static void print_event(void *arg, const struct ev_head *ev)
{
	const struct ev_data *d = (const void *)ev;
	const struct ev_open *o = (const void *)ev;
	const struct ev_end *e = (const void *)ev;
	const struct ev_exec *x = (const void *)ev;

	(void)arg;
	printf("%llu ", (unsigned long long)ev->time);
	switch (ev->type) {
	case EV_DATA:
		printf("DATA c=%llu %s off=%llu size=%u cap=%u hole=%u seq=%u pid=%u tid=%u ", (unsigned long long)d->conn,
		       d->dir ? "send" : "recv", (unsigned long long)d->off, d->size, d->cap, d->hole, d->seq, d->pid, d->tid);
		print_bytes(d->data, d->cap);
		break;
	case EV_OPEN:
		printf("OPEN c=%llu fam=%u role=%u flags=%u start=%llu,%llu pid=%u ", (unsigned long long)o->conn, o->family, o->role,
		       ev->flags, (unsigned long long)o->start[0], (unsigned long long)o->start[1], o->pid);
		print_addr(o->laddr, o->lport);
		printf(" - ");
		print_addr(o->raddr, o->rport);
		printf(" keys %llx %llx path ", (unsigned long long)o->self_key, (unsigned long long)o->peer_key);
		print_bytes(o->path, o->path_len);
		break;
	case EV_END:
		printf("END c=%llu dirs=%u flags=%u off=%llu,%llu pid=%u", (unsigned long long)e->conn, e->dirs, ev->flags,
		       (unsigned long long)e->off[0], (unsigned long long)e->off[1], e->pid);
		break;
	case EV_EXEC:
		printf("EXEC pid=%u ppid=%u cgroup=%llu %s ", x->pid, x->ppid, (unsigned long long)x->cgroup, (const char *)x->comm);
		print_bytes(x->exe, x->exe_len);
		printf(" | ");
		print_bytes(x->args, x->args_len);
		break;
	case EV_EXIT:
		printf("EXIT pid=%u", ((const struct ev_exit *)(const void *)ev)->pid);
		break;
	}
	putchar('\n');
}

int main(int argc, char **argv)
{
	const char *lists[5][17] = { 0 }, *names[] = { "pid", "exe", "comm", "port", "cgroup" };
	struct probe_config config = { .ring_size = 1 << 24, .backend = "auto" };
	struct probe *p;
	uint64_t end;
	int n[5] = { 0 };

	log_setup(LOG_DEBUG, false);
	for (int i = 1; i + 1 < argc; i++) {
		if (!strcmp(argv[i], "all"))
			config.select.all = true;
		for (int k = 0; k < 5; k++)
			if (!strcmp(argv[i], names[k]) && n[k] < 16)
				lists[k][n[k]++] = argv[++i];
	}
	config.select.pid = lists[0];
	config.select.exe = lists[1];
	config.select.comm = lists[2];
	config.select.port = lists[3];
	config.select.cgroup = lists[4];
	if (argc < 2 || probe_open(&p, &config))
		return 1;
	fprintf(stderr, "reading; %zu bytes of maps\n", probe_memory(p));
	end = clock_boot() + (uint64_t)atoi(argv[argc - 1]) * NS_PER_S;
	while (clock_boot() < end) {
		struct pollfd fd = { .fd = probe_fd(p), .events = POLLIN };

		if (!probe_read(p, print_event, NULL, 1000) && probe_idle(p))
			poll(&fd, 1, 100);
	}
	fflush(stdout);
	probe_stats(p, true);
	stats_print(stderr);
	probe_close(p);
	return 0;
}
