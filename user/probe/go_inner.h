/* SPDX-License-Identifier: Apache-2.0 */
/* A Go program that is being read: go_bin.c (the file, the build information), go_table.c (its functions). Nobody else includes it. */
#ifndef SPANDREL_PROBE_GO_INNER_H
#define SPANDREL_PROBE_GO_INNER_H

#include <string.h>

#include "probe/extent.h"
#include "probe/go_bin.h"

#define SEGMENTS_MAX 32
#define REGIONS_MAX  8

enum { V116 = 0xfffffffa, V118 = 0xfffffff0, V120 = 0xfffffff1 }; /* magic numbers of the table */

struct go_table { /* offsets in the file */
	uint64_t at, size;
	uint32_t version, n;
	uint64_t text;
	struct extent names;
	uint64_t functions;
};

struct go_window { /* a piece of the file */
	uint64_t at;
	size_t n;
	char bytes[GO_PIECE];
};

enum go_phase { FIND, NAMES, FUNCTIONS, DONE };

struct go_scan {
	int fd;
	uint64_t size, text; /* text: the section's address */
	enum place_arch arch;
	struct segment segments[SEGMENTS_MAX];
	size_t n_segments;
	struct extent constant;		    /* the section that other linkers put the table into */
	struct extent regions[REGIONS_MAX]; /* where it may be */
	size_t n_regions, region;
	struct go_table table;
	enum go_phase phase;
	uint64_t done; /* bytes of the region, of the names; functions */
	uint64_t last; /* description of the one before */
	int64_t name_at[GO_NAMES];
	struct go_function found[GO_NAMES];
	char version[GO_VERSION_MAX + 1];
	struct go_window entries, functions;
};

static inline uint32_t get32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t get64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

#endif
