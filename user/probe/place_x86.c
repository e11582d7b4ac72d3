// SPDX-License-Identifier: Apache-2.0
/*
 * x86-64. Capstone gives lengths and operands; what the kernel emulates is decided on the bytes, as the kernel does. Only
 * instructions of the lists below have effects that are relied on.
 */
#include <errno.h>

#include "base/scope.h"
#include "probe/disasm.h"
#include "probe/place_code.h"

#define ALL 0xffffu /* sixteen registers */

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

#define REG_NAMES(n, b, w, d, q) [X86_REG_##b] = 1 + n, [X86_REG_##w] = 1 + n, [X86_REG_##d] = 1 + n, [X86_REG_##q] = 1 + n
static const uint8_t reg_numbers[X86_REG_ENDING] = {
	REG_NAMES(0, AL, AX, EAX, RAX),	      REG_NAMES(1, CL, CX, ECX, RCX),
	REG_NAMES(2, DL, DX, EDX, RDX),	      REG_NAMES(3, BL, BX, EBX, RBX),
	REG_NAMES(4, SPL, SP, ESP, RSP),      REG_NAMES(5, BPL, BP, EBP, RBP),
	REG_NAMES(6, SIL, SI, ESI, RSI),      REG_NAMES(7, DIL, DI, EDI, RDI),
	REG_NAMES(8, R8B, R8W, R8D, R8),      REG_NAMES(9, R9B, R9W, R9D, R9),
	REG_NAMES(10, R10B, R10W, R10D, R10), REG_NAMES(11, R11B, R11W, R11D, R11),
	REG_NAMES(12, R12B, R12W, R12D, R12), REG_NAMES(13, R13B, R13W, R13D, R13),
	REG_NAMES(14, R14B, R14W, R14D, R14), REG_NAMES(15, R15B, R15W, R15D, R15),
	[X86_REG_AH] = 1 + RAX,		      [X86_REG_CH] = 1 + RCX,
	[X86_REG_DH] = 1 + RDX,		      [X86_REG_BH] = 1 + RBX,
};

static int reg_of(const cs_x86_op *o)
{
	return o->type == X86_OP_REG && o->reg < X86_REG_ENDING ? reg_numbers[o->reg] - 1 : -1;
}

/* Without prefixes but for those that the kernel's rules certainly take; the compilers' branches have none. */
static bool emulated(const uint8_t *b, size_t n)
{
	if (b[0] == 0x90 || b[0] == 0xe8 || b[0] == 0xe9 || b[0] == 0xeb || (b[0] & 0xf8) == 0x50 || (b[0] & 0xf0) == 0x70)
		return true;
	if (n < 2)
		return false;
	return (b[0] == 0x66 && b[1] == 0x90) || (b[0] == 0x41 && (b[1] & 0xf8) == 0x50) || (b[0] == 0x0f && (b[1] & 0xf0) == 0x80);
}

/* Instructions that write their first operand (if a register) and nothing else but flags. */
static bool writes_first(const cs_insn *in)
{
	switch (in->id) {
	case X86_INS_MOV:
	case X86_INS_MOVABS:
	case X86_INS_MOVSX:
	case X86_INS_MOVSXD:
	case X86_INS_MOVZX:
	case X86_INS_LEA:
	case X86_INS_ADD:
	case X86_INS_SUB:
	case X86_INS_AND:
	case X86_INS_OR:
	case X86_INS_XOR:
	case X86_INS_INC:
	case X86_INS_DEC:
	case X86_INS_NEG:
	case X86_INS_NOT:
	case X86_INS_SHL:
	case X86_INS_SHR:
	case X86_INS_SAR:
	case X86_INS_CMOVA ... X86_INS_CMOVS:
	case X86_INS_SETAE ... X86_INS_SETS:
	case X86_INS_MOVAPS:
	case X86_INS_MOVUPS:
	case X86_INS_MOVDQA:
	case X86_INS_MOVDQU:
	case X86_INS_MOVQ:
	case X86_INS_MOVD:
	case X86_INS_PXOR:
	case X86_INS_XORPS:
	case X86_INS_PUNPCKLQDQ:
	case X86_INS_MOVHPS:
		return true;
	case X86_INS_IMUL: /* with one operand it writes two others */
		return in->detail->x86.op_count >= 2;
	default:
		return false;
	}
}

static bool writes_nothing(const cs_insn *in)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };

	return in->id == X86_INS_NOP || in->id == X86_INS_PAUSE || in->id == X86_INS_TEST || in->id == X86_INS_CMP ||
	       in->id == X86_INS_BT || (in->size == 4 && !memcmp(in->bytes, endbr64, 4));
}

/* Which side of a conditional branch is that of zero or less, and of a difference. */
static uint8_t condition(const cs_insn *in)
{
	switch (in->id) {
	case X86_INS_JE:
		return OPF_TAKEN_LOW | OPF_EQUAL;
	case X86_INS_JNE:
		return OPF_FALL_LOW | OPF_NOT_EQUAL;
	case X86_INS_JL:
	case X86_INS_JLE:
	case X86_INS_JS:
		return OPF_TAKEN_LOW;
	case X86_INS_JG:
	case X86_INS_JGE:
	case X86_INS_JNS:
		return OPF_FALL_LOW;
	default:
		return 0;
	}
}

/* Branches, calls, returns: true if this is one. */
static bool read_branch(struct op *op, const cs_insn *in, size_t size, uint64_t address)
{
	const cs_x86 *x = &in->detail->x86;

	switch (in->id) {
	case X86_INS_JMP:
		op->kind = OP_JUMP;
		break;
	case X86_INS_JAE ... X86_INS_JL:
	case X86_INS_JNE ... X86_INS_JS:
	case X86_INS_LOOP ... X86_INS_LOOPNE:
		op->kind = OP_COND;
		op->flags |= condition(in);
		if (in->id >= X86_INS_LOOP && in->id <= X86_INS_LOOPNE)
			op->writes = 1u << RCX;
		break;
	case X86_INS_CALL:
		op->kind = OP_CALL;
		break;
	case X86_INS_RET:
		op->kind = OP_RET;
		return true;
	case X86_INS_LJMP:
	case X86_INS_LCALL:
	case X86_INS_RETF:
	case X86_INS_RETFQ:
	case X86_INS_IRET ... X86_INS_IRETQ:
		op->kind = OP_AWAY;
		return true;
	case X86_INS_HLT:
	case X86_INS_INT3:
	case X86_INS_UD2:
		op->kind = OP_STOP;
		return true;
	default:
		return false;
	}
	if (x->op_count == 1 && x->operands[0].type == X86_OP_IMM)
		op->to = code_target(address, size, (uint64_t)x->operands[0].imm);
	else if (op->kind == OP_JUMP)
		op->kind = OP_AWAY;
	return true;
}

/* An instruction whose destination is the stack pointer. */
static void read_stack(struct op *op, const cs_insn *in)
{
	const cs_x86_op *from = &in->detail->x86.operands[1];

	if ((in->id == X86_INS_SUB || in->id == X86_INS_ADD) && from->type == X86_OP_IMM) {
		op->sp = (int32_t)(in->id == X86_INS_SUB ? -from->imm : from->imm);
	} else if (in->id == X86_INS_LEA && from->mem.base == X86_REG_RSP && !from->mem.index) {
		op->sp = (int32_t)from->mem.disp;
	} else if (in->id == X86_INS_LEA && from->mem.base == X86_REG_RBP && !from->mem.index) {
		op->stack = STACK_FRAME;
		op->sp = (int32_t)from->mem.disp;
	} else if (in->id == X86_INS_MOV && reg_of(from) == RBP) {
		op->stack = STACK_FRAME;
	} else {
		op->stack = STACK_LOST;
	}
}

static bool reads_guard(const cs_insn *in)
{
	for (int i = 0; i < in->detail->x86.op_count; i++) {
		const cs_x86_op *o = &in->detail->x86.operands[i];

		if (o->type == X86_OP_MEM && o->mem.segment == X86_REG_FS && o->mem.disp == 0x28 && !o->mem.base && !o->mem.index)
			return in->id == X86_INS_SUB || in->id == X86_INS_XOR || in->id == X86_INS_CMP;
	}
	return false;
}

/* What is known of the return register's value after the instruction. */
static uint8_t read_value(const cs_insn *in)
{
	const cs_x86_op *to = &in->detail->x86.operands[0], *from = &in->detail->x86.operands[1];
	bool wide = to->size == 8;

	if (in->detail->x86.op_count != 2 || reg_of(to) != RAX || to->size < 4)
		return 0;
	if (in->id == X86_INS_TEST && reg_of(from) == RAX)
		return OPF_TEST;
	if (in->id == X86_INS_CMP && from->type == X86_OP_IMM && !from->imm)
		return OPF_TEST;
	if ((in->id == X86_INS_XOR || in->id == X86_INS_SUB) && reg_of(from) == RAX)
		return OPF_NOT_POSITIVE;
	if ((in->id == X86_INS_MOV || in->id == X86_INS_MOVABS) && from->type == X86_OP_IMM)
		return (wide ? from->imm <= 0 : (int32_t)from->imm <= 0) ? OPF_NOT_POSITIVE : 0;
	if (in->id == X86_INS_OR && from->type == X86_OP_IMM && from->imm == -1)
		return OPF_NOT_POSITIVE;
	return 0;
}

static void read_plain(struct op *op, const cs_insn *in)
{
	const cs_x86 *x = &in->detail->x86;
	int first = x->op_count ? reg_of(&x->operands[0]) : -1;

	op->flags |= read_value(in) | (reads_guard(in) ? OPF_GUARD : 0);
	if (writes_nothing(in))
		return;
	if (in->id == X86_INS_PUSH && x->op_count == 1 && x->operands[0].size == 8) {
		op->sp = -8;
	} else if (in->id == X86_INS_POP && first >= 0 && first != RSP && x->operands[0].size == 8) {
		op->sp = 8;
		op->writes = 1u << first;
	} else if (in->id == X86_INS_LEAVE) {
		op->stack = STACK_FRAME;
		op->sp = 8;
		op->writes = 1u << RBP | 1u << RSP;
	} else if (writes_first(in)) {
		op->writes = first >= 0 ? 1u << first : 0;
		if (first == RSP)
			read_stack(op, in);
		op->frame = first == RBP && in->id == X86_INS_MOV && reg_of(&x->operands[1]) == RSP;
	} else {
		op->writes = ALL;
		op->stack = STACK_LOST;
	}
}

/* One function being read. */
struct reading {
	struct disasm lib;
	csh handle;
	cs_insn *in;
};

static void reading_end(struct reading *r)
{
	if (r->in)
		r->lib.free(r->in, 1);
	if (r->handle)
		r->lib.close(&r->handle);
	disasm_unload(&r->lib);
}

static int reading_begin(struct reading *r)
{
	int err = disasm_load(&r->lib);

	if (err)
		return err;
	if (r->lib.open(CS_ARCH_X86, CS_MODE_64, &r->handle) != CS_ERR_OK || r->lib.option(r->handle, CS_OPT_DETAIL, CS_OPT_ON) != CS_ERR_OK)
		return -ENOMEM;
	r->in = r->lib.malloc(r->handle);
	return r->in ? 0 : -ENOMEM;
}

static void read_one(struct code *c, const cs_insn *in, size_t size, uint64_t address, bool *stop)
{
	struct op *op = &c->ops[c->n];
	bool narrow = in->detail->x86.prefix[2] == X86_PREFIX_OPSIZE;

	*op = (struct op){ .at = (uint32_t)(in->address - address), .to = OP_OUT };
	op->flags = emulated(in->bytes, in->size) ? OPF_EMULATED : 0;
	if (!read_branch(op, in, size, address))
		read_plain(op, in);
	else if (narrow && op->kind != OP_RET)
		*stop = true; /* its length depends on who made the processor */
	c->n += !*stop;
}

int code_read_x86(struct code *c, struct slice bytes, uint64_t address)
{
	_cleanup_(reading_end) struct reading r = { 0 };
	const uint8_t *p = (const uint8_t *)bytes.p;
	size_t left = bytes.n;
	uint64_t at = address;
	bool stop = false;
	int err = reading_begin(&r);

	if (err)
		return err;
	while (!stop && left && r.lib.next(r.handle, &p, &left, &at, r.in))
		read_one(c, r.in, bytes.n, address, &stop);
	c->whole = !left;
	return 0;
}
