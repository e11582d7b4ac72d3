// SPDX-License-Identifier: Apache-2.0
/*
 * What the BPF programs and maps that a process holds cost, as the kernel accounts for it. cost PID [SECONDS]: one line
 * for each, "program NAME instructions verified runs nanoseconds" or "map NAME bytes". With SECONDS the kernel counts and
 * times runs for so long first (0: until standard input ends).
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IDS_MAX 256

struct holding { /* the lines of a descriptor's fdinfo that concern us */
	unsigned prog, map;
	unsigned long memlock;
};

struct seen { /* a program has a descriptor for itself and may have one more */
	unsigned ids[IDS_MAX];
	int n;
};

static bool seen_before(struct seen *s, unsigned id)
{
	for (int i = 0; i < s->n; i++)
		if (s->ids[i] == id)
			return true;
	if (s->n < IDS_MAX)
		s->ids[s->n++] = id;
	return false;
}

static void read_fdinfo(const char *pid, const char *fd, struct holding *h)
{
	char path[300], line[256];
	bool link = false;
	FILE *f;

	memset(h, 0, sizeof(*h));
	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo/%.20s", pid, fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "prog_id: %u", &h->prog);
		sscanf(line, "map_id: %u", &h->map);
		sscanf(line, "memlock: %lu", &h->memlock);
		link |= !strncmp(line, "link_type", 9);
	}
	if (link)
		h->prog = 0;
	if (f)
		fclose(f);
}

static void print_program(unsigned id)
{
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size))
		printf("program %s %u %u %llu %llu\n", info.name, info.xlated_prog_len / 8, info.verified_insns,
		       (unsigned long long)info.run_cnt, (unsigned long long)info.run_time_ns);
	if (fd >= 0)
		close(fd);
}

static void print_map(unsigned id, unsigned long memlock)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	int fd = bpf_map_get_fd_by_id(id);

	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size))
		printf("map %s %lu\n", info.name, memlock);
	if (fd >= 0)
		close(fd);
}

static int print_all(const char *pid)
{
	struct seen progs = { 0 }, maps = { 0 };
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo", pid);
	d = opendir(path);
	if (!d) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	for (struct dirent *e; (e = readdir(d));) {
		struct holding h;

		read_fdinfo(pid, e->d_name, &h);
		if (h.prog && !seen_before(&progs, h.prog))
			print_program(h.prog);
		if (h.map && !seen_before(&maps, h.map))
			print_map(h.map, h.memlock);
	}
	closedir(d);
	return 0;
}

static void wait_for(unsigned seconds)
{
	char c;

	if (seconds)
		sleep(seconds);
	else
		while (read(0, &c, 1) > 0)
			;
}

int main(int argc, char **argv)
{
	int stats = -1;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: cost PID [SECONDS]\n");
		return 2;
	}
	if (argc == 3) {
		stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
		if (stats < 0)
			perror("bpf_enable_stats");
		wait_for((unsigned)atoi(argv[2]));
	}
	return print_all(argv[1]); /* the descriptor ends with us: until then runs are counted */
}
