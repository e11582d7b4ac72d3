/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capstone, loaded while it is used: its tables take 5 MiB of memory, and functions are looked at for moments only. Loading is counted:
 * who has several functions to read holds it meanwhile. Where the library is not installed nothing can be read, and probes stand
 * where functions begin.
 */
#ifndef SPANDREL_PROBE_DISASM_H
#define SPANDREL_PROBE_DISASM_H

#include <capstone/capstone.h>

struct disasm {
	void *library; /* NULL: not loaded */
	__typeof__(cs_open) *open;
	__typeof__(cs_option) *option;
	__typeof__(cs_malloc) *malloc;
	__typeof__(cs_disasm_iter) *next;
	__typeof__(cs_free) *free;
	__typeof__(cs_close) *close;
};

/* 0, or -ENOENT with *d all NULL. */
int disasm_load(struct disasm *d);
void disasm_unload(struct disasm *d);

#endif
