/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Idioms that the verifier understands. */
#ifndef SPANDREL_BOUND_H
#define SPANDREL_BOUND_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define inline_always static __always_inline
#define NO_UNROLL _Pragma("clang loop unroll(disable)")
#define checked_alone __attribute__((noinline)) /* a global function: verified once, for any arguments */
#define subprog static __noinline __attribute__((unused)) /* verified once per call, but one piece of code */

/*
 * n becomes at most `max` (a constant). In C the compiler may compare one register and use another, and the
 * verifier, which tracks registers, then knows nothing of the second.
 */
#define BOUND(n, max)                                                                              \
	({                                                                                         \
		__u64 _n = (n);                                                                    \
		asm volatile("if %0 <= %1 goto +1\n\t%0 = %1" : "+r"(_n) : "i"(max));             \
		_n;                                                                                \
	})

/* n & mask, on one register, whatever the compiler thinks it knows of n. */
#define MASK(n, mask)                                                                              \
	({                                                                                         \
		__u64 _n = (n);                                                                    \
		asm volatile("%0 &= %1" : "+r"(_n) : "i"(mask));                                   \
		_n;                                                                                \
	})

#define U64_MAX (~0ULL)
#define U16_MAX 0xffff

#endif
