// SPDX-License-Identifier: Apache-2.0
#include "probe/place.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/scope.h"
#include "probe/place_code.h"

const struct place_abi place_c_abi[] = {
	[PLACE_X86_64] = { PLACE_X86_64, { 7, 6, 2, 1, 8, 9 }, 6, 0, 5 },
	[PLACE_ARM64] = { PLACE_ARM64, { 0, 1, 2, 3, 4, 5, 6, 7 }, 8, 0, 29 },
};

int place_arch_of(uint16_t e_machine, enum place_arch *out)
{
	if (e_machine != EM_X86_64 && e_machine != EM_AARCH64)
		return -ENOTSUP;
	*out = e_machine == EM_X86_64 ? PLACE_X86_64 : PLACE_ARM64;
	return 0;
}

void code_fini(struct code *c)
{
	free(c->ops);
	free(c->index);
}

/* Branches lead to instructions, or one was misread. */
static void code_link(struct code *c)
{
	for (size_t i = 0; i < c->n; i++)
		c->index[c->ops[i].at] = (uint32_t)i + 1;
	for (size_t i = 0; i < c->n; i++) {
		struct op *op = &c->ops[i];

		if (op->to == OP_OUT)
			continue;
		if (c->index[op->to]) {
			op->to = c->index[op->to] - 1;
			c->ops[op->to].met = 1;
		} else {
			op->to = OP_OUT;
			c->whole = false;
		}
	}
}

int code_read(struct code *out, struct slice bytes, uint64_t address, enum place_arch arch)
{
	_cleanup_(code_cleanup) struct code c = { .size = bytes.n };
	int err;

	if (!bytes.n || bytes.n > PLACE_CODE_MAX)
		return -EINVAL;
	c.ops = calloc(arch == PLACE_ARM64 ? bytes.n / 4 + 1 : bytes.n, sizeof(*c.ops));
	c.index = calloc(bytes.n, sizeof(*c.index));
	if (!c.ops || !c.index)
		return -ENOMEM;
	err = arch == PLACE_ARM64 ? code_read_arm64(&c, bytes, address) : code_read_x86(&c, bytes, address);
	if (err)
		return err;
	code_link(&c);
	*out = c;
	c = (struct code){ 0 };
	return 0;
}

uint32_t code_args(const struct place_abi *abi, unsigned n)
{
	uint32_t mask = 0;

	for (unsigned i = 0; i < n && i < abi->n_args; i++)
		mask |= UINT32_C(1) << abi->args[i];
	return mask;
}

static unsigned next_of_branch(const struct code *c, uint32_t i, uint32_t to[2], bool low[2], bool *out)
{
	const struct op *op = &c->ops[i], *before = i && !op->met ? &c->ops[i - 1] : NULL; /* or the flags come from elsewhere */
	bool tested = before && (before->flags & OPF_TEST), guard = before && (before->flags & OPF_GUARD);
	unsigned n = 0;

	if (!guard || !(op->flags & OPF_NOT_EQUAL)) {
		if (op->to == OP_OUT)
			*out = true;
		else
			low[n] = tested && (op->flags & OPF_TAKEN_LOW), to[n++] = op->to;
	}
	if (op->kind == OP_COND && (!guard || !(op->flags & OPF_EQUAL))) {
		if (i + 1 == c->n)
			*out = true;
		else
			low[n] = tested && (op->flags & OPF_FALL_LOW), to[n++] = i + 1;
	}
	return n;
}

unsigned code_next(const struct code *c, uint32_t i, uint32_t to[2], bool low[2], bool *out)
{
	const struct op *op = &c->ops[i];
	bool unused[2];

	if (!low)
		low = unused;
	low[0] = low[1] = false;
	*out = false;
	switch (op->kind) {
	case OP_JUMP:
	case OP_COND:
		return next_of_branch(c, i, to, low, out);
	case OP_AWAY:
		*out = true;
		return 0;
	case OP_RET:
	case OP_STOP:
		return 0;
	default:
		if (i + 1 == c->n) {
			*out = op->kind != OP_CALL;
			return 0;
		}
		to[0] = i + 1;
		return 1;
	}
}

uint32_t code_line(const struct code *c, uint32_t keep)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->ops[i].flags & OPF_EMULATED)
			return i;
		if (c->ops[i].kind != OP_PLAIN || (c->ops[i].writes & keep))
			break;
	}
	return 0;
}

bool code_line_alone(const struct code *c, uint32_t last)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->ops[i].to != OP_OUT && c->ops[i].to && c->ops[i].to <= last)
			return false;
	}
	return true;
}

/* The index of the instruction for the entry's probe: proven, or 0. -ENOMEM. */
static int64_t place_entry(const struct code *c, unsigned args, const struct place_abi *abi)
{
	uint32_t i = args <= 6 ? code_line(c, code_args(abi, args)) : 0;
	int clean;

	if (!i || !c->whole || !code_line_alone(c, i))
		return 0;
	clean = code_leaves_clean(c, i, abi);
	return clean > 0 ? (int64_t)i : clean;
}

int place_function(struct slice code, uint64_t address, enum place_arch arch, unsigned args, struct place *out)
{
	_cleanup_(code_cleanup) struct code c = { 0 };
	const struct place_abi *abi = &place_c_abi[arch];
	struct place p = { 0 };
	int64_t entry;
	int err;

	if (code.n > PLACE_CODE_MAX) {
		*out = p;
		return 0;
	}
	err = code_read(&c, code, address, arch);
	if (err)
		return err;
	if (c.n) {
		entry = place_entry(&c, args, abi);
		if (entry < 0)
			return (int)entry;
		p.entry = c.ops[entry].at;
		p.entry_emulated = c.ops[entry].flags & OPF_EMULATED;
		p.first_emulated = c.ops[0].flags & OPF_EMULATED;
		err = code_returns(&c, (uint32_t)entry, abi, &p);
		if (err)
			return err;
	}
	*out = p;
	return 0;
}
