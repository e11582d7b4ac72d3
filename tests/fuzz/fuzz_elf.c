// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target for what is read of files that processes map: the input is such a file. Whatever it says, the search ends, what was
 * found lies inside the file, and a probe stands inside the function that it is for.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/scope.h"
#include "probe/elf.h"
#include "probe/tls_look.h"
#include "probe/tls_sites.h"

#define STEPS_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool truth)
{
	if (!truth)
		abort();
}

static void check_sites(const struct elf_scan *scan, size_t size)
{
	static struct tls_sites sites;
	size_t n;
	const struct elf_function *f = elf_found(scan, &n);

	need(n <= ELF_FOUND_MAX);
	for (size_t i = 0; i < n; i++)
		need(f[i].offset < size && f[i].name < n_tls_rows);
	for (int plain = 0; plain < 2; plain++) {
		need(!tls_sites_find(&sites, scan, plain));
		need(sites.n <= TLS_SITES_MAX && sites.n_places <= n);
		for (size_t i = 0; i < sites.n; i++)
			need(sites.site[i].offset < size && sites.site[i].program < UPROBE_PROGRAMS);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_opened file = { .fd = memfd_create("fuzz", MFD_CLOEXEC) };
	_cleanup_(tls_look_free) struct tls_look *l = NULL;
	enum look_result r;
	int steps = 0;

	need(file.fd >= 0 && write(file.fd, data, size) == (ssize_t)size);
	if (tls_look_new(&l, &file))
		return 0;
	do {
		r = tls_look_step(l);
		need(++steps < STEPS_MAX);
	} while (r == LOOK_MORE || r == LOOK_LATER);
	if (r == LOOK_UNREADABLE)
		need(*tls_look_guess(l));
	if (r == LOOK_TLS && l->n_go <= 0)
		check_sites(l->scan, size);
	return 0;
}
