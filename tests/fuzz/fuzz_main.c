// SPDX-License-Identifier: Apache-2.0
/*
 * Drives a fuzz target without libFuzzer: every file named, or in a folder named, is an input; with -max_total_time=N
 * inputs made from them by chance follow for N seconds. So every target is a regression test under any compiler. Prints
 * TAP: a bad input ends the program before its line.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/rng.h"
#include "base/scope.h"

#define INPUT_MAX (64 << 10)
#define INPUTS_MAX 4096

int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	uint8_t *data;
	size_t size;
} inputs[INPUTS_MAX];
static size_t n_inputs;

static void run_file(const char *path)
{
	_fclose_ FILE *f = fopen(path, "r");
	uint8_t *data = malloc(INPUT_MAX);
	size_t n = f && data ? fread(data, 1, INPUT_MAX, f) : 0;

	if (!n || n_inputs == INPUTS_MAX) {
		free(data);
		return;
	}
	inputs[n_inputs].data = data;
	inputs[n_inputs++].size = n;
	LLVMFuzzerTestOneInput(data, n);
}

static void run_path(const char *path)
{
	DIR *dir = opendir(path);
	char name[4096];

	if (!dir) {
		run_file(path);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (e->d_name[0] != '.')
			run_file(name);
	}
	closedir(dir);
}

/* A piece of one input put into another, and some bytes changed. */
static size_t splice_inputs(struct rng *r, uint8_t *to)
{
	size_t a = rng_next(r) % n_inputs, b = rng_next(r) % n_inputs, n = inputs[a].size;
	size_t from = rng_next(r) % inputs[b].size, len = rng_next(r) % (inputs[b].size - from + 1);
	size_t at = rng_next(r) % (n + 1);

	memcpy(to, inputs[a].data, n);
	if (rng_next(r) & 1 && n + len <= INPUT_MAX) {
		memmove(to + at + len, to + at, n - at);
		memcpy(to + at, inputs[b].data + from, len);
		n += len;
	} else {
		len = MIN(len, n - at);
		memmove(to + at, to + at + len, n - at - len);
		n -= len;
	}
	for (unsigned i = rng_next(r) % 5; n && i > 0; i--)
		to[rng_next(r) % n] = (uint8_t)rng_next(r);
	return n;
}

static unsigned long fuzz(long seconds)
{
	time_t until = time(NULL) + seconds;
	uint8_t *data = malloc(INPUT_MAX);
	unsigned long runs = 0;
	struct rng r;

	rng_seed(&r, (uint64_t)time(NULL), n_inputs);
	while (n_inputs && data && time(NULL) < until) {
		LLVMFuzzerTestOneInput(data, splice_inputs(&r, data));
		runs++;
	}
	free(data);
	return runs;
}

int main(int argc, char **argv)
{
	unsigned long runs = 0;
	long seconds = 0;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++) {
		if (sscanf(argv[i], "-max_total_time=%ld", &seconds) != 1 && argv[i][0] != '-')
			run_path(argv[i]);
	}
	runs = seconds > 0 ? fuzz(seconds) : 0;
	printf("%s 1 - %s: %zu files, %lu made from them\n1..1\n", n_inputs ? "ok" : "not ok", argv[0], n_inputs, runs);
	for (size_t i = 0; i < n_inputs; i++)
		free(inputs[i].data);
	return n_inputs ? 0 : 1;
}
