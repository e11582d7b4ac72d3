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
 * What is proven of an entry that is not 0; else it is 0:
 *  1. it is reached from the first instruction in a straight line: no instruction before it branches, calls or returns, so
 *     every call of the function passes it, before anything is called;
 *  2. no instruction before it writes any of the first `args` argument registers, whole or in part; each is of a kind whose
 *     effects are known;
 *  3. no branch in the function's bytes leads into the line behind the first instruction, so that each call passes it once (a
 *     branch back to the first instruction begins the line anew, with a probe at the entry too);
 *  4. all bytes decode, and all branches inside the function lead to instructions, so none was overlooked;
 *  5. what cannot be followed (an indirect jump, a branch out of the function) leaves with the stack pointer as it was at the
 *     entry, while at the place it has moved: a tail call, or a loop that contains its own prologue, which compilers do not make.
 *     An unconditional branch out of the function that is the place itself needs no more.
 * What is proven of `rets`; else n_rets is 0:
 *  1. each is emulated, reached from the entry by followed branches, behind `entry`;
 *  2. from there every path reaches a return instruction without a call, a branch out, a branch back, or a write to the return
 *     register, and without passing another of them. The failing side of the stack protector's comparison does not return;
 *  3. each path from the entry to a return passes one of them, or carries to the return a value that is zero or negative (a
 *     constant, or what a test of the register proved). There is no tail call and no jump that cannot be followed.
 */
#ifndef SPANDREL_PROBE_PLACE_H
#define SPANDREL_PROBE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum place_arch { PLACE_X86_64, PLACE_ARM64 };

#define PLACE_CODE_MAX (64u << 10) /* bytes of a function that are looked at; nothing is proven of a longer one */
#define PLACE_RETS 8

struct place {
	uint32_t entry;		   /* offset into the function for the probe that reads the arguments */
	uint32_t rets[PLACE_RETS]; /* offsets for plain probes where the return register holds what the function returns */
	uint8_t n_rets;		   /* each call that returns a positive value passes exactly one; 0: none is proven */
	bool entry_emulated;	   /* `entry` costs little */
	bool first_emulated;	   /* so does a uretprobe: the function's first instruction is emulated */
};

/* The machine's own, or that of an ELF header's e_machine: 0 or -ENOTSUP. */
int place_arch_of(uint16_t e_machine, enum place_arch *out);

/*
 * `code` holds exactly the function (its symbol's address and size), `args` counts its integer arguments in registers (at
 * most 6). Always gives a place that is right: with the entry 0, nothing was proven. 0; -EINVAL, *out untouched: no code.
 * Time is linear in the function's size, memory at most 24 bytes for each of its bytes. -ENOMEM.
 */
int place_function(struct slice code, uint64_t address, enum place_arch arch, unsigned args, struct place *out);

/*
 * The offsets of all return instructions that can be reached, in order: how many. -E2BIG: more than `max`; -EILSEQ: some code
 * cannot be followed, so that one might be missing or be data. A probe on one costs little only on arm64.
 */
int place_rets(struct slice code, uint64_t address, enum place_arch arch, uint32_t *out, size_t max);

#endif
