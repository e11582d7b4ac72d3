// SPDX-License-Identifier: Apache-2.0
/* Loads a BPF object and prints what the verifier says of each program: instructions processed, states, time. */
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_STATS 4
#define LOG_SIZE 65536

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

int main(int argc, char **argv)
{
	struct bpf_object *obj;
	struct bpf_program *prog;
	struct bpf_map *map;

	libbpf_set_print(quiet);
	obj = argc == 2 ? bpf_object__open_file(argv[1], NULL) : NULL;
	if (!obj)
		return 2;
	map = bpf_object__find_map_by_name(obj, "scratches");
	bpf_map__set_max_entries(map, (unsigned)libbpf_num_possible_cpus());
	bpf_object__for_each_program(prog, obj) {
		bpf_program__set_log_level(prog, LOG_STATS);
		bpf_program__set_log_buf(prog, calloc(1, LOG_SIZE), LOG_SIZE);
	}
	if (bpf_object__load(obj))
		return 1;
	bpf_object__for_each_program(prog, obj) {
		size_t size;
		const char *log = bpf_program__log_buf(prog, &size), *processed = strstr(log, "processed");

		printf("%-12s %.*s %.*s\n", bpf_program__name(prog), (int)strcspn(log, "\n"), log,
		       processed ? (int)strcspn(processed, "\n") : 0, processed ? processed : "");
	}
	return 0;
}
