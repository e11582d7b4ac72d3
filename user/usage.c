// SPDX-License-Identifier: Apache-2.0
#include "usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/scope.h"
#include "host/proc.h"

#define TICKS_S 100 /* of /proc/PID/stat, whatever the kernel's own */

/* Told once: read again it would waver with the clocks. */
double usage_start(void)
{
	struct proc self = { open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC) };
	struct proc_stat st;
	int r = self.dir < 0 ? -1 : proc_stat(&self, &st);

	proc_close(&self);
	return r ? 0 : round(((double)clock_offset() / NS_PER_S + (double)st.start / TICKS_S) * 100) / 100;
}

static double open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *e;
	double n = 0;

	if (!d)
		return 0;
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n - 1; /* but the one it is read by */
}

static void put(struct buf *b, enum metrics_format f, struct metric m)
{
	if (m.value > 0)
		metrics_put(b, f, &m, false);
}

static void put_memory(struct buf *b, enum metrics_format f)
{
	_fclose_ FILE *statm = fopen("/proc/self/statm", "re");
	double page = (double)sysconf(_SC_PAGESIZE);
	unsigned long size, resident;

	if (!statm || fscanf(statm, "%lu %lu", &size, &resident) != 2)
		return;
	put(b, f, (struct metric){ "process_virtual_memory_bytes", METRIC_GAUGE, "bytes", "Virtual memory size.", NULL,
				   (double)size * page });
	put(b, f, (struct metric){ "process_resident_memory_bytes", METRIC_GAUGE, "bytes",
				   "Resident memory size; the ring, which is mapped twice, counts twice.", NULL,
				   (double)resident * page });
}

void usage_metrics(struct buf *b, enum metrics_format f, double start)
{
	struct rlimit files;

	put(b, f, (struct metric){ "process_cpu_seconds", METRIC_COUNTER, "seconds", "User and system CPU time spent.", NULL,
				   (double)clock_ns(CLOCK_PROCESS_CPUTIME_ID) / NS_PER_S });
	put_memory(b, f);
	put(b, f, (struct metric){ "process_open_fds", METRIC_GAUGE, NULL, "Number of open file descriptors.", NULL, open_files() });
	if (!getrlimit(RLIMIT_NOFILE, &files))
		put(b, f, (struct metric){ "process_max_fds", METRIC_GAUGE, NULL, "Maximum number of open file descriptors.", NULL,
					   (double)files.rlim_cur });
	put(b, f, (struct metric){ "process_start_time_seconds", METRIC_GAUGE, "seconds",
				   "Start time of the process since the epoch.", NULL, start });
}
