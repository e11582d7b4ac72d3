// SPDX-License-Identifier: Apache-2.0
#include "host/script.h"

#include "base/scope.h"
#include "host/identity.h"
#include "host/text.h"

/* clang-format off */
static const struct interpreter interpreters[] = {
	{ .exe = "python", .language = "python", .runtime = "cpython", .value = "WX", .code = "c", .module = "m",
	  .values = "--check-hash-based-pycs", .suffixes = ".py .pyc .pyz .pyw" },
	{ .exe = "pypy", .language = "python", .runtime = "pypy", .value = "WX", .code = "c", .module = "m",
	  .suffixes = ".py .pyc .pyz" },
	{ .exe = "node", .language = "nodejs", .runtime = "nodejs", .value = "rC", .code = "ep",
	  .values = "--require --import --loader --experimental-loader --conditions --env-file --title --max-old-space-size",
	  .suffixes = ".js .mjs .cjs .ts .mts .cts" },
	{ .exe = "nodejs", .language = "nodejs", .runtime = "nodejs", .value = "rC", .code = "ep",
	  .values = "--require --import --loader", .suffixes = ".js .mjs .cjs" },
	{ .exe = "java", .language = "java",
	  .values = "-cp -classpath --class-path -p --module-path --upgrade-module-path --add-modules --add-opens "
		    "--add-exports --add-reads --patch-module --limit-modules --enable-native-access --source",
	  .files = "-jar", .modules = "-m --module", .suffixes = ".jar .war .java", .words = true },
	{ .exe = "ruby", .language = "ruby", .value = "IrCEF", .code = "e", .suffixes = ".rb .ru" },
	{ .exe = "php", .language = "php", .value = "cdtSz", .code = "rBRE", .file = "fF", .suffixes = ".php .phar" },
	{ .exe = "php-fpm", .language = "php", .value = "cdgpy", .suffix_needed = true },
	{ .exe = "perl", .value = "IMmi", .code = "eE", .suffixes = ".pl .psgi" },
	{ .exe = "dotnet", .language = "dotnet", .values = "--additionalprobingpath --depsfile --runtimeconfig --fx-version",
	  .commands = "exec", .suffixes = ".dll", .suffix_needed = true, .words = true },
	{ .exe = "beam.smp", .language = "erlang", .suffix_needed = true },
	{ .exe = "bun", .commands = "run", .suffixes = ".js .mjs .cjs .ts .tsx .jsx" },
	{ .exe = "deno", .commands = "run serve", .values = "--config --import-map", .suffixes = ".js .mjs .ts .tsx" },
};
/* clang-format on */

static bool is_version(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < '0' || s.p[i] > '9') && s.p[i] != '.')
			return false;
	return true;
}

const struct interpreter *interpreter_find(struct slice base)
{
	for (size_t i = 0; i < ARRAY_SIZE(interpreters); i++) {
		struct slice exe = slice_str(interpreters[i].exe);

		if (slice_starts(base, exe) && is_version(slice_from(base, exe.n)))
			return &interpreters[i];
	}
	return NULL;
}

bool args_next(struct slice *rest, struct slice *arg)
{
	return rest->n && slice_split(rest, '\0', arg);
}

/* The list's word that ends the name, "" if none. */
static struct slice suffix_of(const char *list, struct slice name)
{
	struct slice rest = slice_str(list), one;

	while (slice_split(&rest, ' ', &one))
		if (one.n && name.n > one.n && slice_eq(slice_from(name, name.n - one.n), one))
			return one;
	return SLICE_NONE;
}

struct slice script_stem(const struct interpreter *in, struct slice name)
{
	return slice_to(name, name.n - suffix_of(in->suffixes, name).n);
}

static bool has(const char *letters, char c)
{
	return letters && c && strchr(letters, c);
}

static struct script found(enum script_kind kind, struct slice name, struct slice rest)
{
	return (struct script){name.n ? kind : SCRIPT_NONE, name, rest};
}

/* A cluster of short options. True when the search is over, with the answer in *out. */
static bool try_letters(const struct interpreter *in, struct slice arg, struct slice *rest,
			struct script *out)
{
	for (size_t i = 1; i < arg.n; i++) {
		struct slice value = slice_from(arg, i + 1);
		char c = arg.p[i];
		bool code = has(in->code, c), module = has(in->module, c), file = has(in->file, c);

		if (!code && !module && !file && !has(in->value, c))
			continue;
		if (!value.n && !args_next(rest, &value))
			value = SLICE_NONE;
		if (module || file)
			*out = found(module ? SCRIPT_MODULE : SCRIPT_FILE, value, *rest);
		return code || module || file;
	}
	return false;
}

/* An option that is one word, its value in the next argument. Same result. */
static bool try_word(const struct interpreter *in, struct slice arg, struct slice *rest,
		     struct script *out)
{
	bool file = text_listed(in->files, arg), module = text_listed(in->modules, arg);
	struct slice value;

	if (!file && !module && !text_listed(in->values, arg))
		return false;
	if (!args_next(rest, &value))
		return true;
	if (file || module)
		*out = found(file ? SCRIPT_FILE : SCRIPT_MODULE, value, *rest);
	return file || module;
}

struct script script_find(const struct interpreter *in, struct slice args)
{
	struct script out = {SCRIPT_NONE, SLICE_NONE, SLICE_NONE};
	struct slice arg, rest = args;
	bool options = true;

	if (!args_next(&rest, &arg)) /* argv[0] */
		return out;
	while (args_next(&rest, &arg)) {
		bool option = options && arg.n > 1 && arg.p[0] == '-';

		if (option && slice_eq(arg, SLICE("--")))
			options = false;
		else if (option && (in->words || arg.p[1] == '-')) {
			if (try_word(in, arg, &rest, &out))
				return out;
		} else if (option) {
			if (try_letters(in, arg, &rest, &out))
				return out;
		} else if (text_listed(in->commands, arg))
			continue;
		else if (in->suffix_needed && !suffix_of(in->suffixes, arg).n)
			return out;
		else
			return found(slice_eq(arg, SLICE("-")) ? SCRIPT_NONE : SCRIPT_FILE, arg,
				     rest);
	}
	return out;
}
