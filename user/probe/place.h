/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in a function a probe can stand cheaply. The kernel emulates a few instructions and single-steps all others, which
 * costs 3 to 15 times as much; so a probe is put on the first emulated instruction behind the prologue where the arguments
 * still are in their registers, if that can be proven, else on the function's first one.
 *
 * Emulated are (arch/x86/kernel/uprobes.c, branch_setup_xol_ops(), push_setup_xol_ops(): what every kernel since 4.20 has;
 * longer nops, which 6.18 added, are not relied on): nop of one opcode byte, push of a general register, jmp, jcc and call with
 * a relative target. arm64 (arch/arm64/kernel/probes/decode-insn.c): b, bl, b.cond, cbz, cbnz, tbz, tbnz, adr, adrp, br, blr,
 * ret; not the literal loads (6.12 refuses probes there) and not nop (since 6.14 only).
 *
 * What is proven of an entry that is not 0, else it is 0:
 *  1. it is reached from the first instruction in a straight line: no instruction before it branches, calls or returns, so
 *     every call of the function passes it, before anything is called, and the stack pointer's move is known there;
 *  2. no instruction before it writes any of the first `args` argument registers, whole or in part;
 *  3. no branch of the function, found by walking its control flow and by a sweep over all its bytes, leads to the straight
 *     line behind the first instruction, so that each call passes it once. A branch back to the first instruction starts the
 *     line anew, probe at the entry or not.
 *  4. what cannot be followed cannot lead there either: there is no indirect jump except one that leaves the function with
 *     the stack pointer as it was at the entry (a tail call, as are branches out of the function), and all bytes decode.
 * What is proven of `ret`, else has_ret is false:
 *  1. it is emulated, or its address is that of a `ret` instruction where that is emulated (arm64);
 *  2. from there each path reaches a return (never a call, a tail call, a branch back) without writing the return register.
 *     The failing side of the stack protector's comparison does not return;
 *  3. each return of the function is passed on the way only behind `ret`, or with a constant that is zero or negative in the
 *     return register; there is no tail call;
 *  4. at least one call was made on every path to it, and it cannot be passed twice.
 */
#ifndef SPANDREL_PROBE_PLACE_H
#define SPANDREL_PROBE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum place_arch { PLACE_X86_64, PLACE_ARM64 };

#define PLACE_CODE_MAX (64u << 10) /* bytes of a function that are looked at; nothing is proven of a longer one */
#define PLACE_RETS_MAX 64

struct place {
	uint32_t entry;	     /* offset into the function for the probe that reads the arguments */
	uint32_t ret;	     /* if has_ret: offset for a plain probe where the return register holds what the function returns */
	bool entry_emulated; /* `entry` costs little */
	bool first_emulated; /* so does a uretprobe: the function's first instruction is emulated */
	bool has_ret;
};

/* The machine's own, or that of an ELF header's e_machine: 0 or -ENOTSUP. */
int place_arch_of(uint16_t e_machine, enum place_arch *out);

/*
 * `code` holds exactly the function (its symbol's address and size), `args` counts its integer arguments in registers (at
 * most 6). Always gives a place that is right: with the entry 0, nothing was proven. 0; -EINVAL, *out untouched: no code.
 * Time is linear in the function's size, memory a few bytes for each of its bytes. -ENOMEM.
 */
int place_function(struct slice code, uint64_t address, enum place_arch arch, unsigned args, struct place *out);

/* The offsets of all return instructions, in order, at most `max`: how many. -E2BIG: there are more; -EILSEQ: some bytes
 * between do not decode, so that one might be missing. `emulated`, if not NULL, says whether a probe there costs little. */
int place_rets(struct slice code, uint64_t address, enum place_arch arch, uint32_t *out, size_t max, bool *emulated);

#endif
