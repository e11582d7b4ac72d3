// SPDX-License-Identifier: Apache-2.0
/*
 * holder N LIBRARY: N processes that each load the library by themselves, say so with one byte, and wait for the end of their input.
 * holder -N LIBRARY: one process that loads it and lets it go N times.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int hold(const char *library)
{
	char end;

	if (!dlopen(library, RTLD_NOW) || write(1, "+", 1) != 1)
		return 1;
	return read(0, &end, 1) < 0;
}

static int again_and_again(int n, const char *library)
{
	while (n--) {
		void *handle = dlopen(library, RTLD_NOW);

		if (!handle || dlclose(handle))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	int n = argc == 3 ? atoi(argv[1]) : 0;

	if (n < 0)
		return again_and_again(-n, argv[2]);
	for (int i = 0; i < n; i++)
		if (!fork())
			_exit(hold(argv[2]));
	while (wait(NULL) > 0)
		;
	return 0;
}
