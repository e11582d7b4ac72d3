/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities of this thread (capabilities(7)) as masks, bit N for capability N. 0 or -errno. */
#ifndef SPANDREL_BASE_CAPS_H
#define SPANDREL_BASE_CAPS_H

#include <linux/capability.h>
#include <stddef.h>
#include <stdint.h>

#define CAP_BIT(cap) (1ULL << (cap))

struct caps {
	uint64_t permitted, effective, inheritable;
};

int caps_get(struct caps *c);
int caps_set(const struct caps *c);
/* Those that count at present; permitted ones can be taken back. */
int caps_use(uint64_t mask);
/*
 * For good: of the permitted ones these stay and count, none is handed on to another program, and no program that is run
 * from here on gains any (no_new_privs).
 */
int caps_keep(uint64_t mask);
/* "CAP_BPF, CAP_PERFMON"; "none". Cut where it does not fit. */
void caps_text(uint64_t mask, char *to, size_t size);

#endif
