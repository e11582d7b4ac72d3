// SPDX-License-Identifier: Apache-2.0
#include "host/identity.h"

#include "host/script.h"
#include "host/text.h"

/* Servers that load an application which an argument names: module:attribute, or the value of
 * --app. */
#define RUNNERS                                                                                    \
	"gunicorn uvicorn hypercorn daphne waitress-serve waitress granian uwsgi flask celery"
/* Servers that work on the directory they are started in. */
#define TOOLS "rails puma unicorn rackup thin"
/* Files that say less than the directory they are in. */
#define NAMELESS "index main __main__ manage wsgi asgi artisan"
/* Modules of a package that are its entry, not its name. */
#define ENTRIES	      "wsgi asgi app main application __main__"
#define NAMELESS_DIRS ". src dist build bin lib app public out"

static struct slice slice_until(struct slice s, char c)
{
	ptrdiff_t at = slice_find(s, c);

	return at < 0 ? s : slice_to(s, (size_t)at);
}

static struct slice parent_of(struct slice path)
{
	return slice_to(path, path.n - text_base(path).n);
}

static struct slice without_slash(struct slice path)
{
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	return path;
}

/* The nearest directory above that has a name of its own. */
static struct slice named_dir(struct slice dir)
{
	for (;;) {
		struct slice base;

		dir = without_slash(dir);
		base = text_base(dir);
		if (!base.n || slice_eq(base, SLICE("..")))
			return SLICE_NONE;
		if (!text_listed(NAMELESS_DIRS, base))
			return base;
		dir = parent_of(dir);
	}
}

static struct slice project_name(const struct program *p, struct slice path)
{
	struct slice dir = named_dir(parent_of(path));

	if (!dir.n && (!path.n || path.p[0] != '/'))
		dir = named_dir(p->cwd);
	return dir;
}

/* shop.wsgi → shop; a module without package stays. */
static struct slice package_of(struct slice module, const char *entries)
{
	const char *dot = module.n ? memrchr(module.p, '.', module.n) : NULL;
	size_t at = dot ? (size_t)(dot - module.p) : 0;

	return at && text_listed(entries, slice_from(module, at + 1)) ? slice_to(module, at)
								      : module;
}

static struct slice unless_nameless(const struct program *p, struct slice name, struct slice path)
{
	struct slice dir;

	if (!text_listed(NAMELESS, name))
		return name;
	dir = project_name(p, path);
	return dir.n ? dir : name;
}

/* module[:attribute] or path/to/file.py[:attribute] */
static struct slice app_name(const struct program *p, struct slice app)
{
	struct slice path = slice_until(app, ':'), name = text_base(path), suffix = SLICE(".py");

	if (name.n > suffix.n && slice_eq(slice_from(name, name.n - suffix.n), suffix))
		name.n -= suffix.n;
	return unless_nameless(p, package_of(name, ENTRIES),
			       slice_find(path, '/') < 0 ? SLICE_NONE : path);
}

/* letters, digits, dots and underscores, no digit at the front */
static bool is_dotted_name(struct slice s)
{
	if (!s.n || (s.p[0] >= '0' && s.p[0] <= '9'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], low = c | 0x20;

		if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '.')
			return false;
	}
	return true;
}

static bool is_app(struct slice arg)
{
	struct slice module = slice_until(arg, ':');

	return module.n < arg.n && is_dotted_name(module) &&
	       is_dotted_name(slice_until(slice_from(arg, module.n + 1), '('));
}

/* The application among a runner's arguments; empty if it cannot be told from an option's value. */
static struct slice find_app(struct slice args)
{
	struct slice arg, before = SLICE_NONE;

	for (; args_next(&args, &arg); before = arg) {
		if (slice_eq(before, SLICE("-A")) || slice_eq(before, SLICE("--app")) ||
		    is_app(arg))
			return arg;
		if (slice_starts(arg, SLICE("--app=")))
			return slice_from(arg, 6);
	}
	return SLICE_NONE;
}

/* "gunicorn: worker [shop.wsgi:app]", "puma 6.4 (tcp://…) [shop]": a title written over the
 * arguments. */
static struct slice title_app(struct slice args)
{
	ptrdiff_t open;

	while (args.n && (args.p[args.n - 1] == '\0' || args.p[args.n - 1] == ' '))
		args.n--;
	if (!slice_starts(args, SLICE("gunicorn: ")) && !slice_starts(args, SLICE("puma")))
		return SLICE_NONE;
	open = slice_find(args, '[');
	if (open < 0 || args.p[args.n - 1] != ']')
		return SLICE_NONE;
	return slice_of(args.p + open + 1, args.n - (size_t)open - 2);
}

static struct slice script_name(const struct program *p, const struct interpreter *in)
{
	struct slice app = title_app(p->args), name;
	struct script s;

	if (app.n)
		return app_name(p, app);
	s = script_find(in, p->args);
	if (s.kind == SCRIPT_NONE)
		return SLICE_NONE;
	if (s.kind == SCRIPT_MODULE) /* python's module, or java's module/class */
		name = package_of(slice_until(s.name, '/'), "__main__");
	else
		name = script_stem(in, text_base(s.name));
	app = text_listed(RUNNERS, name) ? find_app(s.rest) : SLICE_NONE;
	if (app.n)
		return app_name(p, app);
	if (!text_listed(TOOLS, name))
		return unless_nameless(p, name, s.name);
	app = named_dir(p->cwd);
	return app.n ? app : name;
}

void identity_of(const struct program *p, struct identity *out)
{
	struct slice base = text_base(p->exe), rest = p->args, app;
	const struct interpreter *in = interpreter_find(base);

	*out = (struct identity){.name = base};
	if (in) {
		struct slice name = script_name(p, in);

		out->language = in->language;
		out->runtime = in->runtime;
		if (name.n)
			out->name = name;
	} else if (text_listed(RUNNERS, base) && args_next(&rest, &app)) {
		app = find_app(rest);
		if (app.n)
			out->name = app_name(p, app);
	}
}
