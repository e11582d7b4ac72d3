/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of an ELF file found by name, in its dynamic and static symbol tables; and words in its constant data. The file is
 * the adversary's: it is read with pread in pieces of ELF_PIECE, never mapped (a file that shrinks would kill whoever has
 * mapped it), never whole, and nothing it says is believed before it is compared with the file's size and with limits.
 *
 * Both kinds of search can take long in large files, so they are done in steps, each of at most one piece: what one costs is
 * bounded, and the caller decides when the next one is taken. Memory: a struct elf_scan, about 100 KiB.
 */
#ifndef SPANDREL_PROBE_ELF_H
#define SPANDREL_PROBE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_PIECE	65536
#define ELF_FOUND_MAX	256
#define ELF_NAME_MAX	63		 /* characters of a name that is looked for */
#define ELF_TABLE_MAX	(256ull << 20)	 /* bytes of one table of symbols or strings that are looked at */
#define ELF_DATA_MAX	(128ull << 20) /* likewise of constant data */

struct elf_names { /* what is looked for */
	const char *(*get)(size_t i); /* 1 to ELF_NAME_MAX characters */
	size_t (*count)(void);
};

struct elf_function {
	uint64_t address, size; /* as the symbol says; size 0: it does not */
	uint64_t offset;	/* of its first byte in the file */
	uint32_t name;		/* index */
};

struct elf_scan;

/*
 * Reads the headers. 0; -ENOEXEC: no 64-bit ELF of this machine; -EBADMSG: it contradicts itself; -ENOMEM; errors of pread.
 * fd is borrowed until the scan is freed.
 */
int elf_scan_new(struct elf_scan **out, int fd, const struct elf_names *names);
void elf_scan_free(struct elf_scan **s);

enum elf_part { ELF_DYNAMIC, ELF_STATIC }; /* .dynsym; .symtab */
/* Bytes that a search in this table reads; 0: the file has none. */
uint64_t elf_table_size(const struct elf_scan *s, enum elf_part part);
/* One step of it. 1: go on; 0: done; -EBADMSG: the table lies; -E2BIG; errors of pread. */
int elf_table_step(struct elf_scan *s, enum elf_part part);

/* What was found, in no order; the same function may stand there under several names, and twice under one. */
const struct elf_function *elf_found(const struct elf_scan *s, size_t *n);
/* Is one of the names one that the file wants from another file? */
bool elf_imports(const struct elf_scan *s);
uint16_t elf_machine(const struct elf_scan *s);
bool elf_executable(const struct elf_scan *s); /* can be a program: it names an interpreter, or needs none */
/* At most `max` bytes of a function that was found: how many, or -errno. */
long elf_code(const struct elf_scan *s, const struct elf_function *f, void *to, size_t max);

/*
 * One step of a search for words in the file's constant data (.rodata and what is like it). Sets bit i of *seen for words[i], n ≤ 32,
 * each of 1 to ELF_NAME_MAX characters. Results as elf_table_step().
 */
int elf_words_step(struct elf_scan *s, const char *const *words, size_t n, uint32_t *seen);

#endif
