// SPDX-License-Identifier: Apache-2.0
/*
 * arm64 by its encoding (Arm ARM, C4.1): every instruction is a word, so nothing can be out of step. Registers that an
 * instruction might write are taken generously: the destination field of everything that is no store.
 */
#include <endian.h>

#include "probe/place_code.h"

static bool is(uint32_t word, uint32_t mask, uint32_t value)
{
	return (word & mask) == value;
}

static int64_t field(uint32_t word, int low, int bits)
{
	return (int64_t)((uint64_t)word << (64 - low - bits)) >> (64 - bits);
}

static uint32_t bit(uint32_t n)
{
	return n == 31 ? 0 : UINT32_C(1) << n; /* 31 is zero or the stack pointer */
}

/* What the kernel simulates. A literal load is refused since 6.12, a nop single-stepped before 6.14. */
static bool emulated(uint32_t w)
{
	return is(w, 0x7c000000, 0x14000000)    /* b, bl */
	       || is(w, 0xff000010, 0x54000000) /* b.cond */
	       || is(w, 0x7c000000, 0x34000000) /* cbz, cbnz, tbz, tbnz */
	       || is(w, 0x1f000000, 0x10000000) /* adr, adrp */
	       || is(w, 0xfffffc1f, 0xd61f0000) || is(w, 0xfffffc1f, 0xd63f0000) || is(w, 0xfffffc1f, 0xd65f0000);
}

static int64_t branch_offset(uint32_t w)
{
	if (is(w, 0x7c000000, 0x14000000))
		return field(w, 0, 26) * 4;
	if (is(w, 0x7e000000, 0x36000000))
		return field(w, 5, 14) * 4;
	return field(w, 5, 19) * 4;
}

/* Branches: true if this is one. */
static bool read_branch(struct op *op, uint32_t w, struct slice bytes, uint64_t address)
{
	bool direct = true;

	if (is(w, 0xfc000000, 0x14000000)) {
		op->kind = OP_JUMP;
	} else if (is(w, 0xfc000000, 0x94000000)) {
		op->kind = OP_CALL;
	} else if (is(w, 0xff000000, 0x54000000) || is(w, 0x7c000000, 0x34000000)) {
		op->kind = OP_COND;
	} else if (is(w, 0xfe000000, 0xd6000000)) { /* by register, with or without pointer authentication */
		direct = false;
		switch (w >> 21 & 7) {
		case 1:
			op->kind = OP_CALL;
			break;
		case 2:
			op->kind = OP_RET;
			break;
		default:
			op->kind = OP_AWAY;
		}
	} else if (is(w, 0xffe0001f, 0xd4200000) || !(w >> 16)) { /* brk, udf */
		direct = false;
		op->kind = OP_STOP;
	} else {
		return false;
	}
	if (direct)
		op->to = code_target(address, bytes.n, address + op->at + (uint64_t)branch_offset(w));
	return true;
}

/* A base register that the instruction moves. */
static void write_back(struct op *op, uint32_t w, int64_t by)
{
	uint32_t base = w >> 5 & 31;

	op->writes |= bit(base);
	if (base == 31)
		op->sp += (int32_t)by;
}

static void read_memory(struct op *op, uint32_t w)
{
	bool vector = w >> 26 & 1;

	if (is(w, 0x3b000000, 0x18000000)) { /* literals */
		op->writes |= vector ? 0 : bit(w & 31);
	} else if (is(w, 0x3a000000, 0x28000000)) { /* pairs */
		if ((w >> 22 & 1) && !vector)
			op->writes |= bit(w & 31) | bit(w >> 10 & 31);
		if (w >> 23 & 1)
			write_back(op, w, field(w, 15, 7) * (vector ? 4 << (w >> 30) : w >> 31 ? 8 : 4));
	} else if (is(w, 0x3b200000, 0x38000000)) { /* one register, unscaled or with write-back */
		if ((w >> 22 & 3) && !vector)
			op->writes |= bit(w & 31);
		if (w >> 10 & 1)
			write_back(op, w, field(w, 12, 9));
	} else if (is(w, 0x3b000000, 0x39000000) || is(w, 0x3b200c00, 0x38200800)) { /* scaled, by register */
		if ((w >> 22 & 3) && !vector)
			op->writes |= bit(w & 31);
	} else { /* exclusives, atomics, vector structures, tags, copies: any register that they name */
		op->writes |= bit(w & 31) | bit(w >> 5 & 31) | bit(w >> 10 & 31) | bit(w >> 16 & 31);
		if ((w >> 5 & 31) == 31)
			op->stack = STACK_LOST;
	}
}

static void read_other(struct op *op, uint32_t w)
{
	int32_t by = (int32_t)((w >> 10 & 0xfff) << (w >> 22 & 1 ? 12 : 0));

	op->writes = bit(w & 31);
	if ((w & 31) != 31)
		return;
	if (is(w, 0xff8003ff, 0xd10003ff)) /* sub sp, sp, #n */
		op->sp = -by;
	else if (is(w, 0xff8003ff, 0x910003ff)) /* add sp, sp, #n */
		op->sp = by;
	else if (is(w, 0x3f800000, 0x11000000) || is(w, 0x3fe00000, 0x0b200000) || is(w, 0x1f800000, 0x12000000))
		op->stack = STACK_LOST;
}

int code_read_arm64(struct code *c, struct slice bytes, uint64_t address)
{
	c->whole = !(bytes.n % 4) && !(address % 4);
	for (size_t at = 0; at + 4 <= bytes.n; at += 4) {
		struct op *op = &c->ops[c->n++];
		uint32_t w;

		memcpy(&w, bytes.p + at, sizeof(w));
		w = le32toh(w);
		*op = (struct op){ .at = (uint32_t)at, .to = OP_OUT, .flags = emulated(w) ? OPF_EMULATED : 0 };
		if (read_branch(op, w, bytes, address))
			continue;
		if (is(w, 0x0a000000, 0x08000000))
			read_memory(op, w);
		else
			read_other(op, w);
	}
	return 0;
}
