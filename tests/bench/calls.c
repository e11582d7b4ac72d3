// SPDX-License-Identifier: Apache-2.0
/* calls OBJECT PID: runs calls.bpf.o on a process, reads the ring every 2 ms and throws the records away, until SIGTERM. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t stop;
static unsigned long long records;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static int on_record(void *ctx, void *data, size_t size)
{
	(void)ctx;
	(void)data;
	records += size > 0;
	return 0;
}

/* .rodata holds the one constant. */
static int set_target(struct bpf_object *o, unsigned pid)
{
	struct bpf_map *rodata = bpf_object__find_map_by_name(o, ".rodata");

	return rodata && bpf_map__value_size(rodata) == sizeof(pid) ? bpf_map__set_initial_value(rodata, &pid, sizeof(pid)) : -1;
}

int main(int argc, char **argv)
{
	struct bpf_object *o;
	struct bpf_program *p;
	struct ring_buffer *rb;

	if (argc != 3)
		return 2;
	signal(SIGTERM, on_term);
	o = bpf_object__open_file(argv[1], NULL);
	if (!o || set_target(o, (unsigned)atoi(argv[2])) || bpf_object__load(o))
		return 1;
	bpf_object__for_each_program(p, o)
		if (!bpf_program__attach(p))
			return 1;
	rb = ring_buffer__new(bpf_object__find_map_fd_by_name(o, "ring"), on_record, NULL, NULL);
	if (!rb)
		return 1;
	printf("ready\n");
	fflush(stdout);
	while (!stop) {
		ring_buffer__consume(rb);
		usleep(2000);
	}
	ring_buffer__consume(rb);
	printf("records %llu\n", records);
	return 0;
}
