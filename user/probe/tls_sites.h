/* SPDX-License-Identifier: Apache-2.0 */
/* Where probes stand in a file: the functions found in it, the rows that name them, and the places proven in their code. */
#ifndef SPANDREL_PROBE_TLS_SITES_H
#define SPANDREL_PROBE_TLS_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "probe/elf.h"
#include "probe/tls_files.h"
#include "probe/tls_rows.h"
#include "probe/uprobe.h"

#define TLS_SITES_MAX 512

extern const struct elf_names tls_names; /* of all rows, by their index */

struct tls_place { /* of one function; for --check */
	uint32_t row;
	uint32_t entry;	/* offset of the probe in the function */
	uint8_t n_rets; /* plain probes that see its return; 0: a uretprobe, or none is needed */
	bool ret;	/* a uretprobe */
	bool cheap;	/* the kernel emulates the instruction at the entry */
};

struct tls_sites {
	struct uprobe_site site[TLS_SITES_MAX];
	size_t n;
	struct uprobe_site aside[TLS_ASIDE_MAX]; /* of rows that are hooked when they are needed */
	size_t n_aside;
	uint32_t libraries; /* bit per enum tls_library with a function that moves plaintext */
	struct tls_place place[ELF_FOUND_MAX];
	size_t n_places;
};

/*
 * Fills *out for what the scan has found; no site where nothing moves plaintext. plain: nothing is placed past a function's first
 * instruction. Functions under several names get their probes once. 0 or -errno.
 */
int tls_sites_find(struct tls_sites *out, const struct elf_scan *scan, bool plain);

#endif
