// SPDX-License-Identifier: Apache-2.0
/*
 * tls_probe ROUNDS MILLISECONDS: what a probe costs a call, by where it stands. SSL_write and SSL_read of this machine's libssl in a
 * loop over memory, with probes that only count (a perf event each, no program), the placements taking turns. Prints a line for each:
 * its name, and the nanoseconds that a write and a read together take longer than without (the median of the rounds).
 */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "lib_kit.h"

#define ROUNDS_MAX 101
#define SITES_MAX  6

struct site {
	const char *function;
	int where; /* −1: of the return by uretprobe; 0: the first instruction; 1: the place; 2: the place of the result */
};

struct placement {
	const char *name;
	struct site sites[SITES_MAX];
	double ns[ROUNDS_MAX];
};

static struct placement placements[] = {
	{ .name = "none" },
	{ "entry", { { "SSL_write", 0 }, { "SSL_read", 0 } }, { 0 } },
	{ "past the prologue", { { "SSL_write", 1 }, { "SSL_read", 1 } }, { 0 } },
	{ "entry and uretprobe", { { "SSL_write", 0 }, { "SSL_write", -1 }, { "SSL_read", 0 }, { "SSL_read", -1 } }, { 0 } },
	{ "past the prologue and uretprobe", { { "SSL_write", 1 }, { "SSL_write", -1 }, { "SSL_read", 1 }, { "SSL_read", -1 } }, { 0 } },
	{ "past the prologue and at the result", { { "SSL_write", 1 }, { "SSL_write", 2 }, { "SSL_read", 1 }, { "SSL_read", 2 } }, { 0 } },
};

static struct lib ssl, crypto;

static unsigned number_in(const char *file, const char *format)
{
	_fclose_ FILE *f = fopen(file, "re");
	unsigned n = 0;

	return f && fscanf(f, format, &n) == 1 ? n : 0;
}

/* Offset in the file: the address's, as far as one segment of code goes. */
static int probe(const struct site *s)
{
#define PMU "/sys/bus/event_source/devices/uprobe/"
	const ElfW(Sym) *f = lib_symbol(&ssl, s->function);
	char path[64];
	struct perf_event_attr a = { .size = sizeof(a), .type = number_in(PMU "type", "%u") };
	struct place p;

	if (!f || !lib_place(&ssl, f, 3, &p) || (s->where == 2 && !p.n_rets))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ssl.fd);
	a.config = s->where < 0 ? 1ULL << number_in(PMU "format/retprobe", "config:%u") : 0;
	a.config1 = (uintptr_t)path;
	a.config2 = f->st_value + (s->where == 1 ? p.entry : s->where == 2 ? p.rets[0] : 0);
	return (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* ns of a write and a read, or −1: a probe was refused. */
static double measure(const struct placement *p, void *a, void *b, uint64_t ns)
{
	static char buf[1000];
	int (*put)(void *, const void *, int) = (int (*)(void *, const void *, int))dlsym(ssl.handle, "SSL_write");
	int (*get)(void *, void *, int) = (int (*)(void *, void *, int))dlsym(ssl.handle, "SSL_read");
	int fds[SITES_MAX], n = 0;
	uint64_t calls = 0, begin, now;
	bool good = true;

	for (; n < SITES_MAX && p->sites[n].function; n++)
		good &= (fds[n] = probe(&p->sites[n])) >= 0;
	begin = now = clock_boot();
	while (good && now - begin < ns) {
		for (int i = 0; i < 100; i++)
			good &= put(a, buf, sizeof(buf)) == sizeof(buf) && get(b, buf, sizeof(buf)) == sizeof(buf);
		calls += 100;
		now = clock_boot();
	}
	while (n--)
		close_fd(&fds[n]);
	return good && calls ? (double)(now - begin) / (double)calls : -1;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 5;
	uint64_t ns = (argc > 2 ? strtoull(argv[2], NULL, 10) : 200) * 1000000;
	void *a, *b;

	if (rounds < 1 || rounds > ROUNDS_MAX || !lib_open(&ssl, "libssl.so.3") || !lib_open(&crypto, "libcrypto.so.3") ||
	    !ssl_pair(&ssl, &crypto, &a, &b)) {
		fprintf(stderr, "no session of libssl.so.3\n");
		return 1;
	}
	for (int r = 0; r < rounds; r++)
		for (size_t i = 0; i < ARRAY_SIZE(placements); i++)
			placements[i].ns[r] = measure(&placements[i], a, b, ns);
	for (size_t i = 0; i < ARRAY_SIZE(placements); i++) {
		struct placement *p = &placements[i];

		qsort(p->ns, (size_t)rounds, sizeof(*p->ns), compare);
		if (p->ns[0] >= 0)
			printf("%s: %.0f\n", p->name, i ? p->ns[rounds / 2] - placements[0].ns[rounds / 2] : p->ns[rounds / 2]);
	}
	return 0;
}
