/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function's instructions, reduced to what place.h's proofs ask: where each leads, which registers it writes, what it does
 * to the stack pointer. One sweep over all bytes. What is not known to be harmless counts as writing everything.
 */
#ifndef SPANDREL_PROBE_PLACE_CODE_H
#define SPANDREL_PROBE_PLACE_CODE_H

#include "probe/place.h"

enum op_kind {
	OP_PLAIN, /* goes on to the next */
	OP_JUMP,  /* to `to` */
	OP_COND,  /* to `to` or on */
	OP_CALL,  /* on, after a function that may do anything to caller-saved registers */
	OP_RET,
	OP_AWAY, /* a jump whose target is not in the instruction */
	OP_STOP, /* never goes on */
};

enum {
	OPF_EMULATED = 1,
	OPF_GUARD = 2,	     /* compares with the stack protector's value */
	OPF_TEST = 4,	     /* compares the return register with zero */
	OPF_NOT_POSITIVE = 8, /* puts a constant into the return register that is zero or negative */
	OPF_TAKEN_LOW = 16,  /* a branch taken after OPF_TEST when the register was zero or negative */
	OPF_FALL_LOW = 32,   /* one not taken then */
	OPF_NOT_EQUAL = 64,  /* a branch taken when the comparison found a difference */
	OPF_EQUAL = 128,
};

enum op_stack {
	STACK_MOVES, /* by op.sp */
	STACK_FRAME, /* to the frame pointer + op.sp */
	STACK_LOST,
};

#define OP_OUT UINT32_MAX /* a target outside the function */

struct op {
	uint32_t at;	 /* offset of its first byte */
	uint32_t to;	 /* OP_JUMP, OP_COND, direct OP_CALL: index of the target, or OP_OUT */
	uint32_t writes; /* bit n: general register n of the encoding, whole or in part */
	int32_t sp;
	uint8_t kind;  /* enum op_kind */
	uint8_t flags; /* OPF_… */
	uint8_t stack; /* enum op_stack */
	uint8_t frame : 1; /* the frame pointer becomes the stack pointer */
	uint8_t met : 1;   /* a branch leads here */
};

struct code {
	struct op *ops;
	uint32_t *index; /* by offset: 1 + the instruction that begins there, or 0 */
	size_t n, size;
	bool whole; /* all bytes decode and all branches inside lead to instructions */
};

/* Registers of a calling convention, by number in the encoding. */
struct place_abi {
	enum place_arch arch;
	uint8_t args[8];
	uint8_t n_args;
	uint8_t ret, frame;
};

extern const struct place_abi place_c_abi[]; /* by enum place_arch */

/* 0, -EINVAL (no code, or more than PLACE_CODE_MAX) or -ENOMEM. */
int code_read(struct code *out, struct slice bytes, uint64_t address, enum place_arch arch);
void code_fini(struct code *c);
static inline void code_cleanup(struct code *c)
{
	code_fini(c);
}

/* The decoders: fill ops from `bytes`, `to` as an offset into the function or OP_OUT; *n how many. 0 or -errno. */
int code_read_x86(struct code *c, struct slice bytes, uint64_t address);
int code_read_arm64(struct code *c, struct slice bytes, uint64_t address);

/* The offset of a branch's target, or OP_OUT. */
static inline uint32_t code_target(uint64_t address, size_t size, uint64_t target)
{
	return target - address < size ? (uint32_t)(target - address) : OP_OUT;
}

/* The registers of the first `n` arguments. */
uint32_t code_args(const struct place_abi *abi, unsigned n);

/*
 * Where an instruction may go next: up to two indices into to[2]. `low`, if not NULL: whether on that way the return register,
 * tested by the instruction before, is zero or negative. Sets *out if it may also go where it cannot be followed; the failing
 * side of the stack protector's comparison and what is behind a call at the function's end are no way.
 */
unsigned code_next(const struct code *c, uint32_t i, uint32_t to[2], bool low[2], bool *out);

/* Index of the first emulated instruction of the straight line from the entry with none of `keep` written before, or 0. */
uint32_t code_line(const struct code *c, uint32_t keep);
/* Does no branch in the function lead behind the entry and to ops[last] or before it? */
bool code_line_alone(const struct code *c, uint32_t last);

/* place_stack.c: does what cannot be followed leave with the stack as it was at the entry, and has it moved at ops[last]?
 * 0: no; 1: yes; -ENOMEM. */
int code_leaves_clean(const struct code *c, uint32_t last, const struct place_abi *abi);
/* place_ret.c: fills rets and n_rets. 0 or -ENOMEM. */
int code_returns(const struct code *c, uint32_t entry, const struct place_abi *abi, struct place *out);

#endif
