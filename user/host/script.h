/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreters we know, and which of their arguments is the program they run. */
#ifndef SPANDREL_HOST_SCRIPT_H
#define SPANDREL_HOST_SCRIPT_H

#include "base/slice.h"

/*
 * A row describes one interpreter's command line. Words are separated by single spaces. "Letters"
 * are short options that may be clustered (-Bm) and carry their value attached or in the next
 * argument.
 */
struct interpreter {
	const char *exe;      /* base name of the executable, a version may follow */
	const char *language; /* NULL: no value of telemetry.sdk.language fits */
	const char *runtime;  /* NULL: not sure */
	const char *value;    /* letters with a value of no interest */
	const char *code;     /* letters whose value is the program's text */
	const char *module;   /* letters whose value names a module */
	const char *file;     /* letters whose value is the script */
	const char *values;   /* whole words, each followed by a value of no interest */
	const char *files;    /* whole words followed by the script */
	const char *modules;  /* whole words followed by a module */
	const char *commands; /* sub-commands before the script */
	const char *suffixes; /* of scripts, removed from their names */
	bool suffix_needed;   /* other files are not scripts */
	bool words;	      /* single-dash options are whole words */
};

enum script_kind { SCRIPT_NONE, SCRIPT_FILE, SCRIPT_MODULE };

struct script {
	enum script_kind kind;
	struct slice name; /* path or module */
	struct slice rest; /* the arguments after it */
};

/* The row for an executable's base name, or NULL. */
const struct interpreter *interpreter_find(struct slice base);
/* What it runs; args begins with argv[0]. */
struct script script_find(const struct interpreter *in, struct slice args);
/* Without the interpreter's suffix. */
struct slice script_stem(const struct interpreter *in, struct slice name);

#endif
