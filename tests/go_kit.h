/* SPDX-License-Identifier: Apache-2.0 */
/* A program as Go's linker would make it, of six functions, in any layout of .gopclntab: enough for go_bin.h to find its way. */
#ifndef SPANDREL_GO_KIT_H
#define SPANDREL_GO_KIT_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define KIT_SIZE  4096
#define KIT_BASE  0x400000
#define KIT_TEXT  0x200 /* offset and, above the base, address */
#define KIT_FUNC  0x40	/* bytes of each function */
#define KIT_TABLE 0x600
#define KIT_ENDS  0xc00 /* sections */

enum kit_layout { KIT_116 = 0xfffffffa, KIT_118 = 0xfffffff0, KIT_120 = 0xfffffff1 };
enum kit_function { KIT_MEMMOVE, KIT_RECORD, KIT_CLIENT, KIT_SERVER, KIT_READ, KIT_WRITE, KIT_FUNCTIONS };

static const char *const kit_names[KIT_FUNCTIONS] = {
	"runtime.memmove",	       "crypto/tls.(*Conn).writeRecordLocked", "crypto/tls.(*Conn).clientHandshake",
	"crypto/tls.(*Conn).serverHandshake", "crypto/tls.(*Conn).Read",		"crypto/tls.(*Conn).Write",
};

static inline void kit_put(char *to, size_t n, uint64_t v)
{
	memcpy(to, &v, n);
}

static inline char *kit_code(char *file, enum kit_function f)
{
	return file + KIT_TEXT + f * KIT_FUNC;
}

static inline void kit_call(char *file, enum kit_function from, size_t at, enum kit_function to)
{
	char *p = kit_code(file, from) + at;

	*p = (char)0xe8;
	kit_put(p + 1, 4, (uint32_t)(((int)to - (int)from) * KIT_FUNC - (int)at - 5));
}

/* cmp 0x10(%r14),%rsp; jbe +0x30; push %rbp; …; pop %rbp; ret; at +0x30: call; jmp 0 */
static inline void kit_frame(char *file, enum kit_function f, size_t end)
{
	char *p = kit_code(file, f);

	memset(p, 0x90, KIT_FUNC);
	memcpy(p, "\x49\x3b\x66\x10\x76\x2a\x55", 7);
	memcpy(p + end, "\x5d\xc3", 2);
	kit_call(file, f, 0x30, KIT_MEMMOVE);
	memcpy(p + 0x35, "\xeb\xc9", 2);
	memset(p + 0x37, 0xcc, KIT_FUNC - 0x37);
}

static inline void kit_text(char *file)
{
	memset(kit_code(file, KIT_MEMMOVE), 0xc3, KIT_FUNC);
	memset(kit_code(file, KIT_RECORD), 0xc3, KIT_FUNC);
	kit_frame(file, KIT_CLIENT, 0x10);
	kit_frame(file, KIT_SERVER, 0x10);
	kit_frame(file, KIT_READ, 0x20);
	kit_call(file, KIT_READ, 0x08, KIT_CLIENT);
	kit_call(file, KIT_READ, 0x10, KIT_MEMMOVE);
	/* the call at the stack's growth is no copy */
	kit_call(file, KIT_READ, 0x30, KIT_RECORD);
	kit_frame(file, KIT_WRITE, 0x20);
	kit_call(file, KIT_WRITE, 0x10, KIT_RECORD);
}

static inline void kit_table(char *file, enum kit_layout layout, bool says_text)
{
	size_t word = layout == KIT_116 ? 8 : 4, head = layout == KIT_116 ? 64 : 72, names = head, at, base;
	char *t = file + KIT_TABLE, *fields = t + (layout == KIT_116 ? 24 : 32);
	uint64_t text = KIT_BASE + KIT_TEXT;

	at = names;
	for (int i = 0; i < KIT_FUNCTIONS; i++) {
		memcpy(t + at, kit_names[i], strlen(kit_names[i]) + 1);
		at += strlen(kit_names[i]) + 1;
	}
	base = (at + 15) & ~(size_t)15;
	kit_put(t, 4, layout);
	kit_put(t + 4, 4, 0x08010000);
	kit_put(t + 8, 8, KIT_FUNCTIONS);
	if (layout != KIT_116)
		kit_put(t + 24, 8, says_text ? text : 0);
	kit_put(fields, 8, names);
	for (int i = 1; i < 5; i++)
		kit_put(fields + 8 * i, 8, i < 4 ? at : base);
	for (int i = 0; i <= KIT_FUNCTIONS; i++) {
		uint64_t start = (layout == KIT_116 ? text : 0) + (uint64_t)i * KIT_FUNC;
		uint64_t described = 2 * word * (KIT_FUNCTIONS + 1) + (uint64_t)i * 16;

		kit_put(t + base + 2 * word * (size_t)i, word, start);
		if (i == KIT_FUNCTIONS)
			break;
		kit_put(t + base + 2 * word * (size_t)i + word, word, described);
		kit_put(t + base + described, word, start);
		kit_put(t + base + described + word, 4, names);
		names += strlen(kit_names[i]) + 1;
	}
	/* names are counted from the beginning of the names */
	for (int i = 0; i < KIT_FUNCTIONS; i++) {
		char *name = t + base + 2 * word * (KIT_FUNCTIONS + 1) + (size_t)i * 16 + word;
		uint32_t v;

		memcpy(&v, name, 4);
		kit_put(name, 4, v - head);
	}
}

static inline void kit_sections(char *file)
{
	static const char strings[] = "\0.text\0.gopclntab\0.shstrtab";
	Elf64_Shdr s[4] = {
		{ 0 },
		{ .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_addr = KIT_BASE + KIT_TEXT, .sh_offset = KIT_TEXT, .sh_size = 0x180 },
		{ .sh_name = 7, .sh_type = SHT_PROGBITS, .sh_addr = KIT_BASE + KIT_TABLE, .sh_offset = KIT_TABLE, .sh_size = 0x600 },
		{ .sh_name = 18, .sh_type = SHT_STRTAB, .sh_offset = KIT_ENDS, .sh_size = sizeof(strings) },
	};

	memcpy(file + KIT_ENDS, strings, sizeof(strings));
	memcpy(file + KIT_ENDS + 64, s, sizeof(s));
}

/* Fills file[KIT_SIZE]. says_text: the table has the address of the text, as before 1.26. */
static inline void kit_make(char *file, enum kit_layout layout, bool says_text)
{
	Elf64_Ehdr h = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_phoff = 64, .e_shoff = KIT_ENDS + 64,
		.e_ehsize = 64, .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1, .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 4, .e_shstrndx = 3,
	};
	Elf64_Phdr p = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = KIT_BASE, .p_filesz = KIT_SIZE, .p_memsz = KIT_SIZE };

	memset(file, 0, KIT_SIZE);
	memcpy(file, &h, sizeof(h));
	memcpy(file + 64, &p, sizeof(p));
	kit_text(file);
	kit_table(file, layout, says_text);
	kit_sections(file);
}

#endif
