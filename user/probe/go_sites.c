// SPDX-License-Identifier: Apache-2.0
/*
 * Where probes stand in crypto/tls (Go's src/crypto/tls/conn.go, the same from 1.17 to date; arm64 from 1.18, which passes arguments
 * in registers there). A Go function may run its beginning twice (its stack grows) and its stack may move at any call, so nothing is
 * kept by address of the stack; a probe stands
 *  - in clientHandshake and serverHandshake, at the branch of the check for room on the stack: the receiver is in its register;
 *  - in Read, at the first call, reached in a straight line behind that branch, the receiver's register not written before;
 *  - in Read, at its one call of memmove, which copies plaintext into the caller's buffer: nothing else gives it any bytes;
 *  - in Write, at each call of writeRecordLocked: receiver, type, buffer in registers.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "base/scope.h"
#include "probe/go_bin.h"
#include "probe/disasm.h"
#include "probe/place_code.h"

#define WRITES_MAX   4
#define TEXT_GAP_MAX (256u << 10) /* code of others' that a linker puts before Go's */
#define TEXT_READ_MAX (2u << 20)  /* bytes of code that are disassembled to find out how much that is */
#define TEXT_ALIGN   16

/* Go's src/cmd/compile/abi-internal.md */
static const struct place_abi go_abi[] = {
	[PLACE_X86_64] = { PLACE_X86_64, { 0, 3, 1, 7, 6, 8 }, 6, 0, 5 },
	[PLACE_ARM64] = { PLACE_ARM64, { 0, 1, 2, 3, 4, 5, 6, 7 }, 8, 0, 29 },
};

struct body { /* of a function */
	struct code code;
	char *bytes;
	uint64_t address, offset;
	enum place_arch arch;
};

static void body_fini(struct body *b)
{
	code_fini(&b->code);
	free(b->bytes);
}

struct sites {
	const struct go_scan *scan;
	uint64_t text;
	struct uprobe_site *out;
	int n;
};

static int body_read(struct body *b, const struct sites *s, enum go_name name)
{
	struct go_function f = go_function(s->scan, name);
	uint64_t size = f.end - f.start;
	long got;

	*b = (struct body){ .address = s->text + f.start, .arch = go_arch(s->scan) };
	if (!f.end || size > PLACE_CODE_MAX)
		return -ENOTSUP;
	b->bytes = malloc(size);
	if (!b->bytes)
		return -ENOMEM;
	got = go_code(s->scan, b->address, b->bytes, size, &b->offset);
	if (got < 0)
		return (int)got;
	if ((uint64_t)got < size)
		return -EBADMSG;
	return code_read(&b->code, slice_of(b->bytes, size), b->address, b->arch);
}

static uint32_t word_at(const char *p)
{
	uint32_t w;

	memcpy(&w, p, sizeof(w));
	return le32toh(w);
}

/* Does it read the stack's limit from the current goroutine? */
static bool reads_limit(const char *p, enum place_arch arch)
{
	uint32_t w = word_at(p);

	if (arch == PLACE_ARM64)
		return w == 0xf9400b90; /* ldr x16, [x28, #16] */
	return w == 0x10663b49 || w == 0x10663b4d; /* cmp 0x10(%r14), %rsp or %r12 */
}

static uint32_t argument(const struct body *b, unsigned n)
{
	return UINT32_C(1) << go_abi[b->arch].args[n];
}

/* Index of the branch of the check for room, or 0. */
static uint32_t stack_check(const struct body *b)
{
	const struct code *c = &b->code;
	uint32_t i = c->whole ? code_line(c, argument(b, 0)) : 0;
	bool limit = false;

	if (!i || c->ops[i].kind != OP_COND || !code_line_alone(c, i))
		return 0;
	for (uint32_t j = 0; j < i; j++)
		limit |= c->ops[j].at + 4 <= c->size && reads_limit(b->bytes + c->ops[j].at, b->arch);
	return limit ? i : 0;
}

/* Address that a direct call leads to, 0: it is none. */
static uint64_t call_target(const struct body *b, const struct op *op)
{
	const char *p = b->bytes + op->at;

	if (op->kind != OP_CALL || op->at + 5 > b->code.size)
		return 0;
	if (b->arch == PLACE_ARM64) {
		uint32_t w = word_at(p);

		return w >> 26 == 0x25 ? b->address + op->at + (uint64_t)((int64_t)((uint64_t)w << 38) >> 36) : 0;
	}
	return (uint8_t)*p == 0xe8 ? b->address + op->at + 5 + (uint64_t)(int32_t)word_at(p + 1) : 0;
}

static void add(struct sites *s, const struct body *b, uint32_t i, enum uprobe_program program)
{
	s->out[s->n++] = (struct uprobe_site){ b->offset + b->code.ops[i].at, program, false };
}

/* The first call from `from` on in a straight line that nothing else leads into, with none of `keep` written before, or 0. */
static uint32_t line_to_call(const struct code *c, uint32_t from, uint32_t keep)
{
	for (uint32_t i = from; i < c->n; i++) {
		const struct op *op = &c->ops[i];

		if (op->met)
			return 0;
		if (op->kind == OP_CALL)
			return op->flags & OPF_EMULATED ? i : 0;
		if (op->kind != OP_PLAIN || (op->writes & keep))
			return 0;
	}
	return 0;
}

static int handshake_sites(struct sites *s, enum go_name name)
{
	_cleanup_(body_fini) struct body b = { 0 };
	uint32_t i;
	int err;

	if (!go_function(s->scan, name).end) /* a program that is never the server, or never the client */
		return 0;
	err = body_read(&b, s, name);
	if (err)
		return err;
	i = stack_check(&b);
	if (!i)
		return -ENOTSUP;
	add(s, &b, i, UPROBE_GO_HANDSHAKE);
	return 0;
}

static int read_sites(struct sites *s)
{
	uint64_t memmove_at = s->text + go_function(s->scan, GO_MEMMOVE).start;
	_cleanup_(body_fini) struct body b;
	int err = body_read(&b, s, GO_READ);
	uint32_t i, copy = 0;

	if (err)
		return err;
	i = stack_check(&b);
	i = i ? line_to_call(&b.code, i + 1, argument(&b, 0)) : 0;
	for (uint32_t j = 0; j < b.code.n; j++) {
		if (call_target(&b, &b.code.ops[j]) != memmove_at)
			continue;
		if (copy)
			return -ENOTSUP;
		copy = j;
	}
	if (!i || copy <= i)
		return -ENOTSUP;
	add(s, &b, i, UPROBE_GO_READ);
	add(s, &b, copy, UPROBE_GO_BYTES);
	return 0;
}

static int write_sites(struct sites *s)
{
	uint64_t record = s->text + go_function(s->scan, GO_WRITE_RECORD).start;
	_cleanup_(body_fini) struct body b;
	int err = body_read(&b, s, GO_WRITE), n = 0;

	if (err)
		return err;
	if (!stack_check(&b))
		return -ENOTSUP;
	for (uint32_t j = 0; j < b.code.n; j++) {
		if (call_target(&b, &b.code.ops[j]) != record)
			continue;
		if (n++ == WRITES_MAX)
			return -ENOTSUP;
		add(s, &b, j, UPROBE_GO_BYTES);
	}
	return n ? 0 : -ENOTSUP;
}

/* All of them, if the text begins there. */
static int all_sites(struct sites *s)
{
	int err;

	s->n = 0;
	err = read_sites(s);
	if (!err)
		err = write_sites(s);
	if (!err)
		err = handshake_sites(s, GO_CLIENT_HANDSHAKE);
	if (!err)
		err = handshake_sites(s, GO_SERVER_HANDSHAKE);
	return err ? err : s->n;
}

/* Bytes of code that all_sites() disassembles, at most. */
static uint64_t all_size(const struct sites *s)
{
	static const enum go_name names[] = { GO_READ, GO_WRITE, GO_CLIENT_HANDSHAKE, GO_SERVER_HANDSHAKE };
	uint64_t size = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct go_function f = go_function(s->scan, names[i]);

		size += MIN(f.end - f.start, (uint64_t)PLACE_CODE_MAX);
	}
	return size;
}

/* Since 1.26 the table does not say where the text begins, and a C linker puts other code before it: where Read is a function of Go. */
static int search(struct sites *s)
{
	uint64_t base = s->text, start = base + go_function(s->scan, GO_READ).start;
	_cleanup_(free_p) char *window = malloc(TEXT_GAP_MAX);
	long got = window ? go_code(s->scan, start, window, TEXT_GAP_MAX, NULL) : -ENOMEM;
	uint64_t cost = all_size(s), read = cost;
	int n = -ENOTSUP;

	for (long i = TEXT_ALIGN; i + 16 <= got && n == -ENOTSUP && read <= TEXT_READ_MAX; i += TEXT_ALIGN) {
		if (!reads_limit(window + i, go_arch(s->scan)) && !reads_limit(window + i + 5, go_arch(s->scan)))
			continue;
		read += cost;
		s->text = base + (uint64_t)i;
		n = all_sites(s);
	}
	return got < 0 ? (int)got : n;
}

static bool known_abi(const struct go_scan *s)
{
	return go_arch(s) == PLACE_X86_64 || (strncmp(go_version(s), "go1.17", 6) && strncmp(go_version(s), "go1.16", 6));
}

int go_sites(const struct go_scan *scan, struct uprobe_site out[GO_SITES_MAX])
{
	_cleanup_(disasm_unload) struct disasm held = { 0 }; /* for all functions of the file */
	struct sites s = { .scan = scan, .out = out };
	uint64_t texts[4];
	size_t n = go_texts(scan, texts, ARRAY_SIZE(texts));
	int got = -ENOTSUP;

	if (!go_has_tls(scan))
		return 0;
	if (!known_abi(scan))
		return -ENOTSUP;
	disasm_load(&held);
	for (size_t i = 0; i < n && got < 0; i++) {
		s.text = texts[i];
		got = all_sites(&s);
	}
	return got < 0 && n ? search(&s) : got;
}
